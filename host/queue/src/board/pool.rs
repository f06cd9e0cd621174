//! Slots that several queues share, because one handler serves them all.
//!
//! A queue that could start something but for the pool waits in the pool's line. Whenever there is
//! room, the first in the line is a candidate again, and the next one after its try: so queues take
//! turns, and none is asked in vain.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::{Board, QueueId};

/// The number of a pool on its board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PoolId(usize);

#[derive(Debug)]
pub(super) struct Pool {
    name: Arc<str>,
    slots: NonZeroU32,
    pub in_flight: u32,
    line: VecDeque<QueueId>,
}

impl Pool {
    fn has_room(&self) -> bool {
        self.in_flight < self.slots.get()
    }
}

impl Board {
    /// Says with which pool of slots a queue shares its own: that of the handler of this name, which
    /// runs so many messages at once; none, if nothing but its own slots limits the queue. What is in
    /// flight goes on, and counts where it started.
    pub fn share_slots(&mut self, queue: QueueId, pool: Option<(&str, NonZeroU32)>) {
        let pool = pool.map(|(name, slots)| self.pool(name, slots));
        let before = std::mem::replace(&mut self.queue_mut(queue).pool, pool);
        if before != pool
            && let Some(PoolId(index)) = before
        {
            self.pools[index].line.retain(|waiting| *waiting != queue);
            self.queue_mut(queue).in_line = false;
            // It may have been the one that was called.
            self.call_next(before);
        }
        self.consider(queue);
        self.call_next(pool);
    }

    /// The pool of this name, with so many slots from now on.
    fn pool(&mut self, name: &str, slots: NonZeroU32) -> PoolId {
        if let Some(index) = self.pools.iter().position(|pool| &*pool.name == name) {
            self.pools[index].slots = slots;
            return PoolId(index);
        }
        self.pools.push(Pool {
            name: name.into(),
            slots,
            in_flight: 0,
            line: VecDeque::new(),
        });
        PoolId(self.pools.len() - 1)
    }

    /// Whether the queue's pool lets another message start.
    pub(super) fn pool_has_room(&self, queue: QueueId) -> bool {
        let pool = self.queue(queue).pool;
        pool.is_none_or(|PoolId(pool)| self.pools[pool].has_room())
    }

    /// Puts a queue at the end of its pool's line.
    pub(super) fn stand_in_line(&mut self, queue: QueueId) {
        let entry = &mut self.queues[queue.0 as usize];
        if let Some(PoolId(pool)) = entry.pool
            && !entry.in_line
        {
            entry.in_line = true;
            self.pools[pool].line.push_back(queue);
        }
    }

    /// Makes the next queue of a pool's line a candidate, if there is room.
    pub(super) fn call_next(&mut self, pool: Option<PoolId>) {
        let Some(PoolId(pool)) = pool else { return };
        while self.pools[pool].has_room() {
            let Some(queue) = self.pools[pool].line.pop_front() else {
                return;
            };
            self.queue_mut(queue).in_line = false;
            self.consider(queue);
            if self.queue(queue).candidate {
                return;
            }
        }
    }

    /// A message of a queue of the pool starts.
    pub(super) fn enter_pool(&mut self, pool: Option<PoolId>) {
        if let Some(PoolId(pool)) = pool {
            self.pools[pool].in_flight += 1;
        }
    }

    /// A message that started in the pool is no longer in flight.
    pub(super) fn leave_pool(&mut self, pool: Option<PoolId>) {
        if let Some(PoolId(pool)) = pool {
            self.pools[pool].in_flight -= 1;
        }
        self.call_next(pool);
    }
}
