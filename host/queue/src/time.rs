//! Points in time, as the queue sees them.

use std::fmt;
use std::time::Duration;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
///
/// Schedules and ages are kept in wall-clock time; the store makes sure that what it passes as
/// `now` never runs backwards. Running deadlines are monotonic and never use this type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The beginning of time, earlier than every message.
    pub const ZERO: Timestamp = Timestamp(0);

    /// The latest point in time that can be stored (the year 9999).
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// From milliseconds since the epoch; later than [`Timestamp::MAX`] is cut to it.
    #[must_use]
    pub fn from_unix_ms(ms: u64) -> Self {
        Timestamp(ms.min(Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn unix_ms(self) -> u64 {
        self.0
    }

    /// This long after `self`, at most [`Timestamp::MAX`]. Parts of a millisecond count as one.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        let ms = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Self::from_unix_ms(self.0.saturating_add(ms))
    }

    /// How long after `earlier` this is, or zero if it is before it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}
