//! The clock of the queues: wall-clock time that does not jump.
//!
//! It starts at the wall clock, or at the latest time that the store has seen if that is later,
//! and goes on by the system's uninterrupted clock. So a step of the wall clock while the host
//! runs changes nothing, and time never runs backwards across restarts.
//!
//! Then the two may differ, and who schedules by the date has to know by how much: [`Drift`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gristmill_queue::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Where the store takes the time from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clocks.
    System,
    /// Milliseconds since 1970 that a test sets; call [`Store::tick`](crate::Store::tick) after it.
    Manual(Arc<AtomicU64>),
    /// The system's two clocks, set by a test; call [`Store::tick`](crate::Store::tick) after it.
    Set(SetClocks),
}

/// What the system's clocks would say, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct SetClocks {
    /// Since 1970: what an operator or a time service may step in either direction.
    pub wall: Arc<AtomicU64>,
    /// Since the machine was started: what nobody can step.
    pub uptime: Arc<AtomicU64>,
}

/// How far the clock of the queues is from the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drift {
    /// The queues are later: the wall clock was set back, or was wrong before.
    Ahead(Duration),
    /// The queues are earlier: the wall clock was set forward while the host ran.
    Behind(Duration),
}

/// A clock that has been started.
#[derive(Clone, Debug)]
pub(crate) enum RunningClock {
    Anchored {
        source: Source,
        start: Timestamp,
        uptime: Duration,
    },
    Manual(Arc<AtomicU64>),
}

/// Where the two clocks are read.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    System,
    Set(SetClocks),
}

impl Source {
    fn wall(&self) -> Timestamp {
        match self {
            Source::System => {
                let wall = SystemTime::now().duration_since(UNIX_EPOCH);
                Timestamp::ZERO.after(wall.unwrap_or_default())
            }
            Source::Set(clocks) => Timestamp::from_unix_ms(clocks.wall.load(Ordering::SeqCst)),
        }
    }

    fn uptime(&self) -> Duration {
        match self {
            Source::System => {
                let time = clock_gettime(ClockId::Boottime);
                Duration::new(
                    u64::try_from(time.tv_sec).unwrap_or(0),
                    u32::try_from(time.tv_nsec).unwrap_or(0),
                )
            }
            Source::Set(clocks) => Duration::from_millis(clocks.uptime.load(Ordering::SeqCst)),
        }
    }
}

impl RunningClock {
    /// Starts a clock that shows at least `seen`.
    pub fn start(clock: Clock, seen: Timestamp) -> Self {
        let source = match clock {
            Clock::System => Source::System,
            Clock::Set(clocks) => Source::Set(clocks),
            Clock::Manual(ms) => {
                ms.fetch_max(seen.unix_ms(), Ordering::SeqCst);
                return RunningClock::Manual(ms);
            }
        };
        RunningClock::Anchored {
            start: source.wall().max(seen),
            uptime: source.uptime(),
            source,
        }
    }

    pub fn now(&self) -> Timestamp {
        match self {
            RunningClock::Anchored {
                source,
                start,
                uptime,
            } => {
                let passed = source.uptime().saturating_sub(*uptime).as_millis();
                let passed = u64::try_from(passed).unwrap_or(u64::MAX);
                Timestamp::from_unix_ms(start.unix_ms().saturating_add(passed))
            }
            RunningClock::Manual(ms) => Timestamp::from_unix_ms(ms.load(Ordering::SeqCst)),
        }
    }

    /// How far this clock is from the wall clock, which a manual one does not know.
    pub fn drift(&self) -> Drift {
        let now = self.now();
        let wall = match self {
            RunningClock::Anchored { source, .. } => source.wall(),
            RunningClock::Manual(_) => now,
        };
        if now >= wall {
            Drift::Ahead(now.since(wall))
        } else {
            Drift::Behind(wall.since(now))
        }
    }

    /// How long to sleep until `time`; a clock that a test sets is waited for by ticks only.
    pub fn until(&self, time: Timestamp) -> Option<Duration> {
        match self {
            RunningClock::Anchored {
                source: Source::System,
                ..
            } => Some(time.since(self.now())),
            RunningClock::Anchored { .. } | RunningClock::Manual(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_starts_no_earlier_than_the_latest_time_seen() {
        let wall = RunningClock::start(Clock::System, Timestamp::ZERO).now();
        let seen = wall.after(Duration::from_secs(3600));
        for clock in [
            Clock::System,
            Clock::Manual(Arc::new(AtomicU64::new(wall.unix_ms()))),
        ] {
            let clock = RunningClock::start(clock, seen);
            let now = clock.now();
            assert!(now >= seen && now < seen.after(Duration::from_secs(600)));
            assert!(clock.now() >= now);
        }
    }

    #[test]
    fn the_systems_clocks_agree_at_the_start_and_drift_by_what_the_store_has_seen() {
        let hour = Duration::from_secs(3600);
        let clock = RunningClock::start(Clock::System, Timestamp::ZERO);
        let (Drift::Ahead(apart) | Drift::Behind(apart)) = clock.drift();
        assert!(apart < Duration::from_secs(600), "{apart:?}");
        let clock = RunningClock::start(Clock::System, clock.now().after(2 * hour));
        let Drift::Ahead(apart) = clock.drift() else {
            panic!("{:?}", clock.drift());
        };
        assert!(apart > hour && apart < 3 * hour, "{apart:?}");
    }
}
