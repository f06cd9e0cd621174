//! The state of handlers and what one delivery does with it, in plain maps.

use std::collections::BTreeMap;

use super::parcel::Held;

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
