//! What an operator does to queues, to messages and to the dead.

use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, QueueName, Timestamp};
use gristmill_store::{
    AdminError, DeadFilter, DeadLetter, Found, PurgeStates, RedriveOrder, RedriveUnderWay, Redriven,
};

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

    pub fn start_redrive(&self, queue: &str, order: RedriveOrder) -> Result<Redriven, AdminError> {
        let queue = QueueName::new(queue).unwrap();
        self.runtime
            .block_on(self.store.start_redrive(queue, order))
    }

    pub fn redrives(&self) -> Vec<RedriveUnderWay> {
        self.runtime.block_on(self.store.redrives()).unwrap()
    }

    pub fn cancel_redrive(&self, number: u64) -> Result<u64, &'static str> {
        let cancelled = self.runtime.block_on(self.store.cancel_redrive(number));
        cancelled.map_err(|error| match error {
            AdminError::UnknownRedrive(_) => "unknown",
            _ => "other",
        })
    }

    pub fn redrive_edited(
        &self,
        queue: &str,
        id: MessageId,
        body: Vec<u8>,
    ) -> Result<MessageId, AdminError> {
        let queue = QueueName::new(queue).unwrap();
        self.runtime
            .block_on(self.store.redrive_edited(queue, id, body.into()))
    }

    pub fn count_dead(&self, queue: &str, filter: &DeadFilter) -> u64 {
        let groups = self
            .store
            .dead_groups(&QueueName::new(queue).unwrap(), filter);
        groups.unwrap().iter().map(|group| group.count).sum()
    }
}
