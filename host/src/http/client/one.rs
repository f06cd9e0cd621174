//! One message, by its id.

use bytes::Bytes;
use gristmill_queue::MessageId;
use gristmill_queue::message::Due;
use hyper::Method;

use super::Client;
use crate::api::{MessageView, MoveOrder, Moved, Problem};

impl Client {
    /// See [`Api::find`](crate::api::Api::find).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn find(&self, id: MessageId) -> Result<MessageView, Problem> {
        self.get(&format!("/v1/messages/{id}")).await
    }

    /// See [`Api::cancel`](crate::api::Api::cancel).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn cancel(&self, id: MessageId) -> Result<(), Problem> {
        let path = format!("/v1/messages/{id}");
        self.call(Method::DELETE, &path, Bytes::new())
            .await
            .map(drop)
    }

    /// See [`Api::move_to`](crate::api::Api::move_to).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn move_to(&self, id: MessageId, to: Due) -> Result<Moved, Problem> {
        let path = format!("/v1/messages/{id}/move");
        self.post(&path, &MoveOrder::of(to)).await
    }
}
