//! Keys, rates and shared slots, as the list knows them: every bucket is filled millisecond by
//! millisecond and none is forgotten, and whose turn it is follows from who has waited longest.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use super::*;
use crate::key::{KeyHash, KeySource};
use crate::policy::KeyPolicy;
use crate::rate::Rate;

/// All rates are so many per this time, so that nothing is rounded when one is changed.
const PER_MS: u64 = 20;

pub(super) type Key = Option<KeyHash>;

/// Keys take turns within a priority.
type Turn = (Priority, Key);

/// What the list keeps of a queue's limits.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    bucket: Option<Bucket>,
    rate_per_key: Option<Rate>,
    buckets: BTreeMap<Key, Bucket>,
    /// Since which step a key waits for its turn.
    pub since: BTreeMap<Turn, u64>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    rate: Rate,
    /// Of a token, in parts of which a millisecond brings one for each token of the rate.
    parts: u64,
}

impl Bucket {
    fn full(rate: Rate) -> Self {
        let parts = u64::from(rate.burst()) * PER_MS;
        Bucket { rate, parts }
    }

    fn has_token(&self) -> bool {
        self.parts >= PER_MS
    }

    fn change(&mut self, rate: Rate) {
        let missing = Self::full(self.rate).parts - self.parts;
        *self = Self::full(rate);
        self.parts = self.parts.saturating_sub(missing);
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms {
            self.parts += u64::from(self.rate.count());
            self.parts = self.parts.min(Self::full(self.rate).parts);
        }
    }

    /// How long until there is a token.
    fn opens_in(mut self) -> u64 {
        let closed = |_: &u64| {
            let closed = !self.has_token();
            self.pass(1);
            closed
        };
        (0..).take_while(closed).count() as u64
    }
}

impl Flow {
    /// Buckets are full after a start.
    pub fn restart(&mut self, policy: &QueuePolicy) {
        *self = Flow::default();
        self.change(policy);
    }

    pub fn change(&mut self, policy: &QueuePolicy) {
        match (&mut self.bucket, policy.rate) {
            (Some(bucket), Some(rate)) => bucket.change(rate),
            (bucket, rate) => *bucket = rate.map(Bucket::full),
        }
        self.rate_per_key = policy.key.as_ref().and_then(|key| key.rate);
        match self.rate_per_key {
            Some(rate) => self.buckets.values_mut().for_each(|it| it.change(rate)),
            None => self.buckets.clear(),
        }
    }

    pub fn pass(&mut self, ms: u64) {
        let buckets = self.bucket.iter_mut().chain(self.buckets.values_mut());
        buckets.for_each(|bucket| bucket.pass(ms));
    }

    pub fn take_tokens(&mut self, key: Key) {
        if let Some(rate) = self.rate_per_key {
            let bucket = self
                .buckets
                .entry(key)
                .or_insert_with(|| Bucket::full(rate));
            bucket.parts -= PER_MS;
        }
        if let Some(bucket) = &mut self.bucket {
            bucket.parts -= PER_MS;
        }
    }

    pub fn has_token(&self) -> bool {
        self.bucket.is_none_or(|bucket| bucket.has_token())
    }

    pub fn key_has_token(&self, key: Key) -> bool {
        self.buckets.get(&key).is_none_or(Bucket::has_token)
    }

    pub fn is_limited(&self) -> bool {
        self.bucket.is_some() || self.rate_per_key.is_some()
    }

    /// How long until a message with this key could start, by rates alone.
    pub fn opens_in(&self, key: Key) -> u64 {
        let buckets = self.bucket.iter().chain(self.buckets.get(&key));
        buckets.map(|bucket| bucket.opens_in()).max().unwrap_or(0)
    }
}

/// Some rate and limits for each key.
pub(super) fn limits_of(number: u8) -> (Option<Rate>, Option<KeyPolicy>) {
    let rate = |count, burst| Some(Rate::new(count, Duration::from_millis(PER_MS), Some(burst)));
    let key = |concurrency, rate| {
        let source = KeySource::Group;
        Some(KeyPolicy {
            source,
            concurrency,
            rate,
        })
    };
    match number {
        0 => (None, None),
        1 => (rate(1, 1), None),
        2 => (rate(3, 2), key(Some(2), None)),
        3 => (None, key(Some(1), None)),
        4 => (None, key(Some(2), rate(1, 2))),
        5 => (rate(7, 4), key(None, rate(2, 1))),
        _ => (None, key(None, None)),
    }
}

pub(super) fn pool(pools: &[u32; 2], pool: usize) -> (&'static str, NonZeroU32) {
    (["one", "two"][pool], NonZeroU32::new(pools[pool]).unwrap())
}

impl Model {
    /// Whether a message of the queue could start if the queue itself had nothing against it.
    pub(super) fn is_runnable(&self, entry: &Entry) -> bool {
        let key = entry.row.place.key;
        self.is_due(entry) && self.key_is_open(entry.row.queue, key)
    }

    pub(super) fn key_is_open(&self, queue: QueueId, key: Key) -> bool {
        self.key_has_room(queue, key) && self.of(queue).flow.key_has_token(key)
    }

    fn key_has_room(&self, queue: QueueId, key: Key) -> bool {
        let limits = self.of(queue).policy.key.as_ref();
        let in_flight = self.entries.iter().filter(|entry| {
            let in_flight = matches!(entry.state, State::InFlight { .. });
            in_flight && entry.row.queue == queue && entry.row.place.key == key
        });
        let most = limits.and_then(|key| key.concurrency);
        most.is_none_or(|most| in_flight.count() < most as usize)
    }

    pub(super) fn pool_has_room(&self, queue: QueueId) -> bool {
        self.of(queue).pool.is_none_or(|pool| {
            let in_pool = |entry: &&Entry| matches!(entry.state, State::InFlight { pool: Some(at), .. } if at == pool);
            self.entries.iter().filter(in_pool).count() < self.pools[pool] as usize
        })
    }

    /// Those whose turn it is: the oldest of each key that has waited longest in the highest
    /// priority.
    pub(super) fn in_turn(&self, queue: QueueId) -> Vec<usize> {
        let since = &self.of(queue).flow.since;
        let first = since
            .iter()
            .map(|((priority, _), since)| (Reverse(*priority), *since))
            .min();
        let turns = since
            .iter()
            .filter(|((priority, _), since)| Some((Reverse(*priority), **since)) == first);
        let oldest = turns.map(|((priority, key), _)| {
            let of_turn = (0..self.entries.len()).filter(|&i| {
                let Row {
                    queue: of, place, ..
                } = self.entries[i].row;
                (of, place.priority, place.key) == (queue, *priority, *key)
                    && self.is_runnable(&self.entries[i])
            });
            of_turn
                .min_by_key(|&i| {
                    (
                        self.entries[i].row.place.due,
                        self.entries[i].row.place.sequence,
                    )
                })
                .unwrap()
        });
        oldest.collect()
    }

    /// Notes after a step which keys have something to start.
    pub(super) fn note_turns(&mut self) {
        self.step += 1;
        for index in 0..self.queues.len() {
            let of_queue = self
                .entries
                .iter()
                .filter(|entry| entry.row.queue == id(index));
            let runnable = of_queue.filter(|entry| self.is_runnable(entry));
            let turns: BTreeSet<Turn> = runnable
                .map(|entry| (entry.row.place.priority, entry.row.place.key))
                .collect();
            let since = &mut self.queues[index].flow.since;
            since.retain(|turn, _| turns.contains(turn));
            for turn in turns {
                since.entry(turn).or_insert(self.step);
            }
        }
    }

    /// The board wakes when something is due or expires, and not later than a token comes for which
    /// something waits; where there are no rates, not earlier either.
    pub(super) fn check_wake(&self, otherwise: Option<Timestamp>) {
        let wake = self.board.next_wake();
        if !self.queues.iter().any(|queue| queue.flow.is_limited()) {
            assert_eq!(wake, otherwise);
            return;
        }
        let tokens = self.entries.iter().filter(|entry| {
            let queue = entry.row.queue;
            self.is_due(entry)
                && (self.delivers(queue) && !self.is_full(queue) || self.would_pull(queue))
                && self.key_has_room(queue, entry.row.place.key)
        });
        let tokens = tokens.filter_map(|entry| {
            let wait = self.of(entry.row.queue).flow.opens_in(entry.row.place.key);
            (wait > 0).then(|| at(self.now + wait))
        });
        let latest = tokens.chain(otherwise).min();
        assert!(
            latest.is_none_or(|latest| wake.is_some_and(|wake| wake <= latest)),
            "it wakes at {wake:?}, but there is something to do at {latest:?}"
        );
    }
}
