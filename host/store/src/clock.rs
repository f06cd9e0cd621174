//! The clock of the queues: wall-clock time that does not jump.
//!
//! It starts at the wall clock, or at the latest time that the store has seen if that is later,
//! and goes on by the system's uninterrupted clock. So a step of the wall clock while the host
//! runs changes nothing, and time never runs backwards across restarts.

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
}

/// A clock that has been started.
#[derive(Clone, Debug)]
pub(crate) enum RunningClock {
    System { wall: Timestamp, boot: Duration },
    Manual(Arc<AtomicU64>),
}

impl RunningClock {
    /// Starts a clock that shows at least `seen`.
    pub fn start(clock: Clock, seen: Timestamp) -> Self {
        match clock {
            Clock::System => {
                let wall = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                let wall = Timestamp::ZERO.after(wall).max(seen);
                RunningClock::System {
                    wall,
                    boot: since_boot(),
                }
            }
            Clock::Manual(ms) => {
                ms.fetch_max(seen.unix_ms(), Ordering::SeqCst);
                RunningClock::Manual(ms)
            }
        }
    }

    pub fn now(&self) -> Timestamp {
        match self {
            RunningClock::System { wall, boot } => {
                let elapsed = since_boot().saturating_sub(*boot);
                Timestamp::from_unix_ms(
                    wall.unix_ms() + u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX / 2),
                )
            }
            RunningClock::Manual(ms) => Timestamp::from_unix_ms(ms.load(Ordering::SeqCst)),
        }
    }

    /// How long to sleep until `time`; a manual clock is waited for by ticks only.
    pub fn until(&self, time: Timestamp) -> Option<Duration> {
        match self {
            RunningClock::System { .. } => Some(time.since(self.now())),
            RunningClock::Manual(_) => None,
        }
    }
}

fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
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
}
