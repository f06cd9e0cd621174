//! How many operations may wait for the writer, so that none waits longer than it may.
//!
//! The writer takes what waits as one group. A group takes some time however little is in it, that of a sync
//! of the disk, and some more for each operation. Turning operations away saves only the latter, so it is
//! the latter that is learnt, from how the times of groups differ with their sizes.

use std::time::Duration;

/// So many may wait in any case.
const FEW: usize = 32;
/// A group counts for so much of what is known.
const WEIGHT: f64 = 1.0 / 64.0;
/// A group that took longer than so many times what they take on average is taken for one that did not: a
/// single slow sync of the disk is no reason to turn anybody away.
const MOST_AT_ONCE: f64 = 3.0;
/// Sizes that differ by less than this part of their mean say nothing.
const DIFFERENT: f64 = 0.1;
/// What an operation takes before anything is known, in seconds, and what it takes at the least.
const FIRST: f64 = 10e-6;
const LEAST: f64 = 0.5e-6;

/// What is known of how fast the writer works.
#[derive(Debug)]
pub(crate) struct Pace {
    /// How long an operation may wait, in seconds.
    limit: f64,
    /// What one more operation takes, in seconds.
    each: f64,
    /// Means over the last groups: of their sizes, of their times in seconds, of the squares of the sizes, and
    /// of the products. Nothing before the first.
    means: Option<[f64; 4]>,
}

impl Pace {
    pub fn new(limit: Duration) -> Self {
        Pace {
            limit: limit.as_secs_f64(),
            each: FIRST,
            means: None,
        }
    }

    /// The writer has dealt with a group of so many.
    pub fn learn(&mut self, count: usize, took: Duration) {
        #[expect(clippy::cast_precision_loss, reason = "a group is small")]
        let (count, took) = (count as f64, took.as_secs_f64());
        let before = self
            .means
            .unwrap_or([count, took, count * count, count * took]);
        let took = took.min(before[1] * MOST_AT_ONCE);
        let now = [count, took, count * count, count * took];
        let means = std::array::from_fn(|at| before[at] + (now[at] - before[at]) * WEIGHT);
        self.means = Some(means);
        let [size, time, squares, products] = means;
        let differ = squares - size * size;
        if differ > (size * DIFFERENT).powi(2) {
            self.each = (products - size * time) / differ;
        }
        // No more than all of the time is that of the operations.
        self.each = self.each.min(time / size).max(LEAST);
    }

    /// How many may wait.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quotient of two positive times; what is too large is the largest number"
    )]
    pub fn most(&self) -> usize {
        ((self.limit / self.each) as usize).max(FEW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(5);

    /// Groups of many sizes, which take so many microseconds and so many more for each operation.
    fn groups(sync: u64, each: u64) -> impl Iterator<Item = (usize, u64)> {
        (0..400).map(move |n: u64| {
            let count = 50 + n * 37 % 200;
            (usize::try_from(count).unwrap(), sync + each * count)
        })
    }

    fn after(groups: impl IntoIterator<Item = (usize, u64)>) -> usize {
        let mut pace = Pace::new(LIMIT);
        for (count, micros) in groups {
            pace.learn(count, Duration::from_micros(micros));
        }
        pace.most()
    }

    #[test]
    fn as_many_may_wait_as_are_dealt_with_in_the_time() {
        for (each, most) in [(25, 200), (100, 50)] {
            let found = after(groups(500, each));
            assert!(found.abs_diff(most) <= 2, "{found} and not {most}");
        }
    }

    #[test]
    fn a_disk_that_is_slower_than_the_limit_turns_nobody_away_for_that() {
        let found = after(groups(20_000, 25));
        assert!(found.abs_diff(200) <= 2, "{found}");
    }

    #[test]
    fn a_writer_with_little_to_do_turns_nobody_away() {
        let unknown = after([]);
        assert!(after([(1, 20_000); 1000]) >= unknown);
        assert!(after((0..1000).map(|n| (1 + n % 3, 500))) >= unknown);
    }

    #[test]
    fn operations_that_take_longer_than_the_limit_are_still_taken() {
        assert_eq!(after(groups(0, 1_000_000)), FEW);
    }

    #[test]
    fn one_slow_sync_changes_little_and_lasting_slowness_is_learnt() {
        let before = after(groups(500, 25));
        for size in [50, 150, 249] {
            let slow = after(groups(500, 25).chain([(size, 1_000_000)]));
            let same = (before / 2..=before * 2).contains(&slow);
            assert!(same, "{slow}, and {before} before");
        }
        let lasting = after(groups(500, 25).chain(groups(5_000, 250)));
        assert!(lasting <= before / 4, "{lasting}, and {before} before");
    }

    #[test]
    fn it_settles_and_does_not_swing() {
        // All that may wait does, from a group to the next.
        let mut pace = Pace::new(LIMIT);
        let mut seen = Vec::new();
        for _ in 0..400 {
            let count = pace.most().min(1024);
            pace.learn(count, Duration::from_micros(500 + 25 * count as u64));
            seen.push(count);
        }
        let last = &seen[350..];
        let (least, most) = (last.iter().min().unwrap(), last.iter().max().unwrap());
        assert!(most - least <= 4 && *least > 150, "{last:?}");
    }
}
