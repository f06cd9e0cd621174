//! After every step: does the store hold what the reference holds, and start what it must?

use std::collections::BTreeMap;

use gristmill_queue::Reason;
use gristmill_queue::outcome::AttemptRecord;
use gristmill_store::{DeadFilter, Leased, Store};

use super::reference::{Dead, Message};
use super::rig::{HANDLER, name};
use super::script::ALL;
use super::world::{Flight, World};

impl World {
    /// Lets the store go on until it rests, and compares.
    pub fn observe(&mut self) {
        self.reference.pass();
        let delivered = self.rig.delivered();
        self.collect();
        self.learn_ids(&delivered);
        for leased in delivered {
            self.check_start(&leased);
        }
        let left = self.reference.next();
        assert!(left.is_empty(), "{left:?} should have been delivered");
        self.check_handed();
        self.check_depths();
        for queue in ALL {
            self.check_waiting(queue);
            self.check_halted(queue);
            self.check_dead(queue);
        }
        self.check_state();
        self.check_crontab();
        self.check_topics();
        self.check_redrives();
        self.check_large();
    }

    fn check_start(&mut self, leased: &Leased) {
        let sequence = leased.fence.sequence;
        let next = self.reference.next();
        assert!(
            next.contains(&sequence),
            "{sequence} is delivered, but next are {next:?}: {:?}",
            self.reference.messages.get(&sequence)
        );
        let waited = &self.reference.messages[&sequence];
        let fresh = waited.suspect || waited.wants_fresh || waited.conflicts > 0;
        let cut_off = waited.history.last().map(|(reason, _)| *reason);
        let alone = fresh || !matches!(cut_off, None | Some(Reason::Retry | Reason::Rejected));
        let attempt = self.reference.start(sequence);
        let message = &self.reference.messages[&sequence];
        check_message(message, &leased.message, &self.rig.store);
        assert_eq!(leased.attempt, attempt, "attempt of {sequence}");
        assert_eq!(leased.fresh, fresh, "whether {sequence} runs fresh");
        assert_eq!(leased.alone, alone, "whether {sequence} runs by itself");
        let policy = &self.reference.queues[&message.queue].policy;
        assert_eq!(leased.max_attempts, policy.retry.max_attempts);
        let last = message.history.last().map(|(_, error)| error.as_str());
        match (last, leased.previous_failure.as_deref()) {
            (Some(""), Some(_)) => {}
            (expected, told) => assert_eq!(told, expected),
        }
        self.reference.tally.note("attempts");
        self.flights.push(Flight {
            fence: leased.fence,
            transaction: None,
            work: super::state::Work::default(),
        });
    }

    fn check_depths(&self) {
        let views = self.rig.wait(self.rig.store.views()).unwrap();
        for view in views
            .iter()
            .filter(|view| view.name.as_str() != super::script::GATE)
        {
            let queue = view.name.as_str();
            let of = |f: &dyn Fn(&Message) -> bool| {
                self.reference.of_queue(queue).filter(|m| f(m)).count() as u64
            };
            let dead = self
                .reference
                .dead
                .values()
                .filter(|dead| dead.message.queue == queue);
            let bytes: usize = self.reference.of_queue(queue).map(|m| m.body.len()).sum();
            let expected = gristmill_queue::board::Depths {
                ready: of(&|m| !m.in_flight && !self.reference.is_scheduled(m)),
                scheduled: of(&|m| self.reference.is_scheduled(m)),
                in_flight: of(&|m| m.in_flight),
                dead: dead.count() as u64,
                bytes: bytes as u64,
            };
            assert_eq!(view.depths, expected, "depths of {queue}");
            assert_eq!(view.pulled, of(&|m| m.pulled.is_some()), "held of {queue}");
            assert_eq!(view.declared, self.reference.queues[queue].declared);
            let dropped = self.reference.queues[queue].dropped;
            assert_eq!(view.totals.dropped, dropped, "dropped from {queue}");
            let skipped = self.reference.queues[queue].skipped;
            assert_eq!(view.totals.groups_skipped, skipped, "skipped in {queue}");
            let halted = self.reference.halted.keys().filter(|key| key.0 == queue);
            assert_eq!(view.halted_groups, halted.count() as u64);
        }
    }

    fn check_waiting(&self, queue: &str) {
        let peeked = self
            .rig
            .wait(self.rig.store.peek(name(queue), 10_000))
            .unwrap();
        let mut expected: BTreeMap<u64, &Message> = self
            .reference
            .of_queue(queue)
            .filter(|m| !m.in_flight)
            .map(|m| (m.id.sequence(), m))
            .collect();
        for peeked in peeked {
            let sequence = peeked.message.id.sequence();
            let message = expected.remove(&sequence);
            let message =
                message.unwrap_or_else(|| panic!("{sequence} should not wait in {queue}"));
            check_message(message, &peeked.message, &self.rig.store);
            assert_eq!(peeked.due.unix_ms(), message.due, "due of {sequence}");
            let expires = peeked.row.expires_at.map(|time| time.unix_ms());
            assert_eq!(expires, message.expires, "expiry of {sequence}");
            assert_eq!(
                peeked.row.suspect, message.suspect,
                "suspicion of {sequence}"
            );
            check_counts(message, &peeked.row.counters);
            check_history(message, &peeked.attempts);
        }
        assert!(expected.is_empty(), "missing in {queue}: {expected:?}");
    }

    fn check_halted(&self, queue: &str) {
        let halted = self.rig.store.halted_groups(name(queue), None, 1000);
        let halted = self.rig.wait(halted).unwrap();
        let found: BTreeMap<String, _> = halted
            .into_iter()
            .map(|found| (found.halted.unwrap(), found.waiting))
            .map(|(halted, waiting)| {
                let why = (halted.since.unix_ms(), halted.died, halted.reason);
                (halted.group, (why, waiting))
            })
            .collect();
        let expected = self
            .reference
            .halted
            .iter()
            .filter(|(key, _)| key.0 == queue);
        let expected: BTreeMap<String, _> = expected
            .map(|((_, group), why)| {
                let waits = |m: &&Message| m.group.as_ref() == Some(group) && !m.in_flight;
                let waiting = self.reference.of_queue(queue).filter(waits).count();
                (group.clone(), (*why, waiting as u64))
            })
            .collect();
        assert_eq!(found, expected, "halted in {queue}");
    }

    fn check_dead(&mut self, queue: &str) {
        let store = &self.rig.store;
        let listed = store
            .dead(&name(queue), &DeadFilter::default(), 0, 10_000)
            .unwrap();
        let mut expected: BTreeMap<u64, &Dead> = self
            .reference
            .dead
            .iter()
            .filter(|(_, dead)| dead.message.queue == queue)
            .map(|(sequence, dead)| (*sequence, dead))
            .collect();
        for summary in listed {
            let sequence = summary.sequence;
            let dead = expected.remove(&sequence);
            let dead = dead.unwrap_or_else(|| panic!("{sequence} should not be dead in {queue}"));
            assert_eq!(summary.reason, dead.reason);
            assert_eq!(summary.died_at.unix_ms(), dead.died);
            assert_eq!(summary.forget_at.map(|time| time.unix_ms()), dead.forgotten);
            let letter = store.dead_letter_of(&name(queue), dead.message.id).unwrap();
            check_message(&dead.message, &letter.message, &self.rig.store);
            assert_eq!(
                (letter.reason, letter.fingerprint),
                (dead.reason, summary.fingerprint)
            );
            check_counts(&dead.message, &letter.counters);
            check_history(&dead.message, &letter.attempts);
            check_error(dead, &letter.error);
            self.fingerprints.insert(sequence, summary.fingerprint);
        }
        assert!(expected.is_empty(), "not dead in {queue}: {expected:?}");
    }

    fn check_state(&self) {
        let reader = self.rig.store.state(HANDLER.into());
        let keys = reader.list("", None, 100).unwrap();
        let values = &self.reference.state.values;
        assert!(
            keys.iter().eq(values.keys()),
            "{keys:?} instead of {values:?}"
        );
        for (key, value) in values {
            let stored = reader.get(key).unwrap().unwrap();
            assert_eq!(
                (stored.value.to_vec(), stored.counter),
                (value.bytes.clone(), value.counter)
            );
        }
    }
}

pub fn check_message(expected: &Message, found: &gristmill_queue::Message, store: &Store) {
    assert_eq!(found.id, expected.id);
    assert_eq!(found.queue.as_str(), expected.queue);
    let body = super::large::body_of(found, store);
    assert_eq!(body, expected.body, "body of {}", expected.id);
    assert_eq!(super::standin::label(found), expected.label);
    assert_eq!(found.envelope.group, expected.group);
    assert_eq!(found.envelope.correlation_id, expected.correlation);
    assert_eq!(found.envelope.causation_id, expected.causation);
    assert_eq!(found.envelope.reply_to.is_some(), expected.asks);
    assert_eq!(
        found.envelope.attribute("gristmill-topic"),
        expected.topic.as_deref()
    );
    assert_eq!(
        found.envelope.attribute("gristmill-tick"),
        expected.tick.as_deref()
    );
    assert_eq!(found.envelope.priority.level(), expected.priority);
}

fn check_counts(expected: &Message, found: &gristmill_queue::Counters) {
    let counts = &expected.counts;
    assert_eq!(
        (
            found.attempts,
            found.postponed,
            found.crashes,
            found.redriven
        ),
        (
            counts.attempts,
            counts.postponed,
            counts.crashes,
            counts.redriven
        ),
        "counts of {}",
        expected.id
    );
}

fn check_history(expected: &Message, found: &[AttemptRecord]) {
    let kept = expected.history.len().saturating_sub(20);
    let expected_reasons = expected.history[kept..].iter().map(|(reason, _)| *reason);
    let found_reasons = found.iter().map(|attempt| attempt.reason);
    assert!(
        expected_reasons.eq(found_reasons),
        "history of {}: {found:?} instead of {:?}",
        expected.id,
        expected.history
    );
    for ((_, error), found) in expected.history[kept..].iter().zip(found) {
        assert!(error.is_empty() || *error == found.error);
    }
}

/// A letter says what it died of, in words.
fn check_error(dead: &Dead, error: &str) {
    let last = dead.message.history.last();
    match dead.reason {
        Reason::Expired => assert!(
            error.contains("expired")
                || last.is_some_and(|(_, last)| last.is_empty() || last == error),
            "expired: {error:?}"
        ),
        Reason::LeaseExpired => assert!(error.contains("the lease ended"), "{error:?}"),
        Reason::HostCrash => assert!(error.contains("host died"), "{error:?}"),
        Reason::GroupFailed => assert!(error.contains("before it in its group"), "{error:?}"),
        Reason::PostponedTooOften => assert!(error.contains("postponed"), "{error:?}"),
        _ => assert_eq!(Some(error), last.map(|(_, error)| error.as_str())),
    }
}
