//! What the board is told about a message, and what it hands out: rows, claims, fences.

use std::time::Duration;

use crate::key::KeyHash;
use crate::message::Due;
use crate::outcome::Outcome;
use crate::ready::Place;
use crate::retry::Roll;
use crate::settle::{self, Age, Counters, Settlement};
use crate::{QueueName, QueuePolicy, Timestamp};

/// The number of a queue in the store; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u32);

/// A lease, and the proof of holding it. It never repeats: `boot` grows with every start of the
/// host and `lease` with every lease. That of a pull consumer is valid over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fence {
    /// The start of the host that granted it.
    pub boot: u64,
    /// The number of the lease within that start.
    pub lease: u64,
    /// The message it is for.
    pub sequence: u64,
}

/// The lease named by a fence is no longer held: it was settled, handed back, or taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lease is lost: the message was settled or handed back meanwhile")]
pub struct LeaseLost;

/// What the store's index keeps about a message that is not dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its queue.
    pub queue: QueueId,
    /// Where it stands there.
    pub place: Place,
    /// What is counted about it.
    pub counters: Counters,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// Bytes of its body.
    pub size: u32,
    /// Whether the host died during its last attempt. Exactly one charge in `counters` is then
    /// provisional: the message runs alone next time, and the charge is taken back if it survives.
    pub suspect: bool,
}

/// A message is not moved beyond its expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message would expire before it is due")]
pub struct ExpiresFirst {
    /// When it expires.
    pub expires: Timestamp,
}

/// What becomes of a message that was being handled when the host died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterCrash {
    /// It stays in its queue with this row, and runs alone before all others.
    RunAlone(Row),
    /// It has killed the host alone, and that was once too often.
    Settle(Settlement),
}

impl Row {
    /// What settling needs to know.
    #[must_use]
    pub fn age(&self) -> Age {
        Age {
            enqueued_at: self.enqueued_at,
            expires_at: self.expires_at,
        }
    }

    /// The counters to settle `outcome` with.
    ///
    /// A suspect's provisional charge is taken back first, unless the outcome proves nothing (see
    /// [`Outcome::clears_suspect`]): then suspicion and charge both stay.
    #[must_use]
    pub fn counters_after(&self, outcome: &Outcome) -> Counters {
        if self.suspect && outcome.clears_suspect() {
            Counters {
                attempts: self.counters.attempts.saturating_sub(1),
                crashes: self.counters.crashes.saturating_sub(1),
                ..self.counters
            }
        } else {
            self.counters
        }
    }

    /// Decides what happens to the message now that its attempt ended with `outcome`: what
    /// [`settle`](settle::settle) says about [`Row::counters_after`] it. Pass the result to
    /// [`Board::end`](crate::Board::end).
    #[must_use]
    pub fn settle(
        &self,
        policy: &QueuePolicy,
        outcome: &Outcome,
        now: Timestamp,
        roll: Roll,
    ) -> Settlement {
        let counters = self.counters_after(outcome);
        settle::settle(policy, self.age(), counters, outcome, now, roll)
    }

    /// The message's row after its attempt ended so; none if it leaves its queue. This is what
    /// [`Board::end`](crate::Board::end) returns and what the store is to keep.
    ///
    /// What is handed back without a wait keeps its place, rather than going to the end of those
    /// that are due; so the row may be due earlier than the settlement says.
    #[must_use]
    pub fn after(&self, outcome: &Outcome, settlement: &Settlement) -> Option<Row> {
        let Settlement::Requeue { due, counters } = *settlement else {
            return None;
        };
        let keeps_place =
            matches!(outcome, Outcome::HandedBack(why) if why.wait() == Duration::ZERO);
        let due = if keeps_place {
            self.place.due.min(due)
        } else {
            due
        };
        Some(Row {
            counters,
            place: Place { due, ..self.place },
            suspect: self.suspect && !outcome.clears_suspect(),
            ..*self
        })
    }

    /// Decides when the message is due from now on, if somebody moves it to `to`.
    ///
    /// What is due at once keeps the place it has, should it be due already.
    ///
    /// # Errors
    /// When it would expire before it is due.
    pub fn moved(&self, to: Due, now: Timestamp) -> Result<Timestamp, ExpiresFirst> {
        let due = to.at(now);
        match self.expires_at {
            Some(expires) if due >= expires => Err(ExpiresFirst { expires }),
            _ if due <= now => Ok(self.place.due.min(due)),
            _ => Ok(due),
        }
    }

    /// Decides at start-up what becomes of a message that was being handled when the host died.
    ///
    /// With the first crash it is charged provisionally and becomes a suspect, which never kills
    /// it: neighbours are not to be blamed. A suspect ran alone, so it is charged for certain; it
    /// still runs alone, with the one provisional charge, until it survives or is dead.
    #[must_use]
    pub fn after_crash(&self, policy: &QueuePolicy, now: Timestamp) -> AfterCrash {
        let counters = if self.suspect {
            match settle::settle_host_crash(policy, self.age(), self.counters, now) {
                Settlement::Requeue { counters, .. } => counters,
                end => return AfterCrash::Settle(end),
            }
        } else {
            Counters {
                attempts: self.counters.attempts.saturating_add(1),
                crashes: self.counters.crashes.saturating_add(1),
                ..self.counters
            }
        };
        AfterCrash::RunAlone(Row {
            counters,
            suspect: true,
            ..*self
        })
    }
}

/// Why a queue does not take another message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "queue {queue} is full: it holds {messages} messages of {bytes} bytes; wait until some are handled, or raise max_messages or max_bytes"
)]
pub struct QueueFull {
    /// Its name.
    pub queue: QueueName,
    /// Messages ready, scheduled and in flight.
    pub messages: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// A message that is to start now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Its queue.
    pub queue: QueueId,
    /// The message.
    pub sequence: u64,
    /// Its key.
    pub key: Option<KeyHash>,
    /// It runs alone, because it is suspected of having killed the host.
    pub alone: bool,
    /// How often its attempt was run again for a conflict.
    pub conflicts: u32,
    /// It is for a pull consumer, not for a handler.
    pub pulled: bool,
}

/// Why a waiting message is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It expired and goes to the dead store.
    ExpiredToDead,
    /// It expired and is gone.
    ExpiredAndDropped,
    /// One before it in its group died, and it goes to the dead store too.
    GroupFailed,
    /// The queue was full, and it was among the oldest.
    Dropped,
    /// An operator purged it.
    Purged,
    /// Somebody cancelled it, by its id.
    Cancelled,
    /// It goes back to the queue in which it died.
    Returned,
    /// It was a reply, and was handed to who had asked for it.
    Taken,
    /// Its record is damaged: it is kept aside.
    Damaged,
}
