//! Topics and replies.

use std::sync::Arc;

use gristmill_queue::{Message, MessageId};
use gristmill_store::{Outgoing, Requested, SendError, Sent, TopicDeclaration, TopicView};

use super::{Host, send};

impl Host {
    pub fn declare_topics(&mut self, topics: Vec<TopicDeclaration>) {
        self.topics = topics;
        self.declare(|_, _| ());
    }

    pub fn topics(&self) -> Vec<TopicView> {
        self.runtime.block_on(self.store.topics()).unwrap()
    }

    pub fn send_out(&self, batch: Vec<Outgoing>) -> Result<Vec<Sent>, SendError> {
        let sent = self.runtime.block_on(self.store.send(batch));
        self.tick();
        sent
    }

    pub fn mint(&self) -> MessageId {
        self.store.ids().mint(self.store.now())
    }

    pub fn request(
        &self,
        queue: &str,
        change: impl FnOnce(&mut Outgoing),
    ) -> Result<Requested, SendError> {
        let mut outgoing = send(queue, "request");
        change(&mut outgoing);
        self.runtime.block_on(self.store.request(outgoing))
    }

    /// The reply, if it is there.
    pub fn reply(&self, correlation_id: &str) -> Option<Arc<Message>> {
        self.runtime.block_on(async {
            self.store
                .ask_reply(correlation_id)
                .await
                .unwrap()
                .give_up()
        })
    }

    /// Waits for a reply, and lets something happen meanwhile.
    pub fn reply_after(&self, correlation_id: &str, act: impl FnOnce(&Host)) -> Arc<Message> {
        let asking = self.store.ask_reply(correlation_id);
        let mut asked = self.runtime.block_on(asking).unwrap();
        act(self);
        self.runtime.block_on(asked.wait()).unwrap()
    }

    /// Nobody takes what is in the queue.
    pub fn without_handler(self, queue: &str) -> Self {
        self.detach(queue);
        self
    }
}
