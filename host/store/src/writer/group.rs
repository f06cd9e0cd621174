//! One group of operations: the tables of its transaction, and the errors of redb given a name.

use std::borrow::Cow;

use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::outcome::AttemptRecord;
use gristmill_queue::{BlobRef, Timestamp};
use redb::{Database, Key, ReadableTable, TableDefinition, Value, WriteTransaction};

use super::sweep::Sweep;
use crate::blob;
use crate::dedup;
use crate::error::Fatal;
use crate::held::{self, HeldGroup};
use crate::log::redo::{Logged, Redo};
use crate::redrive::{self, RedriveUnderWay};
use crate::tables::{
    BLOB, CLOCK_KEY, CRON, DEAD, DEAD_INDEX, DEDUP, DEDUP_EXPIRY, HAS_LOG, HELD, HISTORY, INDEX,
    LEASE, MESSAGE, META, QUARANTINE, REDRIVE, STATE,
};
use crate::{dead, row};

mod clock;
mod queues;

pub(crate) use clock::{ClockRow, decode_clock, encode_clock};

/// Says what was being done when redb failed.
pub(crate) fn fatal<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Fatal {
    move |error| Fatal {
        doing,
        source: error.into(),
    }
}

/// Begins the transaction of a group.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, Fatal> {
    database.begin_write().map_err(fatal("beginning a group"))
}

/// Commits a group, and all groups before it that only the log has, for good.
///
/// Two-phase commit and quick-repair cost a second fsync and buy that opening the file after a
/// crash takes milliseconds, however large it is.
pub(crate) fn end_durably(mut transaction: WriteTransaction) -> Result<(), Fatal> {
    if is_planted(Bug::NotSynced) {
        let _ = transaction.set_durability(redb::Durability::None);
    } else {
        transaction.set_two_phase_commit(true);
        transaction.set_quick_repair(true);
    }
    transaction.commit().map_err(fatal("committing a group"))
}

/// Commits a group that the log has.
pub(crate) fn end_logged(mut transaction: WriteTransaction) -> Result<(), Fatal> {
    transaction
        .set_durability(redb::Durability::None)
        .map_err(fatal("committing a group"))?;
    transaction.commit().map_err(fatal("committing a group"))
}

/// Drops a group that changed nothing.
pub(crate) fn drop_empty(transaction: WriteTransaction) -> Result<(), Fatal> {
    let dropped = transaction.abort();
    dropped.map_err(fatal("dropping an empty group"))
}

type Bytes = &'static [u8];

/// How many dedup ids are forgotten in one group at the most.
const FORGET_DEDUP: usize = 10_000;

/// The tables of one group. The rare ones are opened when they are first needed: a table that a
/// commit touches costs it some 27 µs.
pub(crate) struct Group<'t> {
    transaction: &'t WriteTransaction,
    redo: &'t Redo,
    message: Logged<'t, u64, Bytes>,
    messages: Sweep,
    index: Logged<'t, u64, Bytes>,
    rows: Sweep,
    history: Option<Logged<'t, u64, Bytes>>,
    dead: Option<Logged<'t, u64, Bytes>>,
    dead_index: Option<Logged<'t, (u32, u64), Bytes>>,
    state: Option<Logged<'t, Bytes, Bytes>>,
    dedup: Option<Logged<'t, Bytes, Bytes>>,
    dedup_expiry: Option<Logged<'t, (u64, Bytes), ()>>,
    cron: Option<Logged<'t, &'static str, Bytes>>,
    held: Option<Logged<'t, held::Key, Bytes>>,
    blob: Option<Logged<'t, u64, Bytes>>,
    redrive: Option<Logged<'t, u64, Bytes>>,
    pub(super) leases: Sweep,
    changed: bool,
}

fn table<'a, 't, K: Key + 'static, V: Value + 'static>(
    slot: &'a mut Option<Logged<'t, K, V>>,
    (transaction, redo): (&'t WriteTransaction, &'t Redo),
    definition: TableDefinition<'static, K, V>,
) -> Result<&'a mut Logged<'t, K, V>, Fatal> {
    match slot {
        Some(table) => Ok(table),
        None => {
            let opened = Logged::open(transaction, definition, redo);
            Ok(slot.insert(opened.map_err(fatal("opening a table"))?))
        }
    }
}

impl<'t> Group<'t> {
    pub fn open(transaction: &'t WriteTransaction, redo: &'t Redo) -> Result<Self, Fatal> {
        Ok(Group {
            transaction,
            redo,
            message: Logged::open(transaction, MESSAGE, redo)
                .map_err(fatal("opening table message"))?,
            messages: Sweep::default(),
            index: Logged::open(transaction, INDEX, redo).map_err(fatal("opening table index"))?,
            rows: Sweep::default(),
            history: None,
            dead: None,
            dead_index: None,
            state: None,
            dedup: None,
            dedup_expiry: None,
            cron: None,
            held: None,
            blob: None,
            redrive: None,
            leases: Sweep::default(),
            changed: false,
        })
    }

    /// Notes that the group has to be committed.
    pub fn changes(&mut self) {
        self.changed = true;
    }

    /// Notes that the store is closed with this group: the file has everything then.
    pub fn needs_no_log(&mut self) -> Result<(), Fatal> {
        self.changed = true;
        let doing = "noting that the log is empty";
        let mut meta = self.transaction.open_table(META).map_err(fatal(doing))?;
        meta.remove(HAS_LOG).map_err(fatal(doing))?;
        Ok(())
    }

    pub fn dead(&mut self) -> Result<&mut Logged<'t, u64, Bytes>, Fatal> {
        table(&mut self.dead, (self.transaction, self.redo), DEAD)
    }

    pub fn dead_index(&mut self) -> Result<&mut Logged<'t, (u32, u64), Bytes>, Fatal> {
        table(
            &mut self.dead_index,
            (self.transaction, self.redo),
            DEAD_INDEX,
        )
    }

    pub fn state(&mut self) -> Result<&mut Logged<'t, Bytes, Bytes>, Fatal> {
        table(&mut self.state, (self.transaction, self.redo), STATE)
    }

    pub fn dedup(&mut self) -> Result<&mut Logged<'t, Bytes, Bytes>, Fatal> {
        table(&mut self.dedup, (self.transaction, self.redo), DEDUP)
    }

    pub fn cron(&mut self) -> Result<&mut Logged<'t, &'static str, Bytes>, Fatal> {
        table(&mut self.cron, (self.transaction, self.redo), CRON)
    }

    /// Writes a message that was not there.
    pub fn insert_message(&mut self, row: &Row, record: Vec<u8>) {
        self.changed = true;
        self.messages.insert(row.place.sequence, record);
        self.rows
            .insert(row.place.sequence, row::encode(row).to_vec());
    }

    /// Changes the row of a message.
    pub fn put_row(&mut self, row: &Row) {
        self.changed = true;
        self.rows
            .replace(row.place.sequence, row::encode(row).to_vec());
    }

    /// Reads a row, if it is there and sound.
    pub fn row(&self, sequence: u64) -> Result<Option<Row>, Fatal> {
        let found = self.rows.get(sequence, &self.index)?;
        Ok(found.and_then(|bytes| row::decode(sequence, &bytes).ok()))
    }

    /// Reads a row as it stands.
    pub fn row_bytes(&self, sequence: u64) -> Result<Option<Vec<u8>>, Fatal> {
        Ok(self.rows.get(sequence, &self.index)?.map(Cow::into_owned))
    }

    /// Reads the record of a message as it stands.
    pub fn record(&self, sequence: u64) -> Result<Option<Vec<u8>>, Fatal> {
        Ok(self
            .messages
            .get(sequence, &self.message)?
            .map(Cow::into_owned))
    }

    /// Removes a message with its row, and its history if it may have one.
    pub fn remove_message(&mut self, sequence: u64, history: bool) -> Result<(), Fatal> {
        self.changed = true;
        self.messages.remove(sequence);
        self.rows.remove(sequence);
        if history {
            let table = table(&mut self.history, (self.transaction, self.redo), HISTORY)?;
            table
                .remove(sequence)
                .map_err(fatal("removing a history"))?;
        }
        Ok(())
    }

    /// The ended attempts of a message. A damaged history is an empty one: the message matters more.
    pub fn history(&mut self, sequence: u64) -> Result<Vec<AttemptRecord>, Fatal> {
        let table = table(&mut self.history, (self.transaction, self.redo), HISTORY)?;
        let found = table.get(sequence).map_err(fatal("reading a history"))?;
        Ok(found
            .and_then(|bytes| dead::decode_history(sequence, bytes.value()).ok())
            .unwrap_or_default())
    }

    /// Writes the ended attempts of a message; none, if all were taken back.
    pub fn put_history(&mut self, sequence: u64, attempts: &[AttemptRecord]) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.history, (self.transaction, self.redo), HISTORY)?;
        if attempts.is_empty() {
            table
                .remove(sequence)
                .map_err(fatal("removing a history"))?;
            return Ok(());
        }
        let bytes = dead::encode_history(sequence, attempts);
        table
            .insert(sequence, bytes.as_slice())
            .map_err(fatal("writing a history"))?;
        Ok(())
    }

    /// Remembers a dedup id.
    pub fn put_dedup(&mut self, key: &[u8; 20], first: dedup::First) -> Result<(), Fatal> {
        self.changed = true;
        table(&mut self.dedup, (self.transaction, self.redo), DEDUP)?;
        table(
            &mut self.dedup_expiry,
            (self.transaction, self.redo),
            DEDUP_EXPIRY,
        )?;
        if let (Some(ids), Some(expiry)) = (&mut self.dedup, &mut self.dedup_expiry) {
            dedup::insert(ids, expiry, key, first).map_err(fatal("writing a dedup id"))?;
        }
        Ok(())
    }

    /// Forgets some of the dedup ids whose window has ended. Says whether there may be more.
    pub fn forget_dedup(&mut self, now: Timestamp) -> Result<bool, Fatal> {
        table(&mut self.dedup, (self.transaction, self.redo), DEDUP)?;
        table(
            &mut self.dedup_expiry,
            (self.transaction, self.redo),
            DEDUP_EXPIRY,
        )?;
        let (Some(ids), Some(expiry)) = (&mut self.dedup, &mut self.dedup_expiry) else {
            return Ok(false);
        };
        let count =
            dedup::forget(ids, expiry, now, FORGET_DEDUP).map_err(fatal("forgetting dedup ids"))?;
        self.changed |= count > 0;
        Ok(count == FORGET_DEDUP)
    }

    /// What is kept of a group that delivers nothing; nothing, if it is damaged or none.
    pub fn held(&mut self, queue: QueueId, hash: u64) -> Result<HeldGroup, Fatal> {
        let table = table(&mut self.held, (self.transaction, self.redo), HELD)?;
        let key = (queue.0, hash);
        let found = table.get(key).map_err(fatal("reading a held group"))?;
        Ok(found
            .and_then(|bytes| held::decode(key, bytes.value()).ok())
            .unwrap_or_default())
    }

    /// Writes what is kept of a group; nothing, if it delivers again.
    pub fn put_held(&mut self, queue: QueueId, hash: u64, group: &HeldGroup) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.held, (self.transaction, self.redo), HELD)?;
        let key = (queue.0, hash);
        let done = if *group == HeldGroup::default() {
            table.remove(key).map(|_| ())
        } else {
            let bytes = held::encode(queue, hash, group);
            table.insert(key, bytes.as_slice()).map(|_| ())
        };
        done.map_err(fatal("writing a held group"))
    }

    /// Notes which file has the large body of a message, or that none has any more.
    pub fn put_blob(&mut self, sequence: u64, blob: Option<&BlobRef>) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.blob, (self.transaction, self.redo), BLOB)?;
        let done = match blob {
            Some(blob) => {
                let row = blob::encode_row(sequence, blob);
                table.insert(sequence, row.as_slice()).map(|_| ())
            }
            None => table.remove(sequence).map(|_| ()),
        };
        done.map_err(fatal("noting a large body"))
    }

    /// Writes how far a redrive has come.
    pub fn put_redrive(&mut self, redrive: &RedriveUnderWay) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.redrive, (self.transaction, self.redo), REDRIVE)?;
        let bytes = redrive::encode(redrive);
        table
            .insert(redrive.number, bytes.as_slice())
            .map_err(fatal("writing a redrive"))?;
        Ok(())
    }

    /// Forgets a redrive.
    pub fn remove_redrive(&mut self, number: u64) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.redrive, (self.transaction, self.redo), REDRIVE)?;
        table
            .remove(number)
            .map_err(fatal("forgetting a redrive"))?;
        Ok(())
    }

    /// Keeps a record that failed its checksum aside, as it was found.
    pub fn put_quarantine(&mut self, sequence: u64, record: &[u8]) -> Result<(), Fatal> {
        self.changed = true;
        let mut quarantine = Logged::open(self.transaction, QUARANTINE, self.redo)
            .map_err(fatal("opening table quarantine"))?;
        quarantine
            .insert(sequence, record)
            .map_err(fatal("writing to quarantine"))?;
        Ok(())
    }

    /// Makes the collected changes, and writes the row of the clock if there were any.
    /// Says whether there were.
    pub fn finish(mut self, clock: &ClockRow) -> Result<bool, Fatal> {
        if self.changed {
            self.messages.apply_noted(&mut self.message)?;
            self.rows.apply_noted(&mut self.index)?;
            if !self.leases.is_empty() {
                let table = Logged::open(self.transaction, LEASE, self.redo);
                self.leases
                    .apply_noted(&mut table.map_err(fatal("opening table lease"))?)?;
            }
            let bytes = encode_clock(clock);
            self.index
                .insert(CLOCK_KEY, bytes.as_slice())
                .map_err(fatal("writing the clock"))?;
        }
        Ok(self.changed)
    }
}
