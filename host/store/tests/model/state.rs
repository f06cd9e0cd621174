//! The state of handlers and what one delivery does with it, in plain maps.

use std::collections::BTreeMap;

use super::reference::Reference;
use super::script::Sending;
use gristmill_queue::MessageId;

/// A committed value, known by the number of the change that wrote it.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub version: u64,
    pub counter: bool,
    pub bytes: Vec<u8>,
}

#[derive(Clone, Default)]
pub struct State {
    pub values: BTreeMap<String, Value>,
    changes: u64,
}

#[derive(Clone, Debug)]
enum Pending {
    Set(Vec<u8>, bool),
    Remove,
    Add(i64),
}

#[derive(Debug)]
enum Seen {
    Version(String, Option<u64>),
    CounterOrAbsent(String),
    Keys(String, Vec<String>),
}

/// A message that a handler has sent, and that nobody sees before the ack.
#[derive(Debug)]
pub struct Held {
    pub to: String,
    pub id: MessageId,
    pub sending: Sending,
    pub body: Vec<u8>,
}

/// What one delivery has done so far.
#[derive(Default, Debug)]
pub struct Work {
    pending: BTreeMap<String, Pending>,
    seen: Vec<Seen>,
    pub sends: Vec<Held>,
}

/// The number in a counter. What became another value meanwhile counts as none; the commit is going
/// to fail anyway.
fn number(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_le_bytes)
}

impl State {
    fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.values.keys().filter(|key| key.starts_with(prefix));
        keys.cloned().collect()
    }

    fn read(&self, key: &str, work: &mut Work) -> Option<&Value> {
        let value = self.values.get(key);
        let version = value.map(|value| value.version);
        work.seen.push(Seen::Version(key.to_owned(), version));
        value
    }

    pub fn get(&self, key: &str, work: &mut Work) -> Option<Vec<u8>> {
        match work.pending.get(key).cloned() {
            Some(Pending::Set(bytes, _)) => Some(bytes),
            Some(Pending::Remove) => None,
            Some(Pending::Add(delta)) => {
                let before = self.read(key, work).map_or(0, |value| number(&value.bytes));
                Some(before.wrapping_add(delta).to_le_bytes().to_vec())
            }
            None => self.read(key, work).map(|value| value.bytes.clone()),
        }
    }

    pub fn set(&self, key: &str, value: Vec<u8>, work: &mut Work) {
        let set = Pending::Set(value, false);
        work.pending.insert(key.to_owned(), set);
    }

    pub fn remove(&self, key: &str, work: &mut Work) {
        work.pending.insert(key.to_owned(), Pending::Remove);
    }

    /// Says whether it is a counter.
    pub fn add(&self, key: &str, delta: i64, work: &mut Work) -> bool {
        let counter = |sum: i64| Pending::Set(sum.to_le_bytes().to_vec(), true);
        let pending = match work.pending.get(key) {
            Some(Pending::Set(_, false)) => return false,
            Some(Pending::Set(bytes, true)) => counter(number(bytes).wrapping_add(delta)),
            Some(Pending::Remove) => counter(delta),
            Some(Pending::Add(before)) => Pending::Add(before.wrapping_add(delta)),
            None => {
                if self.values.get(key).is_some_and(|value| !value.counter) {
                    self.read(key, work);
                    return false;
                }
                work.seen.push(Seen::CounterOrAbsent(key.to_owned()));
                Pending::Add(delta)
            }
        };
        work.pending.insert(key.to_owned(), pending);
        true
    }

    pub fn list(&self, prefix: &str, work: &mut Work) -> Vec<String> {
        let committed = self.keys(prefix);
        let mut keys: std::collections::BTreeSet<String> = committed.iter().cloned().collect();
        for (key, pending) in work.pending.iter().filter(|(k, _)| k.starts_with(prefix)) {
            if matches!(pending, Pending::Remove) {
                keys.remove(key);
            } else {
                keys.insert(key.clone());
            }
        }
        work.seen.push(Seen::Keys(prefix.to_owned(), committed));
        keys.into_iter().collect()
    }

    /// Whether what a delivery has seen is still so.
    pub fn agrees(&self, work: &Work) -> bool {
        work.seen.iter().all(|seen| match seen {
            Seen::Version(key, version) => {
                self.values.get(key).map(|value| value.version) == *version
            }
            Seen::CounterOrAbsent(key) => self.values.get(key).is_none_or(|value| value.counter),
            Seen::Keys(prefix, keys) => self.keys(prefix) == *keys,
        })
    }

    pub fn apply(&mut self, work: &Work) {
        for (key, pending) in &work.pending {
            self.changes += 1;
            let (bytes, counter) = match pending {
                Pending::Remove => {
                    self.values.remove(key);
                    continue;
                }
                Pending::Set(bytes, counter) => (bytes.clone(), *counter),
                Pending::Add(delta) => {
                    let before = self.values.get(key).map_or(0, |value| number(&value.bytes));
                    (before.wrapping_add(*delta).to_le_bytes().to_vec(), true)
                }
            };
            let value = Value {
                version: self.changes,
                counter,
                bytes,
            };
            self.values.insert(key.clone(), value);
        }
    }
}

/// The first message sent with a dedup id.
#[derive(Clone, Debug)]
pub struct First {
    pub id: MessageId,
    pub body: Vec<u8>,
    pub until: u64,
}

/// What becomes of a message that is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    New,
    /// There was one with its dedup id: this, with this body.
    Repeats(MessageId, Vec<u8>),
    /// There was one in the same batch: the n-th.
    RepeatsNth(usize),
}

/// Why a batch is refused; a batch may have several reasons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    Unknown,
    Invalid,
    Full,
}

/// Bodies are told apart, unless they are sent with a dedup id: then a repeat may have the same.
pub fn body(sending: &Sending, serial: u64) -> Vec<u8> {
    let text = match sending.dedup {
        Some(key) => format!("d{key}"),
        None => format!("{serial}"),
    };
    let mut body = text.into_bytes();
    body.resize(body.len().max(sending.size), b'.');
    body
}

impl Reference {
    /// What becomes of the messages of a batch, if nothing speaks against it: all are taken, or none.
    pub fn fates(&self, batch: &[(String, &Sending, &[u8])]) -> (Vec<Fate>, Vec<Refusal>) {
        let mut refusals = Vec::new();
        let mut fates: Vec<Fate> = Vec::new();
        let mut more: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (n, (to, sending, body)) in batch.iter().enumerate() {
            let Some(queue) = self.queues.get(to).filter(|queue| queue.declared) else {
                refusals.push(Refusal::Unknown);
                fates.push(Fate::New);
                continue;
            };
            if body.len() as u64 > queue.policy.max_body || !is_valid(sending) {
                refusals.push(Refusal::Invalid);
            }
            let earlier = |other: &(String, &Sending, &[u8])| {
                sending.dedup.is_some() && other.0 == *to && other.1.dedup == sending.dedup
            };
            let fate = match (self.first(to, sending), batch[..n].iter().position(earlier)) {
                (Some(first), _) => Fate::Repeats(first.id, first.body.clone()),
                (None, Some(n)) => Fate::RepeatsNth(n),
                (None, None) => Fate::New,
            };
            if fate == Fate::New {
                let more = more.entry(to).or_default();
                *more = (more.0 + 1, more.1 + body.len() as u64);
            }
            fates.push(fate);
        }
        for (to, more) in more {
            if !self.has_room(to, more) {
                refusals.push(Refusal::Full);
            }
        }
        (fates, refusals)
    }

    fn first(&self, to: &str, sending: &Sending) -> Option<&First> {
        let key = (to.to_owned(), sending.dedup?.to_string());
        self.firsts.get(&key).filter(|first| first.until > self.now)
    }
}

/// A message must not expire before it is due.
pub fn is_valid(sending: &Sending) -> bool {
    sending.ttl_ms.is_none_or(|ttl| sending.delay_ms < ttl)
}
