//! A state in memory that commits as the store does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::*;

pub(super) type Stored = BTreeMap<String, StateValue>;

/// A committed state that changes under the transactions, as the real one does.
#[derive(Default)]
pub(super) struct State(pub(super) Mutex<Stored>, AtomicU64);

impl StateReader for State {
    fn get(&self, key: &str) -> Result<Option<StateValue>, StateUnavailable> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateUnavailable> {
        let state = self.0.lock().unwrap();
        Ok(list(state.keys(), prefix, after, limit))
    }
}

pub(super) fn list<'a>(
    keys: impl Iterator<Item = &'a String>,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<String> {
    let wanted =
        |key: &&String| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after);
    keys.filter(wanted).take(limit).cloned().collect()
}

impl State {
    pub(super) fn of(values: &[(&str, &[u8], bool)]) -> Arc<Self> {
        let state = Arc::new(State::default());
        for (key, value, counter) in values {
            state.put(key, value, *counter);
        }
        state
    }

    /// Never repeats, also when a key is removed and comes back.
    pub(super) fn version(&self) -> Version {
        self.1.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn put(&self, key: &str, value: &[u8], counter: bool) {
        let version = self.version();
        let value = Bytes::copy_from_slice(value);
        let stored = StateValue {
            version,
            counter,
            value,
        };
        self.0.lock().unwrap().insert(key.to_owned(), stored);
    }

    /// What the commit asks.
    pub(super) fn still_so(&self, reads: &[Read]) -> bool {
        reads.iter().all(|read| match read {
            Read::Key(key, version) => {
                self.get(key).unwrap().map(|stored| stored.version) == *version
            }
            Read::AddsTo(key) => self.get(key).unwrap().is_none_or(|stored| stored.counter),
            Read::Range {
                prefix,
                after,
                limit,
                keys,
            } => StateReader::list(self, prefix, after.as_deref(), *limit).unwrap() == *keys,
        })
    }

    /// What the commit does.
    pub(super) fn apply(&self, writes: &[(String, Write)]) {
        let version = self.version();
        let mut state = self.0.lock().unwrap();
        for (key, write) in writes {
            let (value, counter) = match write {
                Write::Remove => {
                    state.remove(key);
                    continue;
                }
                Write::Set { value, counter } => (value.clone(), *counter),
                Write::Add(delta) => {
                    let before = state
                        .get(key)
                        .map_or(0, |stored| counter_value(&stored.value));
                    (number(before.wrapping_add(*delta)), true)
                }
            };
            let stored = StateValue {
                version,
                counter,
                value,
            };
            state.insert(key.clone(), stored);
        }
    }

    /// Keys, values and kinds, without versions.
    pub(super) fn contents(&self) -> BTreeMap<String, (Bytes, bool)> {
        let state = self.0.lock().unwrap();
        let plain = state.iter();
        plain
            .map(|(key, stored)| (key.clone(), (stored.value.clone(), stored.counter)))
            .collect()
    }
}
