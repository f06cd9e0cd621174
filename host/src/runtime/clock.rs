//! The time that one delivery may take, watched from two sides.
//!
//! While the guest computes, the epoch callback looks at the clock at every tick. While the guest
//! waits in a host call no epoch reaches it, so the future around the call looks at the clock at
//! every poll and sets a timer when it is first suspended: a call that never waits costs no timer.
//! Both sides see the same [`Clock`], because `delivery.extend` may move the deadline at any time.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::Sleep;

use super::spec::HandlerLimits;

/// How often the epoch advances: the grain of CPU limits, and how long a guest may compute before
/// others get a turn.
pub(super) const TICK: Duration = Duration::from_millis(1);

/// For how long a guest may compute in one delivery and still be a quick one, in whole ticks.
pub const QUICK: Duration = Duration::from_millis(2);

thread_local! {
    /// A guest that was running on this thread has computed for longer than [`QUICK`].
    static LONG: Cell<bool> = const { Cell::new(false) };
}

/// Whether a guest that was polled on this thread since this was last asked has by now computed for longer
/// than [`QUICK`].
#[must_use]
pub fn took_long() -> bool {
    LONG.take()
}

/// As a guest does that has computed for longer: one that was stopped has cost as much.
pub(crate) fn note_long() {
    LONG.set(true);
}

/// Why the host stopped a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its wall-clock time was up.
    Deadline,
    /// Its CPU time was used up.
    Cpu,
}

/// The clock of one instance, set anew for each delivery. All times are nanoseconds since `origin`.
pub(super) struct Clock {
    origin: Instant,
    began: AtomicU64,
    deadline: AtomicU64,
    latest: AtomicU64,
    ticks: AtomicU64,
    max_ticks: AtomicU64,
    running: AtomicU64,
    stopped: AtomicU8,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock {
            origin: Instant::now(),
            began: AtomicU64::new(0),
            deadline: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            max_ticks: AtomicU64::new(0),
            running: AtomicU64::new(0),
            stopped: AtomicU8::new(0),
        }
    }

    /// Starts the time of a delivery.
    pub(super) fn start(&self, limits: &HandlerLimits) {
        let now = self.now();
        self.began.store(now, Relaxed);
        self.deadline
            .store(now.saturating_add(nanos(limits.timeout)), Relaxed);
        let latest = limits.max_timeout.max(limits.timeout);
        self.latest
            .store(now.saturating_add(nanos(latest)), Relaxed);
        let ticks = limits.cpu_time.as_nanos().div_ceil(TICK.as_nanos()).max(1);
        self.max_ticks
            .store(u64::try_from(ticks).unwrap_or(u64::MAX), Relaxed);
        self.ticks.store(0, Relaxed);
        self.running.store(0, Relaxed);
        self.stopped.store(0, Relaxed);
    }

    /// Wall-clock time since the start.
    pub(super) fn wall(&self) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(self.began.load(Relaxed)))
    }

    /// Time spent running on a thread, and not waiting, since the start.
    pub(super) fn cpu(&self) -> Duration {
        Duration::from_nanos(self.running.load(Relaxed))
    }

    /// Time left.
    pub(super) fn remaining(&self) -> Duration {
        Duration::from_nanos(self.deadline.load(Relaxed).saturating_sub(self.now()))
    }

    /// The whole time granted so far, from the start to the deadline.
    pub(super) fn granted(&self) -> Duration {
        let deadline = self.deadline.load(Relaxed);
        Duration::from_nanos(deadline.saturating_sub(self.began.load(Relaxed)))
    }

    /// Moves the deadline so that at least `need` is left, and says how much is left; `None` if
    /// that is beyond the most a delivery may take.
    pub(super) fn extend(&self, need: Duration) -> Option<Duration> {
        let wanted = self.now().checked_add(nanos(need))?;
        if wanted > self.latest.load(Relaxed) {
            return None;
        }
        self.deadline.fetch_max(wanted, Relaxed);
        Some(self.remaining())
    }

    /// Counts a tick during which the guest was running, and says whether it has to stop.
    pub(super) fn tick(&self) -> Option<Stop> {
        let ticks = self.ticks.fetch_add(1, Relaxed) + 1;
        if u128::from(ticks) * TICK.as_millis() > QUICK.as_millis() {
            LONG.set(true);
        }
        if ticks >= self.max_ticks.load(Relaxed) {
            self.stop(Stop::Cpu);
        } else if self.now() >= self.deadline.load(Relaxed) {
            self.stop(Stop::Deadline);
        }
        self.stopped()
    }

    /// Why the guest was stopped, if it was.
    pub(super) fn stopped(&self) -> Option<Stop> {
        match self.stopped.load(Relaxed) {
            1 => Some(Stop::Deadline),
            2 => Some(Stop::Cpu),
            _ => None,
        }
    }

    fn stop(&self, why: Stop) {
        let code = match why {
            Stop::Deadline => 1,
            Stop::Cpu => 2,
        };
        // The first reason stands.
        let _ = self.stopped.compare_exchange(0, code, Relaxed, Relaxed);
    }

    fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }
}

/// Runs `work` until it is done or the time of `clock` is up; then gives `None`, and `work` is to
/// be dropped.
pub(super) async fn within<F: Future>(
    clock: &Arc<Clock>,
    mut work: Pin<&mut F>,
) -> Option<F::Output> {
    let mut timer: Option<(u64, Pin<Box<Sleep>>)> = None;
    poll_fn(|cx| {
        let before = clock.now();
        let polled = work.as_mut().poll(cx);
        let now = clock.now();
        clock.running.fetch_add(now - before, Relaxed);
        if let Poll::Ready(output) = polled {
            return Poll::Ready(Some(output));
        }
        wait_for_deadline(clock, now, &mut timer, cx)
    })
    .await
}

/// Sets the timer to the deadline, wherever that is by now, until it has passed.
fn wait_for_deadline<T>(
    clock: &Clock,
    mut now: u64,
    timer: &mut Option<(u64, Pin<Box<Sleep>>)>,
    cx: &mut Context<'_>,
) -> Poll<Option<T>> {
    loop {
        let deadline = clock.deadline.load(Relaxed);
        if now >= deadline {
            clock.stop(Stop::Deadline);
            return Poll::Ready(None);
        }
        let at = clock.origin + Duration::from_nanos(deadline);
        let sleep = match timer {
            Some((set, sleep)) => {
                if *set != deadline {
                    sleep.as_mut().reset(at.into());
                    *set = deadline;
                }
                sleep
            }
            None => {
                let sleep = Box::pin(tokio::time::sleep_until(at.into()));
                &mut timer.insert((deadline, sleep)).1
            }
        };
        match sleep.as_mut().poll(cx) {
            Poll::Pending => return Poll::Pending,
            // A timer is coarser than the clock: never let it fire early.
            Poll::Ready(()) => now = clock.now().max(clock.deadline.load(Relaxed)),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(timeout: Duration, max_timeout: Duration) -> Arc<Clock> {
        let clock = Arc::new(Clock::new());
        clock.start(&HandlerLimits {
            timeout,
            max_timeout,
            cpu_time: Duration::from_millis(3),
            ..HandlerLimits::default()
        });
        clock
    }

    #[test]
    fn extending_stops_at_the_most_a_delivery_may_take() {
        let clock = clock(Duration::from_secs(10), Duration::from_secs(100));
        assert!(clock.remaining() <= Duration::from_secs(10));
        assert!(clock.extend(Duration::from_secs(50)).unwrap() > Duration::from_secs(49));
        // Asking for less never shortens.
        assert!(clock.extend(Duration::from_secs(1)).unwrap() > Duration::from_secs(49));
        assert_eq!(clock.extend(Duration::from_secs(101)), None);
        assert_eq!(clock.extend(Duration::MAX), None);
        assert!(clock.granted() < Duration::from_secs(51));
    }

    #[test]
    fn ticks_use_up_the_cpu_time() {
        let clock = clock(Duration::from_secs(10), Duration::from_secs(10));
        assert_eq!([clock.tick(), clock.tick()], [None, None]);
        assert_eq!(clock.tick(), Some(Stop::Cpu));
        clock.start(&HandlerLimits::default());
        assert_eq!((clock.tick(), clock.stopped()), (None, None));
    }

    #[test]
    fn a_guest_that_has_computed_for_longer_than_the_quick_ones_is_noted_once_a_tick() {
        let clock = Clock::new();
        clock.start(&HandlerLimits::default());
        for _ in 0..QUICK.as_millis() {
            clock.tick();
            assert!(!took_long());
        }
        for _ in 0..3 {
            clock.tick();
            assert!(took_long() && !took_long());
        }
    }

    #[tokio::test]
    async fn what_never_ends_is_given_up_at_the_deadline() {
        let clock = clock(Duration::from_millis(5), Duration::from_secs(1));
        let mut never = std::pin::pin!(std::future::pending::<()>());
        assert_eq!(within(&clock, never.as_mut()).await, None);
        assert_eq!(clock.stopped(), Some(Stop::Deadline));
        assert!(clock.wall() >= Duration::from_millis(5));
        let mut ready = std::pin::pin!(std::future::ready(7));
        assert_eq!(within(&clock, ready.as_mut()).await, Some(7));
    }
}
