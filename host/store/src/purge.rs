//! Purges: what an operator removes from a queue.

use gristmill_queue::QueueName;

use crate::filter::DeadFilter;
use crate::ops::{Op, Purge, PurgeStates};
use crate::{AdminError, Store};

impl Store {
    /// Removes waiting messages or dead letters. What is in flight stays. Says how many.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn purge(
        &self,
        queue: QueueName,
        states: PurgeStates,
        filter: DeadFilter,
    ) -> Result<u64, AdminError> {
        self.ask(|reply| {
            Op::Purge(Purge {
                queue,
                states,
                filter,
                done: 0,
                dead_after: 0,
                whole: false,
                before: None,
                reply,
            })
        })
        .await?
    }

    /// Removes all messages of a queue, also those that pull consumers hold, and forgets its dedup ids. What
    /// handlers run goes on, and dead letters stay. Says how many.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn empty(&self, queue: QueueName) -> Result<u64, AdminError> {
        let states = PurgeStates {
            ready: true,
            scheduled: true,
            dead: false,
        };
        self.ask(|reply| {
            Op::Purge(Purge {
                queue,
                states,
                filter: DeadFilter::default(),
                done: 0,
                dead_after: 0,
                whole: true,
                before: None,
                reply,
            })
        })
        .await?
    }
}
