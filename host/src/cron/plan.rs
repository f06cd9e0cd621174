//! What is to be done about an entry now: decided from the time, without doing it.
//!
//! One tick at a time: only when it is done, or left out for good, is it the next one's turn. A tick
//! is *missed* if nobody was there to do it in time: because no host ran, because the machine slept,
//! or because the tick before it waited for room in its queue.

use std::time::Duration;

use gristmill_queue::Timestamp;
use gristmill_store::{CronMark, LastTick};

use super::schedule::Schedule;
use crate::config::defaults::{CRON_LATE, CRON_MAX_MISSED, CRON_RETRY};

/// What becomes of missed ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// They are left out.
    Skip,
    /// The last of them fires.
    #[default]
    Last,
    /// All fire, up to the latest [`CRON_MAX_MISSED`].
    All,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// This tick fires.
    Fire(Timestamp),
    /// All ticks until then are left out.
    LeaveOut(Timestamp),
}

/// An entry that is kept an eye on.
#[derive(Clone, Debug)]
pub struct Watched {
    schedule: Schedule,
    missed: Missed,
    /// Its ticks up to here are done.
    done: Timestamp,
    /// The tick after that.
    next: Option<Timestamp>,
    /// What was due before could not be done in time.
    since: Timestamp,
    /// Missed ticks up to here fire one after the other: that was decided.
    owed: Timestamp,
    /// The next tick could not be done; it is tried again.
    again: Option<Again>,
    last: Option<LastTick>,
}

#[derive(Clone, Copy, Debug)]
struct Again {
    at: Timestamp,
    tries: u32,
}

impl Watched {
    /// Goes on where the store says; somebody has been there to do ticks `since` then.
    pub fn new(schedule: Schedule, missed: Missed, mark: &CronMark, since: Timestamp) -> Self {
        Watched {
            next: schedule.next_after(mark.done),
            schedule,
            missed,
            done: mark.done,
            since,
            owed: Timestamp::ZERO,
            again: None,
            last: mark.last,
        }
    }

    /// When there is something to do next, if nothing happens before.
    pub fn wake(&self) -> Option<Timestamp> {
        self.next.max(self.again.map(|again| again.at))
    }

    /// Since when somebody has been there to do its ticks.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// The next tick.
    pub fn next(&self) -> Option<Timestamp> {
        self.next
    }

    /// The last tick that fired.
    pub fn last(&self) -> Option<LastTick> {
        self.last
    }

    /// What is to be done at `now`, if anything is. Say what became of it before asking again.
    pub fn due(&mut self, now: Timestamp) -> Option<Due> {
        let next = self.next.filter(|next| *next <= now)?;
        if let Some(again) = self.again {
            // What was tried in time is not missed, however long it takes.
            return (again.at <= now).then_some(Due::Fire(next));
        }
        let in_time = self.since.max(before(now, CRON_LATE));
        if next > in_time || next <= self.owed {
            return Some(Due::Fire(next));
        }
        match self.missed {
            Missed::Skip => Some(Due::LeaveOut(in_time)),
            Missed::Last => Some(
                self.schedule
                    .last_until(in_time)
                    .map_or(Due::LeaveOut(in_time), Due::Fire),
            ),
            Missed::All => {
                self.owed = in_time;
                match self.cut(in_time) {
                    Some(cut) if cut > self.done => Some(Due::LeaveOut(cut)),
                    _ => Some(Due::Fire(next)),
                }
            }
        }
    }

    /// The tick before the latest ones that may be made up for.
    fn cut(&self, until: Timestamp) -> Option<Timestamp> {
        let mut tick = self.schedule.last_until(until)?;
        for _ in 0..CRON_MAX_MISSED {
            if tick <= self.done {
                return None;
            }
            tick = self
                .schedule
                .last_until(before(tick, Duration::from_millis(1)))?;
        }
        Some(tick)
    }

    /// All ticks up to here are done; `last` is the one that fired, if one did.
    pub fn is_done(&mut self, until: Timestamp, last: Option<LastTick>) {
        self.done = until.max(self.done);
        self.next = self.schedule.next_after(self.done);
        self.again = None;
        self.last = last.or(self.last);
    }

    /// What was to be done could not be: it is tried again after a while, longer each time.
    pub fn failed(&mut self, now: Timestamp) {
        let tries = self.again.map_or(0, |again| again.tries);
        let wait = CRON_RETRY
            .min
            .saturating_mul(1 << tries.min(16))
            .min(CRON_RETRY.max);
        self.again = Some(Again {
            at: now.after(wait),
            tries: tries + 1,
        });
    }
}

fn before(time: Timestamp, by: Duration) -> Timestamp {
    let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_unix_ms(time.unix_ms().saturating_sub(by))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: u64 = 60_000;

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_unix_ms(ms)
    }

    fn watched(expression: &str, missed: Missed, done: u64, now: u64) -> Watched {
        let mark = CronMark {
            schedule: 0,
            done: at(done),
            last: None,
        };
        let schedule = Schedule::new(expression, "UTC").unwrap();
        Watched::new(schedule, missed, &mark, at(now))
    }

    /// Does all that is due; the minutes of the ticks that fired.
    fn fire_all(watched: &mut Watched, now: u64) -> Vec<u64> {
        let mut fired = Vec::new();
        while let Some(due) = watched.due(at(now)) {
            let (Due::Fire(until) | Due::LeaveOut(until)) = due;
            assert!(until <= at(now), "{due:?} is not due");
            if matches!(due, Due::Fire(_)) {
                assert_eq!(until.unix_ms() % MINUTE, 0);
                fired.push(until.unix_ms() / MINUTE);
            }
            watched.is_done(until, None);
        }
        fired
    }

    #[test]
    fn each_tick_fires_once_and_in_time() {
        let mut entry = watched("* * * * *", Missed::Skip, 0, 0);
        assert_eq!(entry.wake(), Some(at(MINUTE)));
        assert_eq!(entry.due(at(MINUTE - 1)), None);
        assert_eq!(fire_all(&mut entry, MINUTE), [1]);
        assert_eq!(fire_all(&mut entry, MINUTE), [0; 0]);
        // A minute late is in time still.
        assert_eq!(fire_all(&mut entry, 2 * MINUTE + 59_999), [2]);
        assert_eq!(entry.wake(), Some(at(3 * MINUTE)));
    }

    #[test]
    fn missed_ticks_are_left_out_or_the_last_fires_or_all_do() {
        for (missed, expected) in [
            (Missed::Skip, vec![]),
            (Missed::Last, vec![9]),
            (Missed::All, (1..=9).collect()),
        ] {
            // No host ran from 0 on; one does now.
            let now = 9 * MINUTE + 1;
            let mut entry = watched("* * * * *", missed, 0, now);
            assert_eq!(fire_all(&mut entry, now), expected, "{missed:?}");
            assert_eq!(fire_all(&mut entry, 10 * MINUTE), [10], "{missed:?}");
        }
    }

    #[test]
    fn a_tick_at_the_very_start_of_the_host_counts_as_missed() {
        let mut entry = watched("* * * * *", Missed::Skip, 0, MINUTE);
        assert_eq!(fire_all(&mut entry, MINUTE), [0; 0]);
        assert_eq!(fire_all(&mut entry, 2 * MINUTE), [2]);
    }

    #[test]
    fn all_is_not_more_than_the_latest_thousand() {
        let most = u64::try_from(CRON_MAX_MISSED).unwrap();
        let now = 5000 * MINUTE;
        let mut entry = watched("* * * * *", Missed::All, 0, now);
        let fired = fire_all(&mut entry, now);
        assert_eq!(fired, (5001 - most..=5000).collect::<Vec<_>>());
        let mut just_all = watched("* * * * *", Missed::All, 0, most * MINUTE);
        assert_eq!(fire_all(&mut just_all, most * MINUTE).len() as u64, most);
    }

    #[test]
    fn a_machine_that_slept_has_missed_ticks() {
        let mut entry = watched("* * * * *", Missed::Last, 0, 0);
        assert_eq!(fire_all(&mut entry, MINUTE), [1]);
        // The last missed one, and one that is in time still.
        let woken = 500 * MINUTE + 30_000;
        assert_eq!(fire_all(&mut entry, woken), [499, 500]);
    }

    #[test]
    fn a_tick_that_could_not_be_done_is_tried_again_and_not_lost() {
        let mut entry = watched("* * * * *", Missed::Skip, 0, 0);
        let mut now = MINUTE;
        let mut waits = Vec::new();
        for _ in 0..9 {
            assert_eq!(entry.due(at(now)), Some(Due::Fire(at(MINUTE))));
            entry.failed(at(now));
            assert_eq!(entry.due(at(now)), None, "not at once");
            let again = entry.wake().unwrap().unix_ms();
            waits.push((again - now) / 1000);
            now = again;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        // What came due behind it and is late was missed; what is not fires.
        assert_eq!(fire_all(&mut entry, now), [1, now / MINUTE]);
    }

    #[test]
    fn time_that_stands_still_fires_nothing_twice() {
        let mut entry = watched("* * * * *", Missed::All, 0, 0);
        assert_eq!(fire_all(&mut entry, 3 * MINUTE), [1, 2, 3]);
        assert_eq!(fire_all(&mut entry, 2 * MINUTE), [0; 0]);
        assert_eq!(fire_all(&mut entry, 3 * MINUTE), [0; 0]);
        assert_eq!(entry.wake(), Some(at(4 * MINUTE)));
    }

    proptest! {
        /// Whatever happens: no tick twice, all in order, none before its time, and nothing due is
        /// left when all is done.
        #[test]
        fn ticks_fire_in_order_and_once(
            policy in prop::sample::select(vec![Missed::Skip, Missed::Last, Missed::All]),
            steps in prop::collection::vec((0u64..20 * MINUTE, any::<bool>(), any::<bool>()), 1..40),
        ) {
            let mut now = 7;
            let mut entry = watched("*/2 * * * *", policy, 7, 7);
            let mut last = 0;
            for (pass, fails, restart) in steps {
                now += pass;
                if restart {
                    entry = watched("*/2 * * * *", policy, entry.done.unix_ms(), now);
                }
                if fails && matches!(entry.due(at(now)), Some(Due::Fire(_))) {
                    entry.failed(at(now));
                    prop_assert!(entry.wake().unwrap() > at(now));
                    continue;
                }
                for tick in fire_all(&mut entry, now) {
                    prop_assert!(tick > last && tick * MINUTE <= now);
                    last = tick;
                }
                prop_assert!(entry.wake().unwrap() > at(now), "nothing is left to do");
            }
        }
    }
}
