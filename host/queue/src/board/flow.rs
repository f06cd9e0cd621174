//! The gates of one queue that count: how many of a key are in flight, and whose tokens are used up.
//!
//! A key that may not start is parked in the ready order at once and unparked when an attempt ends or
//! its next token comes, so nothing is ever looked through for one that may. What is left of the
//! rates is kept in memory only: after a restart every bucket is full. A queue without such limits has
//! none of this.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::queue::Queue;
use crate::key::KeyHash;
use crate::rate::{Bucket, Rate};
use crate::ready::ReadyOrder;
use crate::{QueuePolicy, Timestamp, limits};

/// Messages without a key are of one key, too.
type Key = Option<KeyHash>;

#[derive(Debug)]
pub(super) struct Flow {
    bucket: Option<Bucket>,
    keys: Keys,
}

/// What is limited for each key.
#[derive(Debug, Default)]
struct Keys {
    concurrency: Option<u32>,
    rate: Option<Rate>,
    /// Counted only where there is a limit.
    in_flight: BTreeMap<Key, u32>,
    /// What is left of the rate. One that is not in here is full.
    buckets: BTreeMap<Key, Bucket>,
    /// When which of these is full.
    full: BTreeSet<(Timestamp, Key)>,
    /// When which parked key has a token.
    wakes: BTreeSet<(Timestamp, Key)>,
}

impl Queue {
    /// Goes on under another policy; `in_flight` are the keys of what is in flight. Tokens that are
    /// used up stay so.
    pub fn set_policy(
        &mut self,
        policy: QueuePolicy,
        in_flight: impl Iterator<Item = Key>,
        now: Timestamp,
    ) {
        self.pass(now);
        let same = self.policy.rate == policy.rate && self.policy.key == policy.key;
        self.policy = Arc::new(policy);
        if same {
            return;
        }
        let before = self.flow.take().map(|flow| *flow);
        self.order.unpark_all();
        let limits = self.policy.key.as_ref();
        let (concurrency, rate) = limits.map_or((None, None), |key| (key.concurrency, key.rate));
        if self.policy.rate.is_none() && concurrency.is_none() && rate.is_none() {
            return;
        }
        let (bucket, keys) =
            before.map_or((None, Keys::default()), |flow| (flow.bucket, flow.keys));
        let changed = |bucket: Option<Bucket>, rate| match bucket {
            Some(mut bucket) => {
                bucket.refill(now);
                bucket.change(rate);
                bucket
            }
            None => Bucket::new(rate),
        };
        let mut flow = Box::new(Flow {
            bucket: self.policy.rate.map(|rate| changed(bucket, rate)),
            keys: Keys {
                concurrency,
                rate,
                ..Keys::default()
            },
        });
        if let Some(rate) = rate {
            for (key, bucket) in keys.buckets {
                flow.keys
                    .keep(key, changed(Some(bucket), rate), &mut self.order);
            }
        }
        in_flight.for_each(|key| flow.keys.count(key, &mut self.order));
        self.flow = Some(flow);
    }

    /// Lets time pass: tokens come in, and keys that waited for one have it.
    pub fn pass(&mut self, now: Timestamp) {
        let Some(flow) = &mut self.flow else { return };
        if let Some(bucket) = &mut flow.bucket {
            bucket.refill(now);
        }
        flow.keys.pass(now, &mut self.order);
    }

    /// Whether a message with this key could start now, as far as rates are concerned.
    pub fn has_token(&self, key: Key, now: Timestamp) -> bool {
        self.flow.as_ref().is_none_or(|flow| {
            let open = |bucket: Option<&Bucket>| bucket.is_none_or(|it| it.opens_at() <= now);
            open(flow.bucket.as_ref()) && open(flow.keys.buckets.get(&key))
        })
    }

    /// A message starts.
    pub fn begin(&mut self, key: Key, now: Timestamp) {
        self.in_flight += 1;
        let Some(flow) = &mut self.flow else { return };
        if let Some(bucket) = &mut flow.bucket {
            bucket.take(now);
        }
        flow.keys.count(key, &mut self.order);
        flow.keys.take(key, now, &mut self.order);
    }

    /// A message is in flight since before the host started.
    pub fn begin_again(&mut self, key: Key) {
        self.in_flight += 1;
        if let Some(flow) = &mut self.flow {
            flow.keys.count(key, &mut self.order);
        }
    }

    /// A message is no longer in flight.
    pub fn land(&mut self, sequence: u64, key: Key) {
        self.in_flight -= 1;
        self.exclusive = self.exclusive.filter(|&exclusive| exclusive != sequence);
        if let Some(flow) = &mut self.flow {
            flow.keys.discount(key, &mut self.order);
        }
    }

    /// When something that waits for a token has one.
    pub fn next_token(&self) -> Option<Timestamp> {
        let flow = self.flow.as_ref()?;
        let of_queue = flow
            .bucket
            .filter(|_| self.order.is_ready() && (self.is_open() || self.is_open_to_pull()))
            .and_then(|bucket| bucket.waits_until());
        let of_keys = flow.keys.wakes.first().filter(|_| self.order.closed() > 0);
        let of_keys = of_keys.map(|&(time, _)| time);
        match (of_queue, of_keys) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// When the queue's next token comes, if there is none and something could start with it.
    pub fn waits_for_rate(&self, now: Timestamp) -> Option<Timestamp> {
        let bucket = self.flow.as_ref()?.bucket?;
        let opens = bucket.waits_until()?;
        (opens > now && self.order.is_ready()).then_some(opens)
    }

    /// Whether all that is due is of keys that may not start now; and when the first of them may,
    /// if it waits for a token.
    pub fn waits_for_keys(&self) -> Option<Option<Timestamp>> {
        let keys = &self.flow.as_ref()?.keys;
        let waits = self.order.closed() > 0 && !self.order.is_ready();
        waits.then(|| keys.wakes.first().map(|&(time, _)| time))
    }
}

impl Keys {
    fn count(&mut self, key: Key, order: &mut ReadyOrder) {
        let Some(most) = self.concurrency else { return };
        let count = self.in_flight.entry(key).or_default();
        *count += 1;
        if *count >= most {
            order.park(key);
        }
    }

    fn discount(&mut self, key: Key, order: &mut ReadyOrder) {
        if let Some(count) = self.in_flight.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&key);
            }
        }
        self.unpark(key, order);
    }

    fn take(&mut self, key: Key, now: Timestamp, order: &mut ReadyOrder) {
        let Some(rate) = self.rate else { return };
        let mut bucket = match self.buckets.remove(&key) {
            Some(bucket) => {
                self.full.remove(&(bucket.full_at(), key));
                bucket
            }
            None => Bucket::new(rate),
        };
        bucket.take(now);
        self.keep(key, bucket, order);
        if self.buckets.len() > limits::MAX_KEY_BUCKETS {
            self.forget_first(order);
        }
    }

    fn keep(&mut self, key: Key, bucket: Bucket, order: &mut ReadyOrder) {
        self.full.insert((bucket.full_at(), key));
        self.buckets.insert(key, bucket);
        if let Some(opens) = bucket.waits_until() {
            self.wakes.insert((opens, key));
            order.park(key);
        }
    }

    fn pass(&mut self, now: Timestamp, order: &mut ReadyOrder) {
        while let Some(&(opens, key)) = self.wakes.first()
            && opens <= now
        {
            self.wakes.pop_first();
            if let Some(bucket) = self.buckets.get_mut(&key) {
                bucket.refill(now);
            }
            self.unpark(key, order);
        }
        while self.full.first().is_some_and(|&(full, _)| full <= now) {
            self.forget_first(order);
        }
    }

    /// Forgets the bucket that is full first.
    fn forget_first(&mut self, order: &mut ReadyOrder) {
        let Some((_, key)) = self.full.pop_first() else {
            return;
        };
        let bucket = self.buckets.remove(&key);
        if let Some(opens) = bucket.and_then(|bucket| bucket.waits_until()) {
            self.wakes.remove(&(opens, key));
        }
        self.unpark(key, order);
    }

    /// Gives a key its turn back if nothing is against it.
    fn unpark(&self, key: Key, order: &mut ReadyOrder) {
        let in_flight = self.in_flight.get(&key).copied().unwrap_or(0);
        let is_full = self.concurrency.is_some_and(|most| in_flight >= most);
        let bucket = self.buckets.get(&key);
        if !is_full && bucket.is_none_or(|bucket| bucket.waits_until().is_none()) {
            order.unpark(key);
        }
    }
}
