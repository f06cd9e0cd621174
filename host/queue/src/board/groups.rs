//! What becomes of a group when one of its messages dies: it goes on, halts, or its rest dies too.
//!
//! A halted group is held until an operator resumes it, whatever else happens to its messages or to
//! the queue's policy. A doomed one is held until all that waited behind the death is dead.

use std::ops::Bound;

use super::{Board, QueueId, Row};
use crate::Timestamp;
use crate::policy::OnGroupFailure;

/// What of a group dies because one of its messages did: all that waits between these ordinals,
/// which are not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doomed {
    /// The place of the message that died.
    pub after: u64,
    /// The place of the first that is sent after that.
    pub before: u64,
}

/// What a death brings to the rest of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupDeath {
    /// Nothing that the store would have to keep: the next has its turn, or the group was halted
    /// before.
    GoesOn,
    /// The group is halted from now on.
    Halted,
    /// The group delivers nothing before its rest is dead; see [`Board::next_doomed`].
    Doomed(Doomed),
}

impl Board {
    /// A message goes to the dead store, and has not left its queue yet. `next` is the ordinal of
    /// the next message to be accepted.
    pub fn group_death(&mut self, row: &Row, next: u64) -> GroupDeath {
        let Some(hash) = row.place.group else {
            return GroupDeath::GoesOn;
        };
        let doomed = self.doomed.contains_key(&(row.queue, hash));
        let entry = self.queue_mut(row.queue);
        match entry.policy.on_group_failure {
            OnGroupFailure::Skip => {
                let held = doomed || entry.halted.contains(&hash);
                entry.totals.groups_skipped += u64::from(!held);
                GroupDeath::GoesOn
            }
            OnGroupFailure::Halt => {
                if self.halt_group(row.queue, hash) {
                    GroupDeath::Halted
                } else {
                    GroupDeath::GoesOn
                }
            }
            OnGroupFailure::DeadLetterRest => {
                let doomed = Doomed {
                    after: row.place.ordinal,
                    before: next,
                };
                GroupDeath::Doomed(self.doom_group(row.queue, hash, doomed))
            }
        }
    }

    /// Halts a group, and says whether it was not halted before. At start-up the store says so for
    /// what was halted then.
    pub fn halt_group(&mut self, queue: QueueId, hash: u64) -> bool {
        let entry = self.queue_mut(queue);
        let fresh = entry.halted.insert(hash);
        entry.order.hold(hash);
        self.consider(queue);
        fresh
    }

    /// Dooms a part of a group, and says which part is doomed now: it may have been doomed in part.
    /// At start-up the store says so for what had not died in time.
    pub fn doom_group(&mut self, queue: QueueId, hash: u64, more: Doomed) -> Doomed {
        let doomed = self.doomed.entry((queue, hash)).or_insert(more);
        doomed.after = doomed.after.min(more.after);
        doomed.before = doomed.before.max(more.before);
        let doomed = *doomed;
        self.queue_mut(queue).order.hold(hash);
        self.consider(queue);
        doomed
    }

    /// Delivers a halted group again. Says whether it was halted.
    pub fn resume_group(&mut self, queue: QueueId, hash: u64, now: Timestamp) -> bool {
        let was_halted = self.queue_mut(queue).halted.remove(&hash);
        if was_halted {
            self.let_go(queue, hash, now);
        }
        was_halted
    }

    /// A group whose rest is to die, if there is one.
    #[must_use]
    pub fn next_doomed(&self) -> Option<(QueueId, u64)> {
        self.doomed.keys().next().copied()
    }

    /// The messages of a group that are to die, oldest first, at most so many.
    #[must_use]
    pub fn doomed(&self, queue: QueueId, hash: u64, most: usize) -> Vec<u64> {
        let Some(doomed) = self.doomed.get(&(queue, hash)) else {
            return Vec::new();
        };
        let order = &self.queue(queue).order;
        let rest = order.held_between(hash, doomed.after, doomed.before);
        rest.take(most).collect()
    }

    /// What part of a group is doomed.
    #[must_use]
    pub fn doom(&self, queue: QueueId, hash: u64) -> Option<Doomed> {
        self.doomed.get(&(queue, hash)).copied()
    }

    /// All that was doomed of a group is dead: the group goes on, unless it is halted.
    pub fn end_doom(&mut self, queue: QueueId, hash: u64, now: Timestamp) {
        if self.doomed.remove(&(queue, hash)).is_some() {
            self.let_go(queue, hash, now);
        }
    }

    /// The halted groups of a queue and how many messages wait in each, in the order of their
    /// hashes, after that one.
    pub fn halted(
        &self,
        queue: QueueId,
        after: Option<u64>,
    ) -> impl Iterator<Item = (u64, u64)> + '_ {
        let entry = self.queue(queue);
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let halted = entry.halted.range((after, Bound::Unbounded));
        halted.map(|&hash| (hash, entry.order.held_count(hash)))
    }

    fn let_go(&mut self, queue: QueueId, hash: u64, now: Timestamp) {
        let doomed = self.doomed.contains_key(&(queue, hash));
        let entry = self.queue_mut(queue);
        if !doomed && !entry.halted.contains(&hash) {
            entry.order.let_go(hash, now);
            self.consider(queue);
        }
    }
}
