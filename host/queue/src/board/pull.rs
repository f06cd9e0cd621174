//! Pull consumers: they ask for messages, and hold leases that have an end and outlive the host.
//!
//! They compete with the queue's handler, if it has one, and go through the same gates, but for the
//! slots of handlers, which they take none of: how many leases they hold at once has a limit of its own.
//! Suspects do not concern them, since they run nothing inside the host.

use super::{Board, Claim, Fence, Lease, LeaseLost, QueueId, Row};
use crate::bug::{Bug, is_planted};
use crate::ready::Next;
use crate::{MessageId, Timestamp};

/// What a pull consumer was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullTerms {
    /// The message's id.
    pub id: MessageId,
    /// When the lease was granted.
    pub granted_at: Timestamp,
    /// When it ends, unless it is extended.
    pub ends_at: Timestamp,
}

impl Board {
    /// Whether pull consumers may take messages of a queue: its policy says so, or nothing about it and
    /// no handler is there.
    #[must_use]
    pub fn is_pullable(&self, queue: QueueId) -> bool {
        self.queue(queue).is_pullable()
    }

    /// Somebody has come who waits for messages of a queue. While somebody does, [`Board::next_called`] names
    /// the queue whenever there may be one.
    pub fn call_receivers(&mut self, queue: QueueId) {
        self.queue_mut(queue).receivers = true;
        self.consider(queue);
    }

    /// Says whether somebody still waits. It calls nobody: what could not be claimed just now cannot be
    /// claimed until something changes, and that calls them.
    pub fn keep_receivers(&mut self, queue: QueueId, waiting: bool) {
        self.queue_mut(queue).receivers = waiting;
    }

    /// A queue for whose messages somebody waits, and which may have some.
    pub fn next_called(&mut self) -> Option<QueueId> {
        let queue = self.called.pop_front()?;
        self.queue_mut(queue).called = false;
        Some(queue)
    }

    /// The next message of a queue that a pull consumer may have, by all gates.
    ///
    /// The caller reads its row and calls [`Board::lease_pulled`], or [`Board::abandon`] if the message
    /// cannot be read, before it does anything else with the board.
    pub fn claim_pulled(&mut self, queue: QueueId, now: Timestamp) -> Option<Claim> {
        let next = self.queue_mut(queue).order.peek(now);
        let next = next.filter(|next| self.may_pull(queue, next, now))?;
        self.queue_mut(queue).order.take(now);
        Some(self.begin_pulled(queue, next, now))
    }

    /// The message that comes next in a group of which the same consumer was granted all that is in
    /// flight, if it may have that too. What [`Board::claim_pulled`] says holds here as well.
    pub fn claim_behind(&mut self, queue: QueueId, hash: u64, now: Timestamp) -> Option<Claim> {
        let next = self.queue(queue).order.peek_behind(hash, now);
        let next = next.filter(|next| self.may_pull(queue, next, now))?;
        self.queue_mut(queue).order.take_behind(hash);
        Some(self.begin_pulled(queue, next, now))
    }

    fn may_pull(&self, queue: QueueId, next: &Next, now: Timestamp) -> bool {
        let entry = self.queue(queue);
        entry.is_open_to_pull() && !entry.has_expired(now) && entry.has_token(next.key, now)
    }

    fn begin_pulled(&mut self, queue: QueueId, next: Next, now: Timestamp) -> Claim {
        let Next { sequence, key } = next;
        self.forget_marks(sequence);
        let entry = self.queue_mut(queue);
        entry.begin(key, now);
        entry.pulled += 1;
        Claim {
            queue,
            sequence,
            key,
            alone: false,
            conflicts: 0,
            pulled: true,
        }
    }

    /// Grants the lease of a message that a pull consumer claimed.
    ///
    /// # Panics
    /// When `row` is that of another message.
    pub fn lease_pulled(&mut self, claim: Claim, row: Row, terms: PullTerms) -> Fence {
        let fence = self.next_fence(claim.sequence);
        self.grant(claim, fence, row, Some(terms));
        self.pull_ends.insert((terms.ends_at, claim.sequence));
        fence
    }

    /// Takes in a message that is still leased to a pull consumer, as it was when the host ended. Call it
    /// before any message that waits is restored.
    ///
    /// # Panics
    /// When the message is leased already.
    pub fn restore_pulled(&mut self, fence: Fence, row: Row, terms: PullTerms) {
        let Row { queue, place, .. } = row;
        let entry = self.queue_mut(queue);
        entry.bytes += u64::from(row.size);
        entry.order.admit_in_flight(&place);
        entry.begin_again(place.key);
        entry.pulled += 1;
        let claim = Claim {
            queue,
            sequence: place.sequence,
            key: place.key,
            alone: false,
            conflicts: 0,
            pulled: true,
        };
        self.grant(claim, fence, row, Some(terms));
        self.pull_ends.insert((terms.ends_at, place.sequence));
    }

    /// The row of a message that a pull consumer holds, and on what terms.
    ///
    /// # Errors
    /// When the lease is no longer held, or a handler holds it.
    pub fn pulled(&self, fence: Fence) -> Result<(Row, PullTerms), LeaseLost> {
        let lease = self.leases.get(&fence.sequence).ok_or(LeaseLost)?;
        let terms = lease.pull.ok_or(LeaseLost)?;
        if lease.fence == fence || is_planted(Bug::NoFence) {
            Ok((lease.row, terms))
        } else {
            Err(LeaseLost)
        }
    }

    /// Changes when the lease of a pull consumer ends. Returns its new terms.
    ///
    /// # Errors
    /// When the lease is no longer held; then nothing changes.
    pub fn extend(&mut self, fence: Fence, ends_at: Timestamp) -> Result<PullTerms, LeaseLost> {
        let (_, before) = self.pulled(fence)?;
        let terms = PullTerms { ends_at, ..before };
        if let Some(Lease { pull, .. }) = self.leases.get_mut(&fence.sequence) {
            *pull = Some(terms);
        }
        self.pull_ends.remove(&(before.ends_at, fence.sequence));
        self.pull_ends.insert((ends_at, fence.sequence));
        Ok(terms)
    }

    /// A lease of a pull consumer that has ended at `now`, if there is one: the attempt has failed, and is
    /// to be settled so.
    #[must_use]
    pub fn lapsed(&self, now: Timestamp) -> Option<Fence> {
        let &(ends, sequence) = self.pull_ends.first()?;
        let lease = self.leases.get(&sequence).filter(|_| ends <= now);
        lease.map(|lease| lease.fence)
    }

    /// Every lease of pull consumers that is held now, with its message's row.
    pub fn all_pulled(&self) -> impl Iterator<Item = (Fence, &Row)> + '_ {
        let leases = self.leases.values().filter(|lease| lease.pull.is_some());
        leases.map(|lease| (lease.fence, &lease.row))
    }

    /// Lets go of a leased message whose record cannot be read: it has left its queue.
    ///
    /// # Errors
    /// When the lease is no longer held; then nothing changes.
    pub fn lose(&mut self, fence: Fence, now: Timestamp) -> Result<(), LeaseLost> {
        let row = self.take_lease(fence)?;
        self.queue_mut(row.queue).depart(&row, now);
        self.consider(row.queue);
        Ok(())
    }
}
