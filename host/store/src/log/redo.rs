//! What a group changes, written down so that it can be done again: in which table, under which key, and
//! what is there from now on.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::ops::Deref;

use redb::{AccessGuard, Key, StorageError, Table, TableDefinition, TableError, Value};
use redb::{TableHandle, WriteTransaction};

use crate::tables::{
    BLOB, CRON, DEAD, DEAD_INDEX, DEDUP, DEDUP_EXPIRY, HELD, HISTORY, INDEX, LEASE, MADE, MESSAGE,
    QUARANTINE, QUEUE, REDRIVE, STATE,
};
use crate::tlv::{self, Malformed};

/// The tables of which changes are logged. The place of a name is its number in the log, so none may be
/// moved, and what is new comes last.
const NAMES: [&str; 16] = [
    "message",
    "index",
    "history",
    "lease",
    "dead",
    "dead_index",
    "held",
    "state",
    "dedup",
    "dedup_expiry",
    "redrive",
    "cron",
    "blob",
    "made",
    "queue",
    "quarantine",
];
/// The bit of a change's first byte that says that the key goes.
const REMOVED: u8 = 0x80;

/// The changes of one group, behind some room for the head of their record.
pub(crate) struct Redo(RefCell<Vec<u8>>);

impl Redo {
    /// Of a group that begins; takes the memory of one that ended.
    pub fn begin(mut memory: Vec<u8>) -> Self {
        memory.clear();
        memory.resize(super::HEAD, 0);
        Redo(RefCell::new(memory))
    }

    /// The changes, and the room in front of them.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }

    /// How many bytes they take, with that room.
    pub(super) fn length(&self) -> usize {
        self.0.borrow().len()
    }

    /// Notes what is under a key from now on; nothing, if it goes.
    fn note(&self, table: u8, key: &[u8], value: Option<&[u8]>) {
        let mut bytes = self.0.borrow_mut();
        let removed = if value.is_none() { REMOVED } else { 0 };
        bytes.push(table | removed);
        for part in [Some(key), value].into_iter().flatten() {
            tlv::varint(&mut bytes, part.len() as u64);
            bytes.extend_from_slice(part);
        }
    }
}

/// A table whose changes are noted.
pub(crate) struct Logged<'t, K: Key + 'static, V: Value + 'static> {
    table: Table<'t, K, V>,
    number: u8,
    redo: &'t Redo,
}

impl<'t, K: Key + 'static, V: Value + 'static> Logged<'t, K, V> {
    /// Opens a table that has a number in the log.
    pub fn open(
        transaction: &'t WriteTransaction,
        definition: TableDefinition<'static, K, V>,
        redo: &'t Redo,
    ) -> Result<Self, TableError> {
        let place = NAMES.iter().position(|name| *name == definition.name());
        let number = place.and_then(|place| u8::try_from(place).ok());
        Ok(Logged {
            table: transaction.open_table(definition)?,
            number: number.unwrap_or_else(|| unreachable!("every table of a group has a number")),
            redo,
        })
    }

    /// As the method of the table.
    pub fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        self.note(key.borrow(), Some(value.borrow()));
        self.table.insert(key, value)
    }

    /// As the method of the table.
    pub fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        self.note(key.borrow(), None);
        self.table.remove(key)
    }

    /// The table, for changes that are noted by whoever makes them.
    pub fn noted_elsewhere(&mut self) -> &mut Table<'t, K, V> {
        &mut self.table
    }

    /// Notes what is made [elsewhere](Self::noted_elsewhere).
    pub fn note<'k, 'v>(&self, key: &K::SelfType<'k>, value: Option<&V::SelfType<'v>>) {
        let value = value.map(V::as_bytes);
        let value = value.as_ref().map(AsRef::as_ref);
        self.redo
            .note(self.number, K::as_bytes(key).as_ref(), value);
    }
}

impl<'t, K: Key + 'static, V: Value + 'static> Deref for Logged<'t, K, V> {
    type Target = Table<'t, K, V>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

/// A change that was noted.
struct Change<'a> {
    table: u8,
    key: &'a [u8],
    value: Option<&'a [u8]>,
}

/// The changes of a record, in order.
struct Changes<'a>(&'a [u8]);

impl<'a> Changes<'a> {
    fn part(&mut self) -> Result<&'a [u8], Malformed> {
        let (length, rest) = tlv::read_varint(self.0)?;
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (part, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(part)
    }

    fn change(&mut self) -> Result<Change<'a>, Malformed> {
        let (&first, rest) = self.0.split_first().ok_or(Malformed)?;
        self.0 = rest;
        let key = self.part()?;
        let value = if first & REMOVED == 0 {
            Some(self.part()?)
        } else {
            None
        };
        Ok(Change {
            table: first & !REMOVED,
            key,
            value,
        })
    }
}

/// The name of a table, a key, and what is under it; nothing, if it goes.
pub(crate) type Named<'a> = (&'static str, &'a [u8], Option<&'a [u8]>);

/// The changes of a record by the names of their tables, up to the first that cannot be read.
pub(super) fn named(record: &[u8]) -> impl Iterator<Item = Result<Named<'_>, redb::Error>> {
    let mut changes = Changes(record);
    std::iter::from_fn(move || {
        if changes.0.is_empty() {
            return None;
        }
        let change = changes.change().map_err(|Malformed| unreadable());
        Some(change.and_then(|change| {
            let table = NAMES.get(usize::from(change.table));
            let table = *table.ok_or_else(unreadable)?;
            Ok((table, change.key, change.value))
        }))
    })
}

type Bytes = &'static [u8];

/// Where changes are done again; each table is opened when it is first needed.
pub(super) struct Again<'t> {
    transaction: &'t WriteTransaction,
    message: Option<Table<'t, u64, Bytes>>,
    index: Option<Table<'t, u64, Bytes>>,
    history: Option<Table<'t, u64, Bytes>>,
    lease: Option<Table<'t, u64, Bytes>>,
    dead: Option<Table<'t, u64, Bytes>>,
    dead_index: Option<Table<'t, (u32, u64), Bytes>>,
    held: Option<Table<'t, (u32, u64), Bytes>>,
    state: Option<Table<'t, Bytes, Bytes>>,
    dedup: Option<Table<'t, Bytes, Bytes>>,
    dedup_expiry: Option<Table<'t, (u64, Bytes), ()>>,
    redrive: Option<Table<'t, u64, Bytes>>,
    cron: Option<Table<'t, &'static str, Bytes>>,
    blob: Option<Table<'t, u64, Bytes>>,
    made: Option<Table<'t, &'static str, Bytes>>,
    queue: Option<Table<'t, &'static str, (u32, bool)>>,
    quarantine: Option<Table<'t, u64, Bytes>>,
}

impl<'t> Again<'t> {
    pub fn within(transaction: &'t WriteTransaction) -> Self {
        Again {
            transaction,
            message: None,
            index: None,
            history: None,
            lease: None,
            dead: None,
            dead_index: None,
            held: None,
            state: None,
            dedup: None,
            dedup_expiry: None,
            redrive: None,
            cron: None,
            blob: None,
            made: None,
            queue: None,
            quarantine: None,
        }
    }

    /// Makes the changes of a record once more.
    pub fn apply(&mut self, record: &[u8]) -> Result<(), redb::Error> {
        let mut changes = Changes(record);
        while !changes.0.is_empty() {
            let change = changes.change().map_err(|Malformed| unreadable())?;
            self.change(&change)?;
        }
        Ok(())
    }

    fn change(&mut self, change: &Change<'_>) -> Result<(), redb::Error> {
        let within = self.transaction;
        match change.table {
            0 => put(&mut self.message, MESSAGE, change, within),
            1 => put(&mut self.index, INDEX, change, within),
            2 => put(&mut self.history, HISTORY, change, within),
            3 => put(&mut self.lease, LEASE, change, within),
            4 => put(&mut self.dead, DEAD, change, within),
            5 => put(&mut self.dead_index, DEAD_INDEX, change, within),
            6 => put(&mut self.held, HELD, change, within),
            7 => put(&mut self.state, STATE, change, within),
            8 => put(&mut self.dedup, DEDUP, change, within),
            9 => put(&mut self.dedup_expiry, DEDUP_EXPIRY, change, within),
            10 => put(&mut self.redrive, REDRIVE, change, within),
            11 => put(&mut self.cron, CRON, change, within),
            12 => put(&mut self.blob, BLOB, change, within),
            13 => put(&mut self.made, MADE, change, within),
            14 => put(&mut self.queue, QUEUE, change, within),
            15 => put(&mut self.quarantine, QUARANTINE, change, within),
            _ => Err(unreadable()),
        }
    }
}

fn unreadable() -> redb::Error {
    redb::Error::Corrupted("a record of the log is not what this build writes".to_owned())
}

fn put<'t, K: Key + 'static, V: Value + 'static>(
    slot: &mut Option<Table<'t, K, V>>,
    definition: TableDefinition<'static, K, V>,
    change: &Change<'_>,
    transaction: &'t WriteTransaction,
) -> Result<(), redb::Error> {
    let table = match slot {
        Some(table) => table,
        None => slot.insert(transaction.open_table(definition)?),
    };
    let fits = |width: Option<usize>, bytes: &[u8]| width.is_none_or(|width| width == bytes.len());
    if !fits(K::fixed_width(), change.key)
        || !change
            .value
            .is_none_or(|value| fits(V::fixed_width(), value))
    {
        return Err(unreadable());
    }
    let key = K::from_bytes(change.key);
    match change.value {
        Some(value) => table.insert(key, V::from_bytes(value)).map(drop)?,
        None => table.remove(key).map(drop)?,
    }
    Ok(())
}
