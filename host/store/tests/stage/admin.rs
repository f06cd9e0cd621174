//! What an operator does to queues, to messages and to the dead.

use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, QueueName, Timestamp};
use gristmill_store::{AdminError, DeadFilter, DeadLetter, Found, PurgeStates};

use super::Host;

impl Host {
    pub fn dead_letter(&self, queue: &str, id: MessageId) -> DeadLetter {
        self.store
            .dead_letter_of(&QueueName::new(queue).unwrap(), id)
            .unwrap()
    }

    pub fn redrive(&self, queue: &str, filter: DeadFilter) -> u64 {
        self.runtime
            .block_on(self.store.redrive(QueueName::new(queue).unwrap(), filter))
            .unwrap()
    }

    pub fn purge(&self, queue: &str, states: PurgeStates) -> u64 {
        self.runtime
            .block_on(self.store.purge(
                QueueName::new(queue).unwrap(),
                states,
                DeadFilter::default(),
            ))
            .unwrap()
    }

    pub fn pause(&self, queue: &str) {
        self.runtime
            .block_on(self.store.set_paused(QueueName::new(queue).unwrap(), true))
            .unwrap();
    }

    pub fn cancel(&self, id: MessageId) -> Result<(), AdminError> {
        self.runtime.block_on(self.store.cancel(id))
    }

    pub fn move_to(&self, id: MessageId, to: Due) -> Result<Timestamp, AdminError> {
        self.runtime.block_on(self.store.move_to(id, to))
    }

    pub fn find(&self, id: MessageId) -> Result<Found, AdminError> {
        self.runtime.block_on(self.store.find(id))
    }

    pub fn resume(&self, queue: &str) {
        self.runtime
            .block_on(self.store.set_paused(QueueName::new(queue).unwrap(), false))
            .unwrap();
    }
}
