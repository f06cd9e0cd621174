//! Bodies: as they stand in JSON, and piece by piece for those that are too large to be held.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use gristmill_queue::{
    BlobReader as _, BlobUnavailable, Message, MessageId, NewMessage, QueueName,
};
use gristmill_store::{Blob, BlobWriter, Found, SendError, Staged};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::Sent;
use super::{Api, Problem};

/// A body: as text if it is UTF-8, else in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Body {
    /// The body, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
}

impl Body {
    /// How these bytes are written.
    #[must_use]
    pub fn of(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Body {
                body: Some(text.to_owned()),
                body_base64: None,
            },
            Err(_) => Body {
                body: None,
                body_base64: Some(BASE64.encode(bytes)),
            },
        }
    }

    /// The body of a message; nothing if it is stored aside.
    #[must_use]
    pub fn inline(message: &Message) -> Self {
        match message.blob {
            None => Body::of(&message.body),
            Some(_) => Body::default(),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    /// When both forms are given, or the base64 is none.
    pub fn into_bytes(self) -> Result<Bytes, Problem> {
        match (self.body, self.body_base64) {
            (Some(_), Some(_)) => Err(Problem::bad_request(
                "a message has body or body_base64, not both",
            )),
            (Some(text), None) => Ok(text.into()),
            (None, Some(text)) => BASE64.decode(&text).map(Bytes::from).map_err(|error| {
                Problem::bad_request(format!("body_base64 is not base64: {error}"))
            }),
            (None, None) => Ok(Bytes::new()),
        }
    }
}

/// Bytes of a body that are held at once while it is passed on.
pub const PIECE: usize = 256 * 1024;

/// The body of a message, open for reading. It can be read to its end even if its message ends
/// meanwhile.
pub struct OpenBody {
    /// Its media type, if the sender gave one.
    pub content_type: Option<String>,
    /// Its bytes.
    pub size: u64,
    source: Source,
}

enum Source {
    Inline(Bytes),
    Aside(Blob),
}

impl OpenBody {
    /// The piece of it that begins at `offset`, at most [`PIECE`] bytes; empty at the end. Blocks as
    /// files do.
    ///
    /// # Errors
    /// When it is damaged, or the disk failed.
    pub fn piece(&self, offset: u64) -> Result<Bytes, BlobUnavailable> {
        match &self.source {
            Source::Inline(body) => {
                let begin = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(body.len());
                Ok(body.slice(begin..body.len().min(begin + PIECE)))
            }
            Source::Aside(body) => {
                let left = body.size().saturating_sub(offset);
                let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
                let filled = body.read_at(offset, &mut piece)?;
                piece.truncate(filled);
                Ok(piece.into())
            }
        }
    }
}

/// Where the bytes of a large body are put, as they come. Blocks as files do.
pub struct LargeBody(BlobWriter);

impl LargeBody {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the queue does not take so much, or the disk is full. Then nothing is left of it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        Ok(self.0.write(bytes)?)
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When the disk is full. Then nothing is left of it.
    pub fn finish(self) -> Result<StoredBody, Problem> {
        Ok(StoredBody(self.0.finish()?))
    }
}

/// A large body that is durable, but of no message yet. If it is dropped, nothing is left of it.
#[derive(Debug)]
pub struct StoredBody(Staged);

impl Api {
    /// The most bytes of a body for this queue or topic; `None` if there is neither.
    #[must_use]
    pub fn body_limit(&self, queue: &QueueName) -> Option<u64> {
        self.queues.body_limit(queue)
    }

    /// The most bytes of a body that is kept with its message.
    #[must_use]
    pub fn inline_bytes(&self) -> u64 {
        self.queues.inline_bytes()
    }

    /// Begins to take in a large body for a queue or topic. Blocks as files do.
    ///
    /// # Errors
    /// When there is neither, or no room on the disk.
    pub fn take_large(&self, queue: &QueueName) -> Result<LargeBody, Problem> {
        Ok(LargeBody(self.queues.take_large(queue)?))
    }

    /// Sends a message whose body is stored; it is durable when this returns.
    ///
    /// # Errors
    /// When it is refused, or it is not known whether it was accepted.
    pub async fn send_large(
        &self,
        queue: QueueName,
        message: NewMessage,
        StoredBody(body): StoredBody,
    ) -> Result<Sent, Problem> {
        Ok(self.queues.send_large(queue, message, body).await?.into())
    }

    /// Opens the body of a message, wherever the message is.
    ///
    /// # Errors
    /// When there is no such message, or its body is damaged.
    pub async fn open_body(&self, id: MessageId) -> Result<OpenBody, Problem> {
        let message = match self.queues.find(id).await? {
            Found::Waiting { message, .. } | Found::InFlight(message) => message.message,
            Found::Dead(letter) => letter.message,
        };
        let Message {
            envelope,
            body,
            blob,
            ..
        } = message;
        let Some(blob) = blob else {
            return Ok(OpenBody {
                content_type: envelope.content_type,
                size: body.len() as u64,
                source: Source::Inline(body),
            });
        };
        let opened = self
            .read(move |queues| Ok(queues.open_large(blob)?))
            .await?;
        Ok(OpenBody {
            content_type: envelope.content_type,
            size: blob.size,
            source: Source::Aside(opened),
        })
    }
}

/// What a body that is larger than its queue takes is refused with.
#[must_use]
pub fn too_large(queue: &QueueName, size: u64, limit: u64) -> Problem {
    let problem = gristmill_queue::message::InvalidMessage::BodyTooLarge { size, limit };
    let queue = queue.clone();
    SendError::Invalid { queue, problem }.into()
}
