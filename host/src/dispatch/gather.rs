//! Gathering what is leased until it is a batch.
//!
//! Decides when a batch is complete: when it has as many messages or bytes as it may, when nothing
//! more can come, or when its first message has waited long enough. Time is an argument, and what a
//! message is does not matter here.

use std::time::Duration;

use tokio::time::Instant;

/// How batches of a queue are gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// The most messages of a batch.
    pub size: usize,
    /// How long the first message waits for others; not at all if zero.
    pub wait: Duration,
    /// The most bytes of bodies and attributes of a batch, beyond its first message.
    pub bytes: u64,
}

/// What has been gathered so far.
pub(super) struct Gather<T> {
    limits: BatchLimits,
    waiting: Vec<T>,
    bytes: u64,
    /// When what waits has waited long enough.
    due: Option<Instant>,
}

impl<T> Gather<T> {
    pub fn new(limits: BatchLimits) -> Self {
        Gather {
            limits,
            waiting: Vec::new(),
            bytes: 0,
            due: None,
        }
    }

    /// Takes a message in. Returns a batch if that is complete with it, or has no room for it. Ask
    /// [`Gather::take_if_due`] when all that has come is in.
    pub fn add(&mut self, message: T, bytes: u64, now: Instant) -> Option<Vec<T>> {
        let too_many = !self.waiting.is_empty() && self.bytes + bytes > self.limits.bytes;
        let before = too_many.then(|| self.take());
        self.waiting.push(message);
        self.bytes += bytes;
        self.due.get_or_insert(now + self.limits.wait);
        let full = self.waiting.len() >= self.limits.size || self.bytes >= self.limits.bytes;
        // What came too much may be a batch of its own: `take_if_due` is asked right after.
        before.or_else(|| full.then(|| self.take()))
    }

    /// What there is, if there is no reason to wait any longer: `held` messages of the queue are in
    /// flight with those here, and no more than `most` can be.
    pub fn take_if_due(&mut self, now: Instant, held: usize, most: usize) -> Option<Vec<T>> {
        let full = self.waiting.len() >= self.limits.size || self.bytes >= self.limits.bytes;
        let due = self.due.is_some_and(|due| due <= now);
        (due || (!self.waiting.is_empty() && (full || held >= most))).then(|| self.take())
    }

    /// When to look again, if anything waits.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// What there is.
    pub fn take(&mut self) -> Vec<T> {
        self.bytes = 0;
        self.due = None;
        std::mem::take(&mut self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn gather(size: usize, wait: Duration, bytes: u64) -> Gather<u32> {
        Gather::new(BatchLimits { size, wait, bytes })
    }

    #[test]
    fn a_batch_is_complete_at_its_size_without_a_wait() {
        let now = Instant::now();
        let mut gather = gather(3, SECOND, 100);
        assert_eq!(gather.add(1, 1, now), None);
        assert_eq!(gather.add(2, 1, now), None);
        assert_eq!(gather.add(3, 1, now), Some(vec![1, 2, 3]));
        assert_eq!((gather.due(), gather.take_if_due(now, 3, 9)), (None, None));
    }

    #[test]
    fn the_first_message_waits_for_others_as_long_as_it_may_and_no_longer() {
        let now = Instant::now();
        let mut gather = gather(3, SECOND, 100);
        assert_eq!(gather.add(1, 1, now), None);
        assert_eq!(gather.add(2, 1, now + SECOND / 2), None);
        assert_eq!(gather.due(), Some(now + SECOND));
        assert_eq!(gather.take_if_due(now + SECOND / 2, 2, 9), None);
        assert_eq!(gather.take_if_due(now + SECOND, 2, 9), Some(vec![1, 2]));
        assert_eq!(gather.due(), None);
    }

    #[test]
    fn without_a_wait_it_takes_what_is_there() {
        let now = Instant::now();
        let mut gather = gather(3, Duration::ZERO, 100);
        assert_eq!(gather.add(1, 1, now), None);
        assert_eq!(gather.add(2, 1, now), None);
        assert_eq!(gather.take_if_due(now, 2, 9), Some(vec![1, 2]));
    }

    #[test]
    fn nothing_waits_when_nothing_more_can_come() {
        let now = Instant::now();
        let mut gather = gather(3, SECOND, 100);
        assert_eq!(gather.add(1, 1, now), None);
        assert_eq!(gather.take_if_due(now, 4, 5), None);
        assert_eq!(gather.take_if_due(now, 5, 5), Some(vec![1]));
        assert_eq!(gather.take_if_due(now, 5, 5), None, "there is nothing");
    }

    #[test]
    fn a_batch_holds_no_more_bytes_than_it_may_and_a_larger_message_is_its_own() {
        let now = Instant::now();
        let mut gather = gather(9, SECOND, 10);
        assert_eq!(gather.add(1, 6, now), None);
        assert_eq!(gather.add(2, 5, now), Some(vec![1]));
        assert_eq!(gather.add(3, 5, now), Some(vec![2, 3]));
        assert_eq!(gather.add(4, 1, now), None);
        assert_eq!(gather.add(5, 50, now), Some(vec![4]));
        assert_eq!(gather.take_if_due(now, 2, 9), Some(vec![5]));
        assert_eq!(gather.add(6, 50, now), Some(vec![6]));
    }
}
