//! How many operations may wait for the writer, so that none waits longer than it may.
//!
//! The writer takes what waits as one group, so how long an operation waits follows from how many are before
//! it and how long each took of late. That is learnt from groups of some size only: a small one is as slow as
//! a sync of the disk, however little is in it, and so many may always wait.

use std::time::Duration;

/// So many may wait in any case, and fewer teach nothing.
const FEW: usize = 32;
/// A group counts for so much of what is known.
const WEIGHT: f64 = 1.0 / 8.0;
/// A group that took longer than so many times what is known is taken for one that did not: a single slow
/// sync of the disk is no reason to turn anybody away for long.
const MOST_AT_ONCE: f64 = 2.0;
/// What an operation takes before anything is known.
const FIRST: Duration = Duration::from_micros(10);

/// What is known of how fast the writer works.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How long an operation may wait.
    limit: Duration,
    /// Seconds that an operation of a large group takes.
    each: f64,
}

impl Pace {
    pub fn new(limit: Duration) -> Self {
        Pace {
            limit,
            each: FIRST.as_secs_f64(),
        }
    }

    /// The writer has dealt with a group of so many.
    pub fn learn(&mut self, count: usize, took: Duration) {
        if count < FEW {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a group is small")]
        let each = took.as_secs_f64() / count as f64;
        let believed = each.min(self.each * MOST_AT_ONCE);
        self.each += (believed - self.each) * WEIGHT;
    }

    /// How many may wait.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quotient of two positive times; what is too large is the largest number"
    )]
    pub fn most(&self) -> usize {
        ((self.limit.as_secs_f64() / self.each) as usize).max(FEW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);

    fn after(groups: impl IntoIterator<Item = (usize, u64)>) -> usize {
        let mut pace = Pace::new(LIMIT);
        for (count, micros) in groups {
            pace.learn(count, Duration::from_micros(micros));
        }
        pace.most()
    }

    #[test]
    fn as_many_may_wait_as_are_dealt_with_in_the_time() {
        // 25 microseconds each.
        let most = after([(200, 5_000); 100]);
        assert!((195..=205).contains(&most), "{most}");
        // 100 microseconds each.
        let most = after([(64, 6_400); 100]);
        assert!((48..=52).contains(&most), "{most}");
    }

    #[test]
    fn a_writer_with_little_to_do_turns_nobody_away() {
        let unknown = after([]);
        assert_eq!(after([(1, 20_000); 1000]), unknown);
        assert_eq!(after([(FEW - 1, 400_000); 1000]), unknown);
    }

    #[test]
    fn a_disk_that_is_slower_than_the_limit_still_has_some_to_write() {
        assert_eq!(after([(FEW, 1_000_000); 1000]), FEW);
    }

    #[test]
    fn one_slow_sync_changes_little_and_lasting_slowness_is_learnt_soon() {
        let usual = [(200, 5_000); 100];
        let before = after(usual);
        let slow = after(usual.into_iter().chain([(200, 1_000_000)]));
        assert!(slow > before * 8 / 10, "{slow} instead of {before}");
        // Ten times as slow from now on.
        let lasting = after(usual.into_iter().chain([(200, 50_000); 40]));
        assert!(lasting <= before / 5, "{lasting} instead of {before}");
    }

    #[test]
    fn it_settles_and_does_not_swing() {
        // Groups of all that may wait, each at 25 microseconds and half a millisecond for the sync.
        let mut pace = Pace::new(LIMIT);
        let mut seen = Vec::new();
        for _ in 0..200 {
            let count = pace.most().min(1024);
            pace.learn(count, Duration::from_micros(500 + 25 * count as u64));
            seen.push(count);
        }
        let last = &seen[150..];
        let (least, most) = (last.iter().min().unwrap(), last.iter().max().unwrap());
        assert!(most - least <= 2, "{last:?}");
    }
}
