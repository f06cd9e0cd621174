//! Which sends are let in when more come than the host can take, so that none of those waits too long.
//!
//! What is under way at once is bounded, and the bound follows what is seen: while many sends take longer
//! than they may, fewer are let in; while they do not, more are. It is how TCP finds out what a network
//! bears, since neither knows beforehand where the narrow place is: the disk, the writer, the processors, or
//! other programs on them. Down it goes at once to where it should be: of a host that is busy all the time
//! the time that a send takes is in proportion to how many are under way (Little's law).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use gristmill_store::SendError;

use super::turned_away::TurnedAway;

/// So many are let in in any case: fewer would not be faster, since the disk makes them durable together.
const FEW: usize = 32;
/// More than the store lets wait.
const MOST: usize = 16_384;
/// Many are late: one in so many.
const MANY: usize = 4;
/// Too many are reduced to at most so many parts of ten, and at least to a tenth, whatever was seen.
const LESS: usize = 9;
/// Otherwise this part of what is let in is added, again and again.
const MORE: usize = 16;

/// How many may be under way.
#[derive(Debug)]
struct Bound {
    /// How long a send may take.
    limit: Duration,
    most: usize,
    under_way: usize,
    /// What has ended since the bound was last looked at, and how many of those took too long.
    ended: usize,
    late: usize,
    /// How long all of them took together.
    took: Duration,
    /// Many were late the last time as well: once is a disk that was slow for a moment.
    again: bool,
    /// The most that were under way at once since then.
    peak: usize,
}

impl Bound {
    fn new(limit: Duration) -> Self {
        Bound {
            limit,
            most: MOST,
            under_way: 0,
            ended: 0,
            late: 0,
            again: false,
            took: Duration::ZERO,
            peak: 0,
        }
    }

    /// One more, if it may be.
    fn enter(&mut self) -> bool {
        if self.under_way >= self.most {
            return false;
        }
        self.under_way += 1;
        self.peak = self.peak.max(self.under_way);
        true
    }

    /// One less that was turned away after all: it says nothing of how long sends take.
    fn withdraw(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// One less, after so long. Says whether the bound was looked at.
    fn leave(&mut self, took: Duration) -> bool {
        self.withdraw();
        self.ended += 1;
        self.late += usize::from(took > self.limit);
        self.took = self.took.saturating_add(took);
        // What was under way when the bound changed has to end before it is seen what came of that.
        if self.ended < self.peak.max(FEW) {
            return false;
        }
        let late = self.late * MANY > self.ended;
        self.most = match (late, self.again) {
            (true, true) => self.fewer(),
            (true, false) => self.most,
            (false, _) => (self.most + self.most / MORE).min(MOST),
        };
        self.again = late;
        (self.ended, self.late, self.took, self.peak) = (0, 0, Duration::ZERO, self.under_way);
        true
    }

    /// So many that they would take two thirds of the limit on average, since some take twice that.
    fn fewer(&self) -> usize {
        let peak = self.peak.min(self.most);
        let taken = self.took.as_micros().max(1);
        let allowed = self.limit.as_micros() * 2 / 3 * self.ended as u128;
        let bearable = usize::try_from(peak as u128 * allowed / taken).unwrap_or(peak);
        bearable.clamp(peak / 10, peak * LESS / 10).max(FEW)
    }
}

/// Lets sends in, and counts who is turned away.
#[derive(Debug)]
pub(super) struct Admission(Mutex<State>);

#[derive(Debug)]
struct State {
    bound: Bound,
    turned_away: TurnedAway,
}

/// A send that is under way.
pub(super) struct Entered {
    admission: Arc<Admission>,
    at: Instant,
    refused: bool,
}

impl Entered {
    /// The store has turned it away.
    pub fn refuse(mut self) {
        self.refused = true;
    }
}

impl Admission {
    /// None should take longer than that.
    pub fn new(limit: Duration) -> Self {
        Admission(Mutex::new(State {
            bound: Bound::new(limit),
            turned_away: TurnedAway::default(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a send in: it is under way until what is returned is dropped.
    ///
    /// # Errors
    /// When too many are.
    pub fn enter(self: &Arc<Self>) -> Result<Entered, SendError> {
        let mut state = self.lock();
        if state.bound.enter() {
            drop(state);
            return Ok(Entered {
                admission: Arc::clone(self),
                at: Instant::now(),
                refused: false,
            });
        }
        let waiting = state.bound.under_way;
        drop(state);
        self.turned_away();
        Err(SendError::Busy { waiting })
    }

    /// One was turned away, here or by the store.
    pub fn turned_away(&self) {
        let mut state = self.lock();
        state.turned_away.add();
        let untold = state.turned_away.take_untold(Instant::now());
        drop(state);
        tell(untold);
    }

    /// How many were.
    pub fn count(&self) -> u64 {
        self.lock().turned_away.all()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.admission.lock();
        if self.refused {
            state.bound.withdraw();
            drop(state);
            return self.admission.turned_away();
        }
        let looked = state.bound.leave(now.saturating_duration_since(self.at));
        let untold = match looked {
            true => state.turned_away.take_untold(now),
            false => None,
        };
        drop(state);
        tell(untold);
    }
}

fn tell(untold: Option<u64>) {
    if let Some(count) = untold {
        tracing::warn!(
            count,
            "requests were turned away: sends took longer than host.max_wait, or too much waits for the store"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(10);

    /// A host that deals with so many sends in a millisecond, and clients that send one after the other; who
    /// is turned away comes again after 50 ms. Time goes by in steps of a millisecond.
    struct Simulation {
        bound: Bound,
        rate: usize,
        now: u64,
        /// When each of those under way came.
        queue: VecDeque<u64>,
        /// How many come back when.
        away: VecDeque<(u64, usize)>,
        waits: Vec<u64>,
        refused: usize,
    }

    impl Simulation {
        fn new(rate: usize, clients: usize) -> Self {
            Simulation {
                bound: Bound::new(LIMIT),
                rate,
                now: 0,
                queue: VecDeque::new(),
                away: VecDeque::from([(0, clients)]),
                waits: Vec::new(),
                refused: 0,
            }
        }

        fn run(&mut self, steps: u64) {
            for _ in 0..steps {
                self.now += 1;
                let mut free = 0;
                for _ in 0..self.rate.min(self.queue.len()) {
                    let came = self.queue.pop_front().unwrap();
                    self.waits.push(self.now - came);
                    self.bound.leave(Duration::from_millis(self.now - came));
                    free += 1;
                }
                while self.away.front().is_some_and(|(at, _)| *at <= self.now) {
                    free += self.away.pop_front().unwrap().1;
                }
                for _ in 0..free {
                    if self.bound.enter() {
                        self.queue.push_back(self.now);
                    } else {
                        self.refused += 1;
                        self.away.push_back((self.now + 50, 1));
                    }
                }
            }
        }

        /// The longest wait of the last so many.
        fn longest(&self, last: usize) -> u64 {
            *self.waits[self.waits.len() - last..].iter().max().unwrap()
        }
    }

    #[test]
    fn under_overload_few_wait_longer_than_they_may_and_the_host_is_busy_all_the_time() {
        for (rate, clients) in [(10, 1_000), (30, 1_000), (30, 5_000), (100, 4_000)] {
            let mut host = Simulation::new(rate, clients);
            host.run(1_000);
            let before = host.waits.len();
            host.run(1_000);
            let done = host.waits.len() - before;
            assert!(done * 100 >= rate * 1_000 * 95, "{done} of {rate} a ms");
            let longest = host.longest(done);
            assert!(longest <= 15, "{longest} ms, {rate} a ms");
        }
    }

    #[test]
    fn nobody_is_turned_away_by_a_host_that_is_fast_enough() {
        let mut host = Simulation::new(200, 1_000);
        host.run(2_000);
        assert_eq!(host.refused, 0);
    }

    #[test]
    fn a_host_that_is_slow_however_little_it_has_to_do_lets_a_few_in() {
        let mut bound = Bound::new(LIMIT);
        for _ in 0..1_000 {
            assert!((0..FEW).all(|_| bound.enter()));
            for _ in 0..FEW {
                bound.leave(LIMIT * 5);
            }
        }
        assert!((0..FEW).all(|_| bound.enter()));
        assert!(!bound.enter(), "no more than a few");
    }

    #[test]
    fn one_who_takes_long_keeps_nobody_out() {
        let mut bound = Bound::new(LIMIT);
        for n in 0..10_000 {
            assert!(bound.enter());
            // A fifth of them is slow, be it that their disk was.
            bound.leave(LIMIT * if n % 5 == 0 { 100 } else { 1 });
        }
        assert_eq!(bound.most, MOST);
    }

    #[test]
    fn a_disk_that_is_slow_for_a_moment_keeps_nobody_out() {
        let mut bound = Bound::new(LIMIT);
        for round in 0..100 {
            assert!((0..FEW * 4).all(|_| bound.enter()));
            for _ in 0..FEW * 4 {
                bound.leave(LIMIT * if round % 2 == 0 { 100 } else { 1 } / 2);
            }
        }
        assert_eq!(bound.most, MOST);
    }

    #[test]
    fn when_the_overload_is_over_it_is_forgotten() {
        let mut bound = Bound::new(LIMIT);
        for _ in 0..10_000 {
            bound.enter();
            bound.leave(LIMIT * 2);
        }
        assert_eq!(bound.most, FEW);
        for _ in 0..FEW * MORE * 10 {
            bound.enter();
            bound.leave(LIMIT / 2);
        }
        assert!(bound.most > FEW * 100, "{}", bound.most);
    }

    #[test]
    fn who_is_turned_away_is_told_and_counted_and_who_leaves_makes_room() {
        let admission = Arc::new(Admission::new(LIMIT));
        admission.lock().bound.most = 2;
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        for refused in 1..=3 {
            let told = admission.enter().err();
            assert_eq!(told, Some(SendError::Busy { waiting: 2 }));
            assert_eq!(admission.count(), refused);
        }
        drop(first);
        assert!(admission.enter().is_ok());
    }

    #[test]
    fn what_the_store_turns_away_at_once_does_not_hide_that_sends_are_slow() {
        let admission = Arc::new(Admission::new(LIMIT));
        for _ in 0..FEW * 2 {
            admission.enter().unwrap().refuse();
            admission.enter().unwrap().refuse();
            let mut slow = admission.enter().unwrap();
            slow.at -= LIMIT * 2;
        }
        assert_eq!(admission.count(), 4 * FEW as u64);
        let state = admission.lock();
        assert_eq!(state.bound.under_way, 0);
        assert_eq!(state.bound.most, FEW, "each of those that ended was late");
    }
}
