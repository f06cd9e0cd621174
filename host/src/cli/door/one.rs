//! One message, by its id.

use gristmill_queue::MessageId;
use gristmill_queue::message::Due;

use super::Door;
use crate::api::{MessageView, Moved, Problem};

impl Door {
    /// See [`Api::find`](crate::api::Api::find).
    pub async fn find(&self, id: MessageId) -> Result<MessageView, Problem> {
        match self {
            Door::Host(client) => client.find(id).await,
            Door::Store(api) => api.find(id).await,
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
