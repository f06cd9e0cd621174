//! When a failed message is tried again.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::MessageId;

/// A draw of chance between 0 and 1, made outside and passed in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roll(f64);

impl Roll {
    /// A roll of this value, brought into 0..1.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Roll(value.clamp(0.0, 1.0 - f64::EPSILON))
    }

    /// The roll for the `k`-th counted failure of a message: the same whenever it is asked for, so
    /// that tests and replays see the same schedule.
    #[must_use]
    pub fn of(queue: &str, id: MessageId, k: u32) -> Self {
        let hash = xxh3_64_with_seed(
            queue.as_bytes(),
            xxh3_64_with_seed(&id.to_bytes(), u64::from(k)),
        );
        #[expect(
            clippy::cast_precision_loss,
            reason = "53 bits are kept, as many as a double holds"
        )]
        let value = (hash >> 11) as f64 / (1u64 << 53) as f64;
        Roll(value)
    }

    fn value(self) -> f64 {
        self.0
    }
}

/// How a back-off is spread, so that what failed together does not return together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Jitter {
    /// Half of the delay is fixed, half is drawn.
    #[default]
    Equal,
    /// All of the delay is drawn.
    Full,
    /// Nothing is drawn.
    None,
}

/// When a failed message is tried again, and when it is given up.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, at least 1.
    pub max_attempts: u32,
    /// The delay after the first failure.
    pub base: Duration,
    /// By how much the delay grows with each failure, at least 1.
    pub factor: f64,
    /// The longest delay, also of one that a handler chooses.
    pub cap: Duration,
    /// How the delay is spread.
    pub jitter: Jitter,
    /// A message older than this is not tried again.
    pub max_age: Option<Duration>,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            max_attempts: 10,
            base: Duration::from_secs(1),
            factor: 2.0,
            cap: Duration::from_secs(15 * 60),
            jitter: Jitter::Equal,
            max_age: None,
        }
    }
}

impl RetryPolicy {
    /// The delay after the `k`-th counted failure (from 1):
    /// `d = min(cap, base · factor^(k−1))`, spread by the jitter.
    #[must_use]
    pub fn backoff(&self, k: u32, roll: Roll) -> Duration {
        let exponent = i32::try_from(k.saturating_sub(1)).unwrap_or(i32::MAX);
        let cap = self.cap.as_secs_f64();
        let full = (self.base.as_secs_f64() * self.factor.powi(exponent)).min(cap);
        let spread = match self.jitter {
            Jitter::Equal => full / 2.0 + full / 2.0 * roll.value(),
            Jitter::Full => full * roll.value(),
            Jitter::None => full,
        };
        Duration::try_from_secs_f64(spread).unwrap_or(self.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_default_schedule_doubles_up_to_a_quarter_of_an_hour() {
        let policy = RetryPolicy {
            jitter: Jitter::None,
            ..RetryPolicy::default()
        };
        let seconds: Vec<u64> = (1..=12)
            .map(|k| policy.backoff(k, Roll::new(0.5)).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    }

    #[test]
    fn a_roll_is_repeatable_and_differs_by_attempt() {
        let id = MessageId::from_bytes([7; 16]);
        assert_eq!(Roll::of("orders", id, 1), Roll::of("orders", id, 1));
        assert_ne!(Roll::of("orders", id, 1), Roll::of("orders", id, 2));
        assert_ne!(Roll::of("orders", id, 1), Roll::of("other", id, 1));
    }

    proptest! {
        #[test]
        fn jitter_stays_within_its_bounds(k in 1u32..10_000, roll in 0.0f64..1.0, base in 0u64..100_000, factor in 1.0f64..10.0, cap in 0u64..10_000_000) {
            let policy = |jitter| RetryPolicy {
                base: Duration::from_millis(base), factor, cap: Duration::from_millis(cap), jitter, ..RetryPolicy::default()
            };
            let full = policy(Jitter::None).backoff(k, Roll::new(roll));
            prop_assert!(full <= Duration::from_millis(cap));
            let equal = policy(Jitter::Equal).backoff(k, Roll::new(roll));
            prop_assert!(equal >= full / 2 && equal <= full);
            prop_assert!(policy(Jitter::Full).backoff(k, Roll::new(roll)) <= full);
        }
    }
}
