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
        self.remove(queue, states, filter, false).await
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
        self.remove(queue, states, DeadFilter::default(), true)
            .await
    }

    async fn remove(
        &self,
        queue: QueueName,
        states: PurgeStates,
        filter: DeadFilter,
        whole: bool,
    ) -> Result<u64, AdminError> {
        self.ask(|reply| {
            Op::Purge(Purge {
                queue,
                states,
                filter,
                done: 0,
                dead_after: 0,
                whole,
                before: None,
                reply,
            })
        })
        .await?
    }
}
