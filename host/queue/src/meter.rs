//! How many per second, over the last minute.

use crate::Timestamp;

const SECONDS: u64 = 60;
const BUCKETS: usize = 60;

/// Counts events in one-second buckets and tells their rate over the last minute.
#[derive(Clone, Debug)]
pub struct Meter {
    buckets: [u32; BUCKETS],
    newest: u64,
    began: Option<u64>,
}

impl Default for Meter {
    fn default() -> Self {
        Meter {
            buckets: [0; BUCKETS],
            newest: 0,
            began: None,
        }
    }
}

impl Meter {
    /// Counts one event at `now`.
    pub fn mark(&mut self, now: Timestamp) {
        let second = now.unix_ms() / 1000;
        self.roll_to(second);
        self.began.get_or_insert(second);
        let bucket = &mut self.buckets[(second % SECONDS) as usize];
        *bucket = bucket.saturating_add(1);
    }

    /// Events per second over the last 60 s, or since the first event if that is less.
    #[must_use]
    pub fn per_second(&self, now: Timestamp) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        let mut copy = self.clone();
        let second = now.unix_ms() / 1000;
        copy.roll_to(second);
        let span = (second.saturating_sub(began) + 1).min(SECONDS);
        let events: u64 = copy.buckets.iter().map(|&n| u64::from(n)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
        let rate = events as f64 / span as f64;
        rate
    }

    fn roll_to(&mut self, second: u64) {
        if second <= self.newest {
            return;
        }
        for passed in (self.newest + 1).max(second.saturating_sub(SECONDS - 1))..=second {
            self.buckets[(passed % SECONDS) as usize] = 0;
        }
        self.newest = second;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_forgets_after_a_minute() {
        let at = |s: u64| Timestamp::from_unix_ms(1_000_000 + s * 1000);
        let mut meter = Meter::default();
        for _ in 0..120 {
            meter.mark(at(0));
        }
        assert!((meter.per_second(at(0)) - 120.0).abs() < 1e-9);
        assert!((meter.per_second(at(59)) - 2.0).abs() < 1e-9);
        assert!(meter.per_second(at(60)) < 1e-9);
    }
}
