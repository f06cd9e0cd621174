//! Outcome → settlement: what happens to a message when an attempt at it ends.
//!
//! One pure function. It counts as the contract says: an attempt is counted when it starts and
//! refunded by how it ends, which here means that only some outcomes add to the count.

use crate::outcome::{HandedBack, Outcome, Reason};
use crate::policy::{OnExpiry, QueuePolicy};
use crate::retry::Roll;
use crate::{Timestamp, limits};

/// What is counted about a message; changes with its attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Attempts that ended and counted.
    pub attempts: u32,
    /// How often a handler postponed it.
    pub postponed: u32,
    /// How often the host died during an attempt.
    pub crashes: u32,
    /// How often it was taken back from the dead.
    pub redriven: u32,
}

impl Counters {
    /// The number of the attempt that starts with these counters, from 1.
    #[must_use]
    pub fn next_attempt(&self) -> u32 {
        self.attempts.saturating_add(1)
    }
}

/// What happens to a message when an attempt at it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done, and gone.
    Ack,
    /// It waits until `due` and is ready again.
    Requeue {
        /// When.
        due: Timestamp,
        /// Its counters from now on.
        counters: Counters,
    },
    /// It goes to the dead store.
    Dead {
        /// Why.
        reason: Reason,
        /// Its counters.
        counters: Counters,
    },
    /// It expired and the queue drops what expires.
    Drop {
        /// Its counters.
        counters: Counters,
    },
}

/// What of a message matters for settling it.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// When it was accepted, or last redriven.
    pub enqueued_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
}

/// Decides what happens to a message whose attempt ended with `outcome` at `now`.
///
/// `roll` is the chance in the back-off; see [`Roll::of`].
#[must_use]
pub fn settle(
    policy: &QueuePolicy,
    age: Age,
    counters: Counters,
    outcome: &Outcome,
    now: Timestamp,
    roll: Roll,
) -> Settlement {
    match outcome {
        Outcome::Done => Settlement::Ack,
        Outcome::Rejected { .. } => Settlement::Dead {
            reason: Reason::Rejected,
            counters: counted(counters),
        },
        Outcome::Failed { reason, delay, .. } => {
            let counters = counted(counters);
            let wait = delay.map_or_else(
                || policy.retry.backoff(counters.attempts, roll),
                |chosen| chosen.min(policy.retry.cap),
            );
            failed(policy, age, counters, *reason, now, now.after(wait))
        }
        Outcome::Postponed { delay } => {
            let counters = Counters {
                postponed: counters.postponed.saturating_add(1),
                ..counters
            };
            if counters.postponed > limits::MAX_POSTPONED {
                return Settlement::Dead {
                    reason: Reason::PostponedTooOften,
                    counters,
                };
            }
            requeue(
                policy,
                age,
                counters,
                now,
                now.after((*delay).min(policy.retry.cap)),
            )
        }
        Outcome::HandedBack(why) => handed_back(policy, age, counters, *why, now),
    }
}

/// Decides what happens to a message that was being handled alone when the host died.
#[must_use]
pub fn settle_host_crash(
    policy: &QueuePolicy,
    age: Age,
    counters: Counters,
    now: Timestamp,
) -> Settlement {
    let counters = Counters {
        crashes: counters.crashes.saturating_add(1),
        ..counted(counters)
    };
    if counters.crashes > limits::MAX_CRASHES {
        return Settlement::Dead {
            reason: Reason::HostCrash,
            counters,
        };
    }
    failed(policy, age, counters, Reason::HostCrash, now, now)
}

/// What happens to a message that expires while it waits.
#[must_use]
pub fn settle_expired(policy: &QueuePolicy, counters: Counters) -> Settlement {
    match policy.on_expiry {
        OnExpiry::DeadLetter => Settlement::Dead {
            reason: Reason::Expired,
            counters,
        },
        OnExpiry::Drop => Settlement::Drop { counters },
    }
}

fn counted(counters: Counters) -> Counters {
    Counters {
        attempts: counters.attempts.saturating_add(1),
        ..counters
    }
}

fn failed(
    policy: &QueuePolicy,
    age: Age,
    counters: Counters,
    reason: Reason,
    now: Timestamp,
    due: Timestamp,
) -> Settlement {
    let too_old = policy
        .retry
        .max_age
        .is_some_and(|limit| due.since(age.enqueued_at) > limit);
    if counters.attempts >= policy.retry.max_attempts || too_old {
        return Settlement::Dead { reason, counters };
    }
    requeue(policy, age, counters, now, due)
}

fn handed_back(
    policy: &QueuePolicy,
    age: Age,
    counters: Counters,
    why: HandedBack,
    now: Timestamp,
) -> Settlement {
    requeue(policy, age, counters, now, now.after(why.wait()))
}

/// A message that failed after it expired goes straight to the dead; one that merely waits now
/// expires by the index, like any other.
fn requeue(
    policy: &QueuePolicy,
    age: Age,
    counters: Counters,
    now: Timestamp,
    due: Timestamp,
) -> Settlement {
    if age.expires_at.is_some_and(|expires| expires <= now) {
        return settle_expired(policy, counters);
    }
    Settlement::Requeue { due, counters }
}

#[cfg(test)]
mod tests;
