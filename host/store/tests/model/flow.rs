//! Keys, rates and shared slots, in plain maps: written from the contract, not from the code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gristmill_queue::QueuePolicy;
use gristmill_queue::key::KeySource;
use gristmill_queue::policy::KeyPolicy;
use gristmill_queue::rate::Rate;

use super::reference::{Message, Queue, Reference};
use super::world::World;

/// All rates are so many per second, so that nothing is rounded when one is changed.
const PER_MS: u64 = 1000;

/// Whose turn: a priority and a key.
type Turn = (u8, Option<String>);

/// The policies that limit the flow of a queue.
pub fn limit(policy: &mut QueuePolicy, number: u8) {
    let rate = |count, burst| Some(Rate::new(count, Duration::from_millis(PER_MS), Some(burst)));
    let key = |concurrency, rate| {
        let source = KeySource::Attribute("tenant".to_owned());
        Some(KeyPolicy {
            source,
            concurrency,
            rate,
        })
    };
    policy.concurrency = 4;
    match number {
        10 => policy.key = key(None, None),
        11 => policy.key = key(Some(1), None),
        12 => (policy.rate, policy.key) = (rate(2, 3), key(Some(2), None)),
        _ => policy.key = key(None, rate(1, 2)),
    }
}

/// A bucket is known by how much of it is missing, in thousandths of a token.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    rate: Option<Rate>,
    per_key: Option<Rate>,
    missing: u64,
    missing_of: BTreeMap<Option<String>, u64>,
    /// Since which step a key waits for its turn.
    since: BTreeMap<Turn, u64>,
}

impl Flow {
    /// All buckets are full.
    pub fn new(policy: &QueuePolicy) -> Self {
        Flow {
            rate: policy.rate,
            per_key: policy.key.as_ref().and_then(|key| key.rate),
            ..Flow::default()
        }
    }

    /// What is taken stays taken, as far as that can be.
    fn change(&mut self, policy: &QueuePolicy) {
        self.rate = policy.rate;
        self.per_key = policy.key.as_ref().and_then(|key| key.rate);
        self.missing = self.missing.min(self.rate.map_or(0, full));
        let most = self.per_key.map_or(0, full);
        for missing in self.missing_of.values_mut() {
            *missing = most.min(*missing);
        }
    }

    fn pass(&mut self, ms: u64) {
        let come = |rate: Option<Rate>| ms * u64::from(rate.map_or(0, |rate| rate.count()));
        self.missing = self.missing.saturating_sub(come(self.rate));
        for missing in self.missing_of.values_mut() {
            *missing = missing.saturating_sub(come(self.per_key));
        }
    }

    pub fn start(&mut self, message: &Message) {
        if self.rate.is_some() {
            self.missing += PER_MS;
        }
        if self.per_key.is_some() {
            *self.missing_of.entry(message.key.clone()).or_default() += PER_MS;
        }
        // One that runs alone runs out of turn.
        if !message.suspect {
            self.since.remove(&(message.priority, message.key.clone()));
        }
    }

    /// A pull consumer gets a message: in turn, or behind another of its group.
    pub fn start_pulled(&mut self, message: &Message, behind: bool) {
        let turn = (message.priority, message.key.clone());
        let since = self.since.get(&turn).copied();
        self.start(message);
        self.since.remove(&turn);
        if let Some(since) = since.filter(|_| behind) {
            self.since.insert(turn, since);
        }
    }

    pub fn has_token(&self) -> bool {
        self.rate
            .is_none_or(|rate| self.missing + PER_MS <= full(rate))
    }

    fn key_has_token(&self, key: Option<&String>) -> bool {
        let missing = self.missing_of.get(&key.cloned()).copied().unwrap_or(0);
        self.per_key
            .is_none_or(|rate| missing + PER_MS <= full(rate))
    }
}

fn full(rate: Rate) -> u64 {
    u64::from(rate.burst()) * PER_MS
}

impl Queue {
    pub fn set_policy(&mut self, policy: QueuePolicy) {
        self.flow.change(&policy);
        self.policy = policy;
    }
}

impl Reference {
    pub fn pass_time(&mut self, ms: u64) {
        self.now += ms;
        for queue in self.queues.values_mut() {
            queue.flow.pass(ms);
        }
    }

    /// Whether rates let a message start.
    pub fn has_tokens(&self, message: &Message) -> bool {
        let flow = &self.queues[&message.queue].flow;
        flow.has_token() && flow.key_has_token(message.key.as_ref())
    }

    /// Whether a queue may take another of the slots that it shares.
    pub fn shares_have_room(&self, queue: &Queue) -> bool {
        let taken = self.messages.values().filter(|m| m.shares).count();
        !queue.shared || taken < self.shared_slots as usize
    }

    /// Whether a message waits for nothing but its queue and its key's turn.
    fn is_runnable(&self, message: &Message) -> bool {
        let group = message.group.clone();
        let doomed = group.is_some_and(|group| {
            let group = (message.queue.clone(), group);
            self.doomed.contains_key(&group)
        });
        !message.in_flight
            && !doomed
            && message.due <= self.now
            && self.has_turn(message)
            && self.key_is_open(message)
    }

    /// Whether its key lets a message start.
    pub fn key_is_open(&self, message: &Message) -> bool {
        let queue = &self.queues[&message.queue];
        let most = queue.policy.key.as_ref().and_then(|key| key.concurrency);
        let of_key = self
            .of_queue(&message.queue)
            .filter(|m| m.in_flight && m.key == message.key);
        most.is_none_or(|most| of_key.count() < most as usize)
            && queue.flow.key_has_token(message.key.as_ref())
    }

    /// The messages whose turn it is: in the highest priority that has any, the oldest of the key
    /// that has waited longest. Of keys that wait since the same step any may be next.
    pub fn in_turn(&self, queue: &str) -> Vec<&Message> {
        self.in_turn_for(queue, |m| self.could_run(m))
    }

    /// The same, for whoever may have these.
    pub fn in_turn_for(&self, queue: &str, may: impl Fn(&Message) -> bool) -> Vec<&Message> {
        let since = &self.queues[queue].flow.since;
        let runnable = || {
            self.of_queue(queue)
                .filter(|m| may(m) && self.is_runnable(m))
        };
        let rank = |m: &Message| (9 - m.priority, since[&(m.priority, m.key.clone())]);
        let Some(first) = runnable().map(rank).min() else {
            return Vec::new();
        };
        let oldest = |m: &&Message| {
            let rivals =
                runnable().filter(|other| (other.priority, &other.key) == (m.priority, &m.key));
            rivals
                .min_by_key(|m| (m.due, m.id.sequence()))
                .is_some_and(|oldest| oldest.id == m.id)
        };
        runnable()
            .filter(|m| rank(m) == first)
            .filter(oldest)
            .collect()
    }

    /// Notes after a step which keys have something to start. Who has nothing loses its turn.
    pub fn note_turns(&mut self) {
        self.steps += 1;
        let turns: Vec<BTreeSet<Turn>> = self
            .queues
            .keys()
            .map(|queue| {
                let runnable = self.of_queue(queue).filter(|m| self.is_runnable(m));
                runnable.map(|m| (m.priority, m.key.clone())).collect()
            })
            .collect();
        for (queue, turns) in self.queues.values_mut().zip(turns) {
            queue.flow.since.retain(|turn, _| turns.contains(turn));
            for turn in turns {
                queue.flow.since.entry(turn).or_insert(self.steps);
            }
        }
    }
}

impl World {
    /// Attaches a queue; with other slots to be shared, if so many are given.
    pub fn attach_anew(&mut self, queue: &str, slots: u32, shared: Option<u32>) {
        if let Some(shared) = shared {
            self.reference.shared_slots = shared;
        }
        self.attach(queue, slots, shared.is_some());
    }

    fn attach(&mut self, name: &str, slots: u32, shared: bool) {
        let together = shared.then_some(self.reference.shared_slots);
        self.rig.attach(name, slots, together);
        let queue = self.queue(name);
        (queue.slots, queue.shared) = (slots, shared);
    }

    pub fn attach_all(&mut self, queues: &[(String, u32, bool)]) {
        for (name, slots, shared) in queues.iter().filter(|(_, slots, _)| *slots > 0) {
            self.attach(name, *slots, *shared);
            self.observe();
        }
    }
}
