//! One message, by its id.

use std::io::Read;

use bytes::Bytes;
use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, NewMessage, QueueName};

use super::Door;
use crate::api::body::PIECE;
use crate::api::{Code, MessageView, Moved, Problem, Sent};

impl Door {
    /// See [`Api::find`](crate::api::Api::find).
    pub async fn find(&self, id: MessageId) -> Result<MessageView, Problem> {
        match self {
            Door::Host(client) => client.find(id).await,
            Door::Store(api) => api.find(id).await,
        }
    }

    /// Sends a message with what can be read from `source` as its body, however large that is.
    pub async fn send_large(
        &self,
        queue: &QueueName,
        message: NewMessage,
        mut source: Box<dyn Read + Send>,
    ) -> Result<Sent, Problem> {
        let api = match self {
            Door::Host(client) => return client.send_large(queue, message, source).await,
            Door::Store(api) => api,
        };
        let mut large = api.take_large(queue)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = source.read(&mut piece).map_err(|error| {
                Problem::bad_request(format!(
                    "the body cannot be read: {error}; nothing was sent"
                ))
            })?;
            if read == 0 {
                break;
            }
            large.write(&piece[..read])?;
        }
        api.send_large(queue.clone(), message, large.finish()?)
            .await
    }

    /// Passes on the body of a message, piece by piece.
    pub async fn body(
        &self,
        id: MessageId,
        mut take: impl FnMut(Bytes) -> std::io::Result<()>,
    ) -> Result<(), Problem> {
        let api = match self {
            Door::Host(client) => return client.body(id, take).await,
            Door::Store(api) => api,
        };
        let body = api.open_body(id).await?;
        let mut offset = 0;
        loop {
            let piece = body.piece(offset)?;
            if piece.is_empty() {
                return Ok(());
            }
            offset += piece.len() as u64;
            take(piece).map_err(|error| {
                Problem::new(Code::Other, format!("the body cannot be written: {error}"))
            })?;
        }
    }

    /// See [`Api::cancel`](crate::api::Api::cancel).
    pub async fn cancel(&self, id: MessageId) -> Result<(), Problem> {
        match self {
            Door::Host(client) => client.cancel(id).await,
            Door::Store(api) => api.cancel(id).await,
        }
    }

    /// See [`Api::move_to`](crate::api::Api::move_to).
    pub async fn move_to(&self, id: MessageId, to: Due) -> Result<Moved, Problem> {
        match self {
            Door::Host(client) => client.move_to(id, to).await,
            Door::Store(api) => api.move_to(id, to).await,
        }
    }
}
