//! Rates: how many messages may start within a time, by a token bucket in whole numbers.
//!
//! A bucket holds up to `burst` tokens and is full at first; tokens come in evenly, and every start
//! takes one. So within any time `t` at most `burst + t · rate` messages start, without rounding:
//! a level is counted in the smallest part of a token that a millisecond brings.

use std::time::Duration;

use crate::Timestamp;

/// How many messages may start within a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per_ms: u64,
    burst: u32,
}

impl Rate {
    /// `count` messages within `per`, in whole milliseconds, and at most `burst` of them at once;
    /// without a `burst`, as many as come in within a second, and at least one.
    ///
    /// # Panics
    /// When one of them is zero.
    #[must_use]
    pub fn new(count: u32, per: Duration, burst: Option<u32>) -> Self {
        let per_ms = u64::try_from(per.as_millis()).unwrap_or(u64::MAX);
        let in_a_second = u64::from(count) * 1000 / per_ms.max(1);
        let burst = burst.unwrap_or_else(|| u32::try_from(in_a_second).unwrap_or(u32::MAX).max(1));
        assert!(
            count > 0 && per_ms > 0 && burst > 0,
            "a rate of nothing would stop everything"
        );
        Rate {
            count,
            per_ms,
            burst,
        }
    }

    /// How many messages may start within [`Rate::per`], in the long run.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Within which time.
    #[must_use]
    pub fn per(&self) -> Duration {
        Duration::from_millis(self.per_ms)
    }

    /// How many may start at once.
    #[must_use]
    pub fn burst(&self) -> u32 {
        self.burst
    }

    /// The level of a full bucket. A token is `per_ms` parts, and `count` parts come in each
    /// millisecond.
    fn full(&self) -> u64 {
        self.per_ms.saturating_mul(u64::from(self.burst))
    }

    /// How long it takes for so many parts to come in.
    fn time_for(&self, parts: u64) -> Duration {
        Duration::from_millis(parts.div_ceil(u64::from(self.count)))
    }
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    rate: Rate,
    level: u64,
    at: Timestamp,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Bucket {
            rate,
            level: rate.full(),
            at: Timestamp::ZERO,
        }
    }

    /// Goes on under another rate: what is taken stays taken, as far as that can be.
    pub fn change(&mut self, rate: Rate) {
        let missing = u128::from(self.rate.full() - self.level) * u128::from(rate.per_ms);
        let missing = missing.div_ceil(u128::from(self.rate.per_ms));
        let missing = u64::try_from(missing).unwrap_or(u64::MAX);
        (self.level, self.rate) = (rate.full().saturating_sub(missing), rate);
    }

    /// Takes in what has come until `now`.
    pub fn refill(&mut self, now: Timestamp) {
        let elapsed = now.unix_ms().saturating_sub(self.at.unix_ms());
        let parts = elapsed.saturating_mul(u64::from(self.rate.count));
        self.level = self.level.saturating_add(parts).min(self.rate.full());
        self.at = self.at.max(now);
    }

    /// Takes a token, if there is one at `now`.
    pub fn take(&mut self, now: Timestamp) -> bool {
        self.refill(now);
        let left = self.level.checked_sub(self.rate.per_ms);
        self.level = left.unwrap_or(self.level);
        left.is_some()
    }

    /// When there is a token. Long past, if there has been one all the time.
    #[must_use]
    pub fn opens_at(&self) -> Timestamp {
        let missing = self.rate.per_ms.saturating_sub(self.level);
        self.at.after(self.rate.time_for(missing))
    }

    /// When there is a token, unless there was one when it was last looked at.
    #[must_use]
    pub fn waits_until(&self) -> Option<Timestamp> {
        (self.level < self.rate.per_ms).then(|| self.opens_at())
    }

    /// When it is full, and nothing is known any more of what was taken.
    #[must_use]
    pub fn full_at(&self) -> Timestamp {
        let missing = self.rate.full() - self.level;
        self.at.after(self.rate.time_for(missing))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(1_763_640_000_000 + ms)
    }

    fn per_second(count: u32, burst: u32) -> Rate {
        Rate::new(count, Duration::from_secs(1), Some(burst))
    }

    #[test]
    fn the_default_burst_is_one_seconds_worth_and_at_least_one() {
        let burst = |count, seconds| Rate::new(count, Duration::from_secs(seconds), None).burst();
        assert_eq!(burst(5, 1), 5);
        assert_eq!(burst(600, 60), 10);
        assert_eq!(burst(59, 60), 1);
        assert_eq!(burst(1, 86_400), 1);
    }

    #[test]
    fn a_bucket_is_full_at_first_and_says_when_it_opens() {
        let mut bucket = Bucket::new(per_second(3, 2));
        assert!(bucket.take(at(0)) && bucket.take(at(0)) && !bucket.take(at(0)));
        // A third of a second, rounded up: never early.
        assert_eq!(bucket.waits_until(), Some(at(334)));
        assert!(!bucket.take(at(333)));
        assert!(bucket.take(at(334)));
        // What was too much of the millisecond is not lost.
        assert_eq!(bucket.waits_until(), Some(at(667)));
        assert_eq!(bucket.full_at(), at(1000));
        bucket.refill(at(5000));
        assert_eq!(bucket.waits_until(), None);
        assert_eq!(
            bucket,
            Bucket {
                at: at(5000),
                ..Bucket::new(per_second(3, 2))
            }
        );
    }

    #[test]
    fn what_is_taken_stays_taken_when_the_rate_changes() {
        let after = |taken: usize, rate| {
            let mut bucket = Bucket::new(per_second(1, 10));
            assert!((0..taken).all(|_| bucket.take(at(0))));
            bucket.change(rate);
            (0..99).filter(|_| bucket.take(at(0))).count()
        };
        assert_eq!(after(0, per_second(1, 3)), 3);
        assert_eq!(after(1, per_second(1, 3)), 2);
        assert_eq!(after(9, per_second(1, 3)), 0);
        assert_eq!(
            after(1, Rate::new(60, Duration::from_secs(60), Some(20))),
            19
        );
    }

    proptest! {
        /// The bucket against the sentence it is to keep, over all stretches of time.
        #[test]
        fn within_any_time_at_most_burst_and_what_comes_in_starts_and_no_less(
            count in 1u32..50, per in 1u64..2000, burst in 1u32..20,
            waits in proptest::collection::vec(0u64..300, 1..200),
        ) {
            let mut bucket = Bucket::new(Rate::new(count, Duration::from_millis(per), Some(burst)));
            let (mut now, mut taken) = (0, Vec::new());
            for wait in waits {
                now += wait;
                let opens = bucket.opens_at();
                let took = bucket.take(at(now));
                prop_assert_eq!(took, opens <= at(now), "it says when it opens");
                // Refused only if a token more would be too many within some stretch.
                let too_many = |starts: &[u64], until: u64| {
                    let since = until - starts[0];
                    let more = starts.len() as u128 + 1;
                    more * u128::from(per)
                        > u128::from(burst) * u128::from(per) + u128::from(since) * u128::from(count)
                };
                let full = (0..taken.len()).any(|i| too_many(&taken[i..], now));
                prop_assert_eq!(took, !full);
                if took {
                    taken.push(now);
                }
            }
        }
    }
}
