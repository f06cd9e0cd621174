//! How much of what a handler prints goes to the log, over all its deliveries.
//!
//! The limit of one delivery (`output`) does not bound a handler that is called ten thousand times a
//! second. What is beyond the budget is left out of the log and counted; the end of each delivery's
//! output is kept for the dead letter all the same.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes a second that a handler may write to the log in the long run.
pub(super) const RATE: u64 = 1024 * 1024;
/// Bytes that it may write at once after a quiet spell.
pub(super) const BURST: u64 = 8 * 1024 * 1024;
/// How often it is said that something is left out.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// The budget of one handler.
pub(super) struct LogBudget {
    began: Instant,
    bucket: Mutex<Bucket>,
}

impl LogBudget {
    pub(super) fn new() -> Self {
        LogBudget {
            began: Instant::now(),
            bucket: Mutex::new(Bucket::new()),
        }
    }

    /// Whether so many bytes may go to the log.
    pub(super) fn take(&self, handler: &str, bytes: usize) -> bool {
        let spent = self.lock().take(bytes as u64, self.began.elapsed());
        if let Some(left_out) = spent.report {
            tracing::warn!(
                target: "handler",
                handler,
                "prints more than the log takes, {} KiB/s: {left_out} bytes were left out; print \
                 less, or log a sample",
                RATE / 1024
            );
        }
        spent.granted
    }

    fn lock(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What became of a wish.
#[derive(Debug, PartialEq, Eq)]
struct Spent {
    granted: bool,
    /// How much was left out since the last report, if it is time for one.
    report: Option<u64>,
}

/// Time is an argument: how long the budget has existed.
struct Bucket {
    left: u64,
    filled: Duration,
    left_out: u64,
    reported: Option<Duration>,
}

impl Bucket {
    fn new() -> Self {
        Bucket {
            left: BURST,
            filled: Duration::ZERO,
            left_out: 0,
            reported: None,
        }
    }

    fn take(&mut self, bytes: u64, now: Duration) -> Spent {
        self.fill(now);
        let granted = bytes <= self.left;
        if granted {
            self.left -= bytes;
        } else {
            self.left_out = self.left_out.saturating_add(bytes);
        }
        let due = self
            .reported
            .is_none_or(|reported| now.saturating_sub(reported) >= REPORT_EVERY);
        let report = (due && self.left_out > 0).then(|| std::mem::take(&mut self.left_out));
        if report.is_some() {
            self.reported = Some(now);
        }
        Spent { granted, report }
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let came = passed.saturating_mul(RATE) / 1000;
        if came > 0 {
            self.left = self.left.saturating_add(came).min(BURST);
            self.filled += Duration::from_millis(passed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;

    #[test]
    fn a_burst_is_granted_then_the_rate_and_no_more_in_any_time() {
        let mut bucket = Bucket::new();
        let mut granted = 0;
        for ms in 0..60_000 {
            if bucket.take(64 * KIB, Duration::from_millis(ms)).granted {
                granted += 64 * KIB;
            }
        }
        assert!(granted <= BURST + 60 * RATE, "{granted}");
        assert!(granted >= BURST + 59 * RATE, "{granted}");
        // A quiet spell fills it again, and no further than at first.
        let later = Duration::from_secs(3600);
        let left = (0..).take_while(|_| bucket.take(KIB, later).granted);
        assert_eq!(left.count() as u64 * KIB, BURST);
    }

    #[test]
    fn small_sips_in_short_time_still_fill_it() {
        let mut bucket = Bucket::new();
        assert!(bucket.take(BURST, Duration::ZERO).granted);
        let mut granted = 0;
        for micros in (0..1_000_000).step_by(10) {
            granted += u64::from(bucket.take(1, Duration::from_micros(micros)).granted);
        }
        // It is asked for less than comes in, but for the first millisecond.
        assert!((99_000..=100_000).contains(&granted), "{granted}");
    }

    #[test]
    fn what_is_left_out_is_said_at_once_and_then_now_and_then() {
        let mut bucket = Bucket::new();
        let mut reports = Vec::new();
        for seconds in 0..=20 {
            let spent = bucket.take(2 * BURST, Duration::from_secs(seconds));
            assert!(!spent.granted);
            reports.extend(spent.report.map(|left_out| (seconds, left_out / BURST)));
        }
        assert_eq!(reports, [(0, 2), (10, 20), (20, 20)]);
        let mut quiet = Bucket::new();
        let spent = quiet.take(KIB, Duration::ZERO);
        assert_eq!((spent.granted, spent.report), (true, None));
    }
}
