//! Who starts next, and what it means to be in flight.
//!
//! The gates are asked in a fixed order and none costs an attempt: paused, handler present,
//! suspects first, expired, due, its turn in the group, concurrency of its key, concurrency of its
//! queue and of the handler, rates. Groups and keys that cannot start are not among what is ready,
//! so they are never asked.

use super::pool::PoolId;
use super::{Board, Claim, Fence, Lease, PullTerms, QueueId, Row};
use crate::ready::Place;
use crate::{Timestamp, limits};

impl Board {
    /// The next message that may start, by all gates, taking turns among queues.
    ///
    /// The caller reads its row and calls [`Board::lease`], or [`Board::abandon`] if the message
    /// cannot be read, before it does anything else with the board.
    pub fn claim(&mut self, now: Timestamp) -> Option<Claim> {
        if self.alone.is_some() {
            return None;
        }
        if let Some(index) = self.next_suspect(now) {
            return self.claim_suspect(index, now);
        }
        while let Some(queue) = self.candidates.pop_front() {
            let claim = self.claim_from(queue, now);
            self.call_next(self.queue(queue).pool);
            if claim.is_some() {
                self.consider(queue);
                return claim;
            }
            self.set_wakes(queue);
        }
        None
    }

    /// What keeps the queue from starting something is undone by an operation that considers it
    /// anew: an end, a removal, a change of its settings.
    fn claim_from(&mut self, queue: QueueId, now: Timestamp) -> Option<Claim> {
        let entry = &mut self.queues[queue.0 as usize];
        entry.candidate = false;
        if !entry.is_open() || entry.has_expired(now) {
            return None;
        }
        let next = entry.order.peek(now)?;
        if !self.pool_has_room(queue) {
            self.stand_in_line(queue);
            return None;
        }
        let entry = &mut self.queues[queue.0 as usize];
        if !entry.has_token(next.key, now) {
            return None;
        }
        let sequence = next.sequence;
        let conflicts = self.conflicts.get(&sequence).copied().unwrap_or(0);
        if conflicts > limits::MAX_CONFLICTS {
            // It keeps losing to its neighbours: they end first, and none starts beside it.
            if entry.in_handlers() > 0 {
                return None;
            }
            entry.exclusive = Some(sequence);
        }
        entry.order.take(now);
        entry.begin(next.key, now);
        let pool = entry.pool;
        self.enter_pool(pool);
        self.in_flight += 1;
        self.conflicts.remove(&sequence);
        Some(Claim {
            queue,
            sequence,
            key: next.key,
            alone: false,
            conflicts,
            pulled: false,
        })
    }

    /// The suspect that is to run next: one whose queue delivers, and which has its turn.
    fn next_suspect(&self, now: Timestamp) -> Option<usize> {
        self.suspects.iter().position(|(queue, place)| {
            let entry = self.queue(*queue);
            place.due <= now
                && entry.could_run()
                && entry.order.has_turn(place)
                && entry.has_token(place.key, now)
        })
    }

    /// Whether nothing starts anywhere because of suspects.
    pub(super) fn waits_for_suspects(&self, now: Timestamp) -> bool {
        self.alone.is_some() || self.next_suspect(now).is_some()
    }

    /// Nothing else starts until what is in flight has ended and the suspect has run.
    fn claim_suspect(&mut self, index: usize, now: Timestamp) -> Option<Claim> {
        let (queue, place) = *self.suspects.get(index)?;
        if self.in_flight > 0 || self.queue(queue).has_expired(now) {
            return None;
        }
        self.suspects.remove(index);
        let entry = self.queue_mut(queue);
        let waited = entry.order.withdraw(&place);
        debug_assert!(waited, "suspect {} does not wait", place.sequence);
        entry.begin(place.key, now);
        let pool = entry.pool;
        self.enter_pool(pool);
        self.in_flight += 1;
        self.alone = Some(place.sequence);
        self.conflicts.remove(&place.sequence);
        self.consider(queue);
        Some(Claim {
            queue,
            sequence: place.sequence,
            key: place.key,
            alone: true,
            conflicts: 0,
            pulled: false,
        })
    }

    /// Grants the lease of a claimed message.
    ///
    /// # Panics
    /// When `row` is that of another message.
    pub fn lease(&mut self, claim: Claim, row: Row) -> Fence {
        let fence = self.next_fence(claim.sequence);
        self.grant(claim, fence, row, None);
        fence
    }

    /// The fence of a lease that is to be granted.
    pub(super) fn next_fence(&mut self, sequence: u64) -> Fence {
        let fence = Fence {
            boot: self.boot,
            lease: self.next_lease,
            sequence,
        };
        self.next_lease += 1;
        fence
    }

    pub(super) fn grant(&mut self, claim: Claim, fence: Fence, row: Row, pull: Option<PullTerms>) {
        assert_eq!(
            (row.queue, row.place.sequence),
            (claim.queue, claim.sequence),
            "the row of another message is leased"
        );
        let entry = self.queue_mut(claim.queue);
        entry.unwatch(&row);
        let pool = entry.pool.filter(|_| pull.is_none());
        let lease = Lease {
            fence,
            row,
            conflicts: claim.conflicts,
            pool,
            pull,
        };
        let earlier = self.leases.insert(claim.sequence, lease);
        assert!(
            earlier.is_none(),
            "message {} is leased twice",
            claim.sequence
        );
        self.consider(claim.queue);
    }

    /// Gives up a claimed message that could not be read; it has left the queue. If not even its
    /// row can be read, any row with its queue and sequence does; see [`Board::forget`] for what is
    /// then not known.
    pub fn abandon(&mut self, claim: Claim, row: &Row, now: Timestamp) {
        let place = Place {
            sequence: claim.sequence,
            key: claim.key,
            ..row.place
        };
        if claim.pulled {
            self.land_pulled(claim.queue, &place);
        } else {
            self.land(claim.queue, &place, self.queue(claim.queue).pool);
        }
        let entry = self.queue_mut(claim.queue);
        entry.depart(row, now);
        entry.evict(claim.sequence, now);
        self.consider(claim.queue);
    }

    /// A message that a pull consumer held is no longer in flight.
    pub(super) fn land_pulled(&mut self, queue: QueueId, place: &Place) {
        let entry = self.queue_mut(queue);
        entry.pulled -= 1;
        entry.land(place.sequence, place.key);
    }

    /// A message that a handler held is no longer in flight.
    pub(super) fn land(&mut self, queue: QueueId, place: &Place, pool: Option<PoolId>) {
        self.in_flight -= 1;
        self.alone = self.alone.filter(|&alone| alone != place.sequence);
        self.queue_mut(queue).land(place.sequence, place.key);
        self.leave_pool(pool);
    }
}
