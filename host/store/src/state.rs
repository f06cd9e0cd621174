//! The state of handlers: keys and values, each private to one handler.
//!
//! A value is stored as `version u64 · kind u8 · bytes · checksum`, under `handler · 0 · key`. The version is
//! the ordinal of the change, so it never repeats and a commit can tell whether what a delivery has
//! read is still so.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use gristmill_queue::effects::{
    Read, StateReader, StateUnavailable, StateValue, Write, counter_value,
};
use redb::{ReadableDatabase, ReadableTable, StorageError};

use crate::Store;
use crate::check;
use crate::error::guarded;
use crate::log::redo::Logged;
use crate::tables::STATE;

const VALUE: u8 = 0;
const COUNTER: u8 = 1;
const HEADER: usize = 9;

/// Reads the committed state of one handler. Each call is a short transaction of its own.
pub(crate) struct HandlerState {
    pub store: Store,
    pub handler: Arc<str>,
}

impl HandlerState {
    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadOnlyTable<&'static [u8], &'static [u8]>) -> Result<T, StorageError>,
    ) -> Result<T, StateUnavailable> {
        let database = self
            .store
            .database()
            .map_err(|error| StateUnavailable(error.to_string()))?;
        let run = || -> Result<T, redb::Error> {
            let table = database.begin_read()?.open_table(STATE)?;
            Ok(read(&table)?)
        };
        guarded(run).map_err(|error| StateUnavailable(error.to_string()))
    }
}

impl StateReader for HandlerState {
    fn get(&self, key: &str) -> Result<Option<StateValue>, StateUnavailable> {
        self.read(|table| get(table, &self.handler, key))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateUnavailable> {
        self.read(|table| list(table, &self.handler, prefix, after, limit))
    }
}

fn full_key(handler: &str, key: &str) -> Vec<u8> {
    let mut full = Vec::with_capacity(handler.len() + 1 + key.len());
    full.extend_from_slice(handler.as_bytes());
    full.push(0);
    full.extend_from_slice(key.as_bytes());
    full
}

/// Whether a row is what was written under its key.
pub(crate) fn is_sound(key: &[u8], stored: &[u8]) -> bool {
    check::open(check::key(key), stored).is_ok_and(|stored| stored.len() >= HEADER)
}

/// The version in a row that is sound.
pub(crate) fn version(stored: &[u8]) -> u64 {
    let version = stored.get(..8).and_then(|bytes| bytes.try_into().ok());
    version.map_or(0, u64::from_le_bytes)
}

fn get(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    handler: &str,
    key: &str,
) -> Result<Option<StateValue>, StorageError> {
    let full = full_key(handler, key);
    let Some(stored) = table.get(full.as_slice())? else {
        return Ok(None);
    };
    let sound = check::open(check::key(&full), stored.value()).ok();
    let Some((header, value)) = sound.and_then(|stored| stored.split_at_checked(HEADER)) else {
        return Err(StorageError::Corrupted(format!(
            "state {key:?} of handler {handler} is damaged"
        )));
    };
    let mut version = [0; 8];
    version.copy_from_slice(&header[..8]);
    Ok(Some(StateValue {
        version: u64::from_le_bytes(version),
        counter: header[8] == COUNTER,
        value: Bytes::copy_from_slice(value),
    }))
}

fn list(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    handler: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<String>, StorageError> {
    let first = full_key(handler, prefix);
    let start = match after.map(|after| full_key(handler, after)) {
        Some(after) if after >= first => Bound::Excluded(after),
        _ => Bound::Included(first.clone()),
    };
    let range: (Bound<&[u8]>, Bound<&[u8]>) = (start.as_ref().map(Vec::as_slice), Bound::Unbounded);
    let mut keys = Vec::new();
    for entry in table.range::<&[u8]>(range)? {
        let (key, _) = entry?;
        if keys.len() >= limit || !key.value().starts_with(&first) {
            break;
        }
        keys.push(String::from_utf8_lossy(&key.value()[handler.len() + 1..]).into_owned());
    }
    Ok(keys)
}

/// The value of a key that is to be compared or added to. A damaged one is like no other: whoever
/// has read it reads again, and is told.
fn get_sound(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    handler: &str,
    key: &str,
) -> Result<Result<Option<StateValue>, Damaged>, StorageError> {
    match get(table, handler, key) {
        Ok(value) => Ok(Ok(value)),
        Err(StorageError::Corrupted(_)) => Ok(Err(Damaged)),
        Err(error) => Err(error),
    }
}

#[derive(PartialEq)]
struct Damaged;

/// Whether all that a delivery has read is still so.
pub(crate) fn still_so(
    table: &impl ReadableTable<&'static [u8], &'static [u8]>,
    handler: &str,
    reads: &[Read],
) -> Result<bool, StorageError> {
    for read in reads {
        let same = match read {
            Read::Key(key, version) => {
                get_sound(table, handler, key)?.map(|stored| stored.map(|stored| stored.version))
                    == Ok(*version)
            }
            Read::AddsTo(key) => get_sound(table, handler, key)?
                .is_ok_and(|stored| stored.is_none_or(|stored| stored.counter)),
            Read::Range {
                prefix,
                after,
                limit,
                keys,
            } => list(table, handler, prefix, after.as_deref(), *limit)? == *keys,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a change; `version` is what the value is known by from now on.
pub(crate) fn write(
    table: &mut Logged<'_, &'static [u8], &'static [u8]>,
    handler: &str,
    key: &str,
    write: &Write,
    version: u64,
) -> Result<(), StorageError> {
    let full = full_key(handler, key);
    let (kind, value) = match write {
        Write::Remove => {
            table.remove(full.as_slice())?;
            return Ok(());
        }
        Write::Set {
            value,
            counter: false,
        } => (VALUE, value.clone()),
        Write::Set {
            value,
            counter: true,
        } => (COUNTER, value.clone()),
        Write::Add(delta) => {
            let before =
                get(&**table, handler, key)?.map_or(0, |stored| counter_value(&stored.value));
            (
                COUNTER,
                Bytes::copy_from_slice(&before.wrapping_add(*delta).to_le_bytes()),
            )
        }
    };
    let mut stored = Vec::with_capacity(HEADER + value.len());
    stored.extend_from_slice(&version.to_le_bytes());
    stored.push(kind);
    stored.extend_from_slice(&value);
    check::seal(check::key(&full), &mut stored);
    table.insert(full.as_slice(), stored.as_slice())?;
    Ok(())
}
