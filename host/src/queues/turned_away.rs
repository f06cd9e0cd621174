//! Who was turned away because the host has too much to do: how many, and when the log is told.
//!
//! Under overload it happens thousands of times a second, so the log has a line now and then, with a number.

use std::time::{Duration, Instant};

/// The log has a line at most so often.
const EVERY: Duration = Duration::from_secs(10);

/// How many were turned away.
#[derive(Debug, Default)]
pub(super) struct TurnedAway {
    all: u64,
    told: u64,
    told_at: Option<Instant>,
}

impl TurnedAway {
    /// One more.
    pub fn add(&mut self) {
        self.all += 1;
    }

    /// How many in all.
    pub fn all(&self) -> u64 {
        self.all
    }

    /// How many the log does not know of yet, if it is time that it does.
    pub fn take_untold(&mut self, now: Instant) -> Option<u64> {
        let new = self.all - self.told;
        let too_soon = self
            .told_at
            .is_some_and(|told_at| now.saturating_duration_since(told_at) < EVERY);
        if new == 0 || too_soon {
            return None;
        }
        self.told = self.all;
        self.told_at = Some(now);
        Some(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_told_at_once_and_then_now_and_then_and_of_everyone() {
        let begun = Instant::now();
        let mut away = TurnedAway::default();
        assert_eq!(away.take_untold(begun), None, "nobody was turned away");
        away.add();
        assert_eq!(away.take_untold(begun), Some(1));
        for _ in 0..5_000 {
            away.add();
        }
        assert_eq!(away.take_untold(begun + EVERY / 2), None, "too soon");
        assert_eq!(away.take_untold(begun + EVERY), Some(5_000));
        assert_eq!(away.take_untold(begun + EVERY * 9), None, "nobody since");
        away.add();
        assert_eq!(
            away.take_untold(begun + EVERY * 9),
            Some(1),
            "it was long ago"
        );
        assert_eq!(away.all(), 5_002);
    }
}
