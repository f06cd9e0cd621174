//! Topics, and batches to several queues.

use gristmill_store::Outgoing;

use super::Door;
use crate::api::{Problem, Sent, TopicView};

impl Door {
    /// See [`Api::topics`](crate::api::Api::topics).
    pub async fn topics(&self) -> Result<Vec<TopicView>, Problem> {
        match self {
            Door::Host(client) => client.topics().await,
            Door::Store(api) => api.topics().await,
        }
    }

    /// See [`Api::send_batch`](crate::api::Api::send_batch).
    pub async fn send_batch(&self, messages: Vec<Outgoing>) -> Result<Vec<Sent>, Problem> {
        match self {
            Door::Host(client) => client.send_batch(messages).await,
            Door::Store(api) => api.send_batch(messages).await,
        }
    }
}
