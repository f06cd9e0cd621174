//! The changes of the state that a delivery has made so far, and how to undo them.
//!
//! One pending change per key, however often the handler changes it. What a change replaces is kept
//! only if there is a mark to go back to, and once per mark, so that a handler that loops cannot
//! make the host's memory grow: what is kept counts against its quotas.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::{StateError, Write, counter_value};
use crate::limits;

/// What `add` and `get` count for a counter.
const COUNTER_BYTES: usize = 8;

#[derive(Default)]
pub(super) struct Overlay {
    pending: BTreeMap<String, Pending>,
    /// What changes have replaced, oldest first.
    undo: Vec<(String, Option<Pending>)>,
    /// Bytes of the values in `pending` and `undo`.
    bytes: u64,
    /// How many marks there have been. After a rollback all that is left is older than its mark, so
    /// the next change of each key is kept again.
    era: u64,
}

struct Pending {
    write: Write,
    /// The era in which what it replaced was last kept.
    era: u64,
}

impl Pending {
    fn bytes(&self) -> u64 {
        size(&self.write)
    }
}

fn size(write: &Write) -> u64 {
    match write {
        Write::Set { value, .. } => value.len() as u64,
        Write::Add(_) => COUNTER_BYTES as u64,
        Write::Remove => 0,
    }
}

impl Overlay {
    pub fn get(&self, key: &str) -> Option<&Write> {
        self.pending.get(key).map(|pending| &pending.write)
    }

    /// The pending changes of keys that start with `prefix` and sort after `after`, in order.
    pub fn range<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a Write)> {
        let start = match after.filter(|after| *after >= prefix) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        self.pending
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, pending)| (key.as_str(), &pending.write))
    }

    pub fn set(&mut self, key: &str, value: Bytes, quota: u64) -> Result<(), StateError> {
        let counter = false;
        self.change(key, Write::Set { value, counter }, quota)
    }

    pub fn remove(&mut self, key: &str, quota: u64) -> Result<(), StateError> {
        self.change(key, Write::Remove, quota)
    }

    /// Adds to a counter. If nothing is pending for the key, the caller has seen to it that the
    /// stored value, if any, is a counter.
    pub fn add(&mut self, key: &str, delta: i64, quota: u64) -> Result<(), StateError> {
        let counter = |sum: i64| Write::Set {
            value: Bytes::copy_from_slice(&sum.to_le_bytes()),
            counter: true,
        };
        let write = match self.get(key) {
            None => Write::Add(delta),
            Some(Write::Add(before)) => Write::Add(before.wrapping_add(delta)),
            Some(Write::Remove) => counter(delta),
            Some(Write::Set {
                value,
                counter: true,
            }) => counter(counter_value(value).wrapping_add(delta)),
            Some(Write::Set { counter: false, .. }) => return Err(StateError::NotACounter),
        };
        self.change(key, write, quota)
    }

    fn change(&mut self, key: &str, write: Write, quota: u64) -> Result<(), StateError> {
        let replaced = self.pending.get(key);
        let keep = replaced.map_or(0, |replaced| replaced.era) != self.era;
        let freed = replaced
            .filter(|_| !keep)
            .map_or(0, |replaced| replaced.bytes());
        let bytes = self.bytes - freed + size(&write);
        if bytes > quota || (keep && self.undo.len() >= limits::MAX_UNDO_STEPS) {
            return Err(StateError::QuotaExceeded);
        }
        let pending = Pending {
            write,
            era: self.era,
        };
        let replaced = self.pending.insert(key.to_owned(), pending);
        if keep {
            self.undo.push((key.to_owned(), replaced));
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Begins a new era and tells the point to go back to.
    pub fn mark(&mut self) -> usize {
        self.era += 1;
        self.undo.len()
    }

    /// Undoes all changes since `point`.
    pub fn rollback_to(&mut self, point: usize) {
        for (key, replaced) in self.undo.drain(point..).rev() {
            let undone = match replaced {
                Some(replaced) => self.pending.insert(key, replaced),
                None => self.pending.remove(&key),
            };
            self.bytes -= undone.map_or(0, |undone| undone.bytes());
        }
    }

    pub fn finish(self) -> Vec<(String, Write)> {
        self.pending
            .into_iter()
            .map(|(key, pending)| (key, pending.write))
            .collect()
    }
}
