//! What an operator does with groups, and with the policy that they follow; and a writer that is
//! stopped between two commits.

use std::sync::Arc;

use gristmill_queue::{QueueName, QueuePolicy};
use gristmill_store::{HaltedGroup, Settle, Sink};

use super::Host;

impl Host {
    /// Declares the same queues with another policy.
    pub fn redeclare(mut self, change: impl Fn(&mut QueuePolicy)) -> Self {
        for queue in &mut self.queues {
            change(&mut queue.policy);
        }
        let declaring = self.store.declare(self.queues.clone(), Vec::new());
        self.runtime.block_on(declaring).unwrap();
        self
    }

    pub fn halted_groups(&self, queue: &str) -> Vec<HaltedGroup> {
        let queue = QueueName::new(queue).unwrap();
        let halted = self.store.halted_groups(queue, None, 1000);
        self.runtime.block_on(halted).unwrap()
    }

    pub fn resume_groups(&self, queue: &str, group: Option<&str>) -> u64 {
        let (queue, group) = (QueueName::new(queue).unwrap(), group.map(str::to_owned));
        let resuming = self.store.resume_groups(queue, group);
        self.runtime.block_on(resuming).unwrap()
    }

    /// Goes on with what is fsynced at this moment, whatever the writer is doing; first, somebody
    /// else is let at the file.
    pub fn pull_the_plug(self, look: impl FnOnce(&redb::Database)) -> Self {
        self.copy_now(&[], |path| look(&super::files::database(path)))
    }

    /// Settles, but does not wait for it.
    pub fn settle_later(&self, settle: Settle) {
        self.store.settle(settle);
    }

    pub fn attach_to(&self, queue: &str, sink: Arc<dyn Sink>) {
        self.store.attach(QueueName::new(queue).unwrap(), 1, sink);
    }
}
