//! Topics, batches to several queues, requests.

use std::time::Duration;

use gristmill_queue::{NewMessage, QueueName};
use gristmill_store::Outgoing;

use super::Client;
use crate::api::reply::quoted;
use crate::api::{BatchIn, Items, MessageIn, Problem, Replied, ReplyView, Sent, TopicView};

impl Client {
    /// See [`Api::topics`](crate::api::Api::topics).
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn topics(&self) -> Result<Vec<TopicView>, Problem> {
        self.items("/v1/topics").await
    }

    /// See [`Api::send_batch`](crate::api::Api::send_batch).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn send_batch(&self, messages: Vec<Outgoing>) -> Result<Vec<Sent>, Problem> {
        let write = |outgoing: Outgoing| MessageIn::addressed(&outgoing.queue, outgoing.message);
        let batch = BatchIn {
            messages: messages.into_iter().map(write).collect(),
        };
        let sent: Items<Sent> = self.post("/v1/messages/batch", &batch).await?;
        Ok(sent.items)
    }

    /// See [`Api::request`](crate::api::Api::request).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn request(
        &self,
        queue: &QueueName,
        message: NewMessage,
        wait: Duration,
    ) -> Result<Replied, Problem> {
        let path = format!("/v1/requests?wait={}ms", wait.as_millis());
        self.post(&path, &MessageIn::addressed(queue, message))
            .await
    }

    /// See [`Api::reply`](crate::api::Api::reply).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn reply(&self, correlation_id: &str, wait: Duration) -> Result<ReplyView, Problem> {
        let (id, wait) = (quoted(correlation_id), wait.as_millis());
        self.get(&format!("/v1/replies/{id}?wait={wait}ms")).await
    }
}
