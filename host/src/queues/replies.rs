//! Requests and their replies, among the verbs of the service.

use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::{Message, NewMessage, QueueName};
use gristmill_store::{AdminError, Outgoing, Requested, SendError};

use super::Queues;

impl Queues {
    /// Sends a message to a queue; its reply comes to [`Queues::reply`].
    ///
    /// # Errors
    /// When it is refused, or when it is not known whether it was accepted.
    pub async fn request(
        &self,
        queue: QueueName,
        message: NewMessage,
    ) -> Result<Requested, SendError> {
        let request = self.store.request(Outgoing { queue, message });
        self.admit(request).await
    }

    /// The reply with this correlation id, if it is there within that time. It is handed out once.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn reply(
        &self,
        correlation_id: &str,
        wait: Duration,
    ) -> Result<Option<Arc<Message>>, AdminError> {
        let mut stopping = self.stopping.subscribe();
        let mut asked = self.store.ask_reply(correlation_id).await?;
        tokio::select! {
            reply = asked.wait() => reply.map(Some),
            () = tokio::time::sleep(wait) => Ok(asked.give_up()),
            // Whether it stops or its sender is gone, nobody waits any longer.
            _ = stopping.wait_for(|stopping| *stopping) => Ok(asked.give_up()),
        }
    }

    /// Whoever waits for a reply that is not there, or asks for one from now on, is told so at once: no
    /// handler runs any more.
    pub fn end_waits(&self) {
        self.stopping.send_replace(true);
    }
}
