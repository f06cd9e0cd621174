//! Which order is sent next, when each was sent, and when it was handled.
//!
//! All of a run are on one thread, so nothing here is locked. At most [`MOST_WAITING`] orders are sent and
//! not handled: who sends faster than it is handled has to wait, else a run would measure its own backlog.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::figures::Waits;

/// The most orders that may be sent and not handled.
pub const MOST_WAITING: usize = 4096;

pub struct Clock {
    began: Cell<Instant>,
    ends: Duration,
    /// So long lies between two orders, if they are not sent as fast as can be.
    pace: Option<Duration>,
    sent: RefCell<Vec<Duration>>,
    handled: RefCell<Vec<Option<Duration>>>,
    done: Cell<usize>,
    changed: Notify,
}

impl Clock {
    pub fn new(seconds: f64, pace: Option<Duration>) -> Self {
        Clock {
            began: Cell::new(Instant::now()),
            ends: Duration::from_secs_f64(seconds),
            pace,
            sent: RefCell::default(),
            handled: RefCell::default(),
            done: Cell::new(0),
            changed: Notify::new(),
        }
    }

    /// From now on orders are sent.
    pub fn start(&self) {
        self.began.set(Instant::now());
    }

    fn over(&self) -> bool {
        self.began.get().elapsed() >= self.ends
    }

    /// The numbers of the next orders, at most so many, which are sent now; none if none may be now.
    pub fn take(&self, most: usize) -> std::ops::Range<usize> {
        let first = self.sent.borrow().len();
        if self.over() {
            return first..first;
        }
        let room = MOST_WAITING.saturating_sub(first - self.done.get());
        let now = self.began.get().elapsed();
        let due = self.pace.map_or(usize::MAX, |pace| {
            let due = now.as_nanos() / pace.as_nanos().max(1) + 1;
            usize::try_from(due)
                .unwrap_or(usize::MAX)
                .saturating_sub(first)
        });
        let count = most.min(room).min(due);
        self.sent.borrow_mut().resize(first + count, now);
        self.handled.borrow_mut().resize(first + count, None);
        first..first + count
    }

    /// The same, but waits until there is one; none when the time is over.
    pub async fn next(&self, most: usize) -> std::ops::Range<usize> {
        loop {
            let taken = self.take(most);
            if !taken.is_empty() || self.over() {
                return taken;
            }
            // Whatever comes first: something is handled, the next is due, the time is over.
            let soon = self
                .pace
                .map_or(Duration::from_millis(20), |_| Duration::from_millis(1));
            let _ = tokio::time::timeout(soon, self.changed.notified()).await;
        }
    }

    /// Notes that an order was handled: what it led to is durable, and so is that it is done.
    pub fn handled(&self, number: usize) {
        let mut handled = self.handled.borrow_mut();
        if let Some(at @ None) = handled.get_mut(number) {
            *at = Some(self.began.get().elapsed());
            self.done.set(self.done.get() + 1);
            self.changed.notify_waiters();
        }
    }

    /// Notes that so many are handled in all, in the order in which they were sent.
    pub fn handled_in_all(&self, count: usize) {
        for number in self.done.get()..count {
            self.handled(number);
        }
    }

    pub fn sent(&self) -> usize {
        self.sent.borrow().len()
    }

    /// Whether everything that was or will be sent is handled.
    pub fn is_done(&self) -> bool {
        self.over() && self.done.get() == self.sent()
    }

    /// Waits for that.
    pub async fn all_handled(&self) {
        while !self.is_done() {
            let _ = tokio::time::timeout(Duration::from_millis(5), self.changed.notified()).await;
        }
    }

    /// From the first send to the last ack.
    pub fn elapsed(&self) -> Duration {
        let handled = self.handled.borrow();
        handled.iter().flatten().max().copied().unwrap_or_default()
    }

    /// How long each took from its send until it was handled.
    pub fn waits(&self) -> Waits {
        let mut waits = Waits::default();
        for (sent, handled) in self.sent.borrow().iter().zip(self.handled.borrow().iter()) {
            if let Some(handled) = handled {
                waits.add(handled.saturating_sub(*sent));
            }
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_numbered_and_counted_once() {
        let clock = Clock::new(60.0, None);
        assert_eq!(clock.take(3), 0..3);
        assert_eq!(clock.take(MOST_WAITING), 3..MOST_WAITING);
        assert!(clock.take(1).is_empty(), "too many would wait");
        clock.handled(1);
        clock.handled(1);
        assert_eq!(clock.take(5), MOST_WAITING..MOST_WAITING + 1);
        assert!(!clock.is_done());
        assert_eq!(clock.waits().len(), 1);
    }

    #[test]
    fn when_the_time_is_over_nothing_is_sent() {
        let clock = Clock::new(0.0, None);
        assert!(clock.take(1).is_empty() && clock.is_done());
        let paced = Clock::new(60.0, Some(Duration::from_secs(30)));
        assert_eq!(paced.take(10), 0..1);
        assert!(paced.take(10).is_empty());
    }
}
