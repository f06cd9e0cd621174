//! One group of operations: the tables of its transaction, and the errors of redb given a name.

use std::borrow::Cow;

use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::outcome::AttemptRecord;
use gristmill_queue::{BlobRef, Timestamp};
use redb::{Database, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::sweep::Sweep;
use crate::blob;
use crate::check;
use crate::dedup;
use crate::error::Fatal;
use crate::held::{self, HeldGroup};
use crate::redrive::{self, RedriveUnderWay};
use crate::tables::{
    BLOB, CLOCK_KEY, CRON, DEAD, DEAD_INDEX, DEDUP, DEDUP_EXPIRY, HELD, HISTORY, INDEX, LEASE,
    MESSAGE, QUARANTINE, QUEUE, REDRIVE, STATE,
};
use crate::tlv::Malformed;
use crate::{dead, row};

/// Says what was being done when redb failed.
pub(crate) fn fatal<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> Fatal {
    move |error| Fatal {
        doing,
        source: error.into(),
    }
}

/// Begins the transaction of a group.
///
/// Two-phase commit and quick-repair cost a second fsync and buy that opening the file after a
/// crash takes milliseconds, however large it is.
pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, Fatal> {
    let mut transaction = database.begin_write().map_err(fatal("beginning a group"))?;
    if is_planted(Bug::NotSynced) {
        let _ = transaction.set_durability(redb::Durability::None);
        return Ok(transaction);
    }
    transaction.set_two_phase_commit(true);
    transaction.set_quick_repair(true);
    Ok(transaction)
}

/// Commits a group, or drops it if it changed nothing.
pub(crate) fn end(transaction: WriteTransaction, changed: bool) -> Result<(), Fatal> {
    if changed {
        transaction.commit().map_err(fatal("committing a group"))
    } else {
        transaction
            .abort()
            .map_err(fatal("dropping an empty group"))
    }
}

type Bytes = &'static [u8];

/// How many dedup ids are forgotten in one group at the most.
const FORGET_DEDUP: usize = 10_000;

/// The tables of one group. The rare ones are opened when they are first needed: a table that a
/// commit touches costs it some 27 µs.
pub(crate) struct Group<'t> {
    transaction: &'t WriteTransaction,
    message: Table<'t, u64, Bytes>,
    messages: Sweep,
    index: Table<'t, u64, Bytes>,
    rows: Sweep,
    history: Option<Table<'t, u64, Bytes>>,
    dead: Option<Table<'t, u64, Bytes>>,
    dead_index: Option<Table<'t, (u32, u64), Bytes>>,
    state: Option<Table<'t, Bytes, Bytes>>,
    dedup: Option<Table<'t, Bytes, Bytes>>,
    dedup_expiry: Option<Table<'t, (u64, Bytes), ()>>,
    cron: Option<Table<'t, &'static str, Bytes>>,
    held: Option<Table<'t, held::Key, Bytes>>,
    blob: Option<Table<'t, u64, Bytes>>,
    redrive: Option<Table<'t, u64, Bytes>>,
    pub(super) leases: Sweep,
    changed: bool,
}

fn table<'a, 't, K: redb::Key + 'static, V: redb::Value + 'static>(
    slot: &'a mut Option<Table<'t, K, V>>,
    transaction: &'t WriteTransaction,
    definition: TableDefinition<'static, K, V>,
) -> Result<&'a mut Table<'t, K, V>, Fatal> {
    if slot.is_none() {
        *slot = Some(
            transaction
                .open_table(definition)
                .map_err(fatal("opening a table"))?,
        );
    }
    slot.as_mut()
        .ok_or_else(|| unreachable!("the table was just opened"))
}

impl<'t> Group<'t> {
    pub fn open(transaction: &'t WriteTransaction) -> Result<Self, Fatal> {
        Ok(Group {
            transaction,
            message: transaction
                .open_table(MESSAGE)
                .map_err(fatal("opening table message"))?,
            messages: Sweep::default(),
            index: transaction
                .open_table(INDEX)
                .map_err(fatal("opening table index"))?,
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

    pub fn dead(&mut self) -> Result<&mut Table<'t, u64, Bytes>, Fatal> {
        table(&mut self.dead, self.transaction, DEAD)
    }

    pub fn dead_index(&mut self) -> Result<&mut Table<'t, (u32, u64), Bytes>, Fatal> {
        table(&mut self.dead_index, self.transaction, DEAD_INDEX)
    }

    pub fn state(&mut self) -> Result<&mut Table<'t, Bytes, Bytes>, Fatal> {
        table(&mut self.state, self.transaction, STATE)
    }

    pub fn dedup(&mut self) -> Result<&mut Table<'t, Bytes, Bytes>, Fatal> {
        table(&mut self.dedup, self.transaction, DEDUP)
    }

    pub fn cron(&mut self) -> Result<&mut Table<'t, &'static str, Bytes>, Fatal> {
        table(&mut self.cron, self.transaction, CRON)
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
            let table = table(&mut self.history, self.transaction, HISTORY)?;
            table
                .remove(sequence)
                .map_err(fatal("removing a history"))?;
        }
        Ok(())
    }

    /// The ended attempts of a message. A damaged history is an empty one: the message matters more.
    pub fn history(&mut self, sequence: u64) -> Result<Vec<AttemptRecord>, Fatal> {
        let table = table(&mut self.history, self.transaction, HISTORY)?;
        let found = table.get(sequence).map_err(fatal("reading a history"))?;
        Ok(found
            .and_then(|bytes| dead::decode_history(sequence, bytes.value()).ok())
            .unwrap_or_default())
    }

    /// Writes the ended attempts of a message; none, if all were taken back.
    pub fn put_history(&mut self, sequence: u64, attempts: &[AttemptRecord]) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.history, self.transaction, HISTORY)?;
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
        table(&mut self.dedup, self.transaction, DEDUP)?;
        table(&mut self.dedup_expiry, self.transaction, DEDUP_EXPIRY)?;
        if let (Some(ids), Some(expiry)) = (&mut self.dedup, &mut self.dedup_expiry) {
            dedup::insert(ids, expiry, key, first).map_err(fatal("writing a dedup id"))?;
        }
        Ok(())
    }

    /// Forgets some of the dedup ids whose window has ended. Says whether there may be more.
    pub fn forget_dedup(&mut self, now: Timestamp) -> Result<bool, Fatal> {
        table(&mut self.dedup, self.transaction, DEDUP)?;
        table(&mut self.dedup_expiry, self.transaction, DEDUP_EXPIRY)?;
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
        let table = table(&mut self.held, self.transaction, HELD)?;
        let key = (queue.0, hash);
        let found = table.get(key).map_err(fatal("reading a held group"))?;
        Ok(found
            .and_then(|bytes| held::decode(key, bytes.value()).ok())
            .unwrap_or_default())
    }

    /// Writes what is kept of a group; nothing, if it delivers again.
    pub fn put_held(&mut self, queue: QueueId, hash: u64, group: &HeldGroup) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.held, self.transaction, HELD)?;
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
        let table = table(&mut self.blob, self.transaction, BLOB)?;
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
        let table = table(&mut self.redrive, self.transaction, REDRIVE)?;
        let bytes = redrive::encode(redrive);
        table
            .insert(redrive.number, bytes.as_slice())
            .map_err(fatal("writing a redrive"))?;
        Ok(())
    }

    /// Forgets a redrive.
    pub fn remove_redrive(&mut self, number: u64) -> Result<(), Fatal> {
        self.changed = true;
        let table = table(&mut self.redrive, self.transaction, REDRIVE)?;
        table
            .remove(number)
            .map_err(fatal("forgetting a redrive"))?;
        Ok(())
    }

    /// Writes a queue's number and whether it is paused.
    pub fn put_queue(&mut self, name: &str, number: u32, paused: bool) -> Result<(), Fatal> {
        self.changed = true;
        let mut queues = self
            .transaction
            .open_table(QUEUE)
            .map_err(fatal("opening table queue"))?;
        queues
            .insert(name, (number, paused))
            .map_err(fatal("writing a queue"))?;
        Ok(())
    }

    /// Keeps a record that failed its checksum aside, as it was found.
    pub fn put_quarantine(&mut self, sequence: u64, record: &[u8]) -> Result<(), Fatal> {
        self.changed = true;
        let mut quarantine = self
            .transaction
            .open_table(QUARANTINE)
            .map_err(fatal("opening table quarantine"))?;
        quarantine
            .insert(sequence, record)
            .map_err(fatal("writing to quarantine"))?;
        Ok(())
    }

    /// Makes the collected changes, and writes the clock and the next numbers if there were any.
    /// Says whether there were.
    pub fn finish(
        mut self,
        now: Timestamp,
        next_sequence: u64,
        next_ordinal: u64,
    ) -> Result<bool, Fatal> {
        if self.changed {
            self.messages.apply(&mut self.message)?;
            self.rows.apply(&mut self.index)?;
            if !self.leases.is_empty() {
                let table = self.transaction.open_table(LEASE);
                self.leases
                    .apply(&mut table.map_err(fatal("opening table lease"))?)?;
            }
            let bytes = encode_clock(now, next_sequence, next_ordinal);
            self.index
                .insert(CLOCK_KEY, bytes.as_slice())
                .map_err(fatal("writing the clock"))?;
        }
        Ok(self.changed)
    }
}

/// The row under [`CLOCK_KEY`]: the latest time seen, the next sequence number, the next ordinal.
pub(crate) fn encode_clock(now: Timestamp, next_sequence: u64, next_ordinal: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(28);
    for number in [now.unix_ms(), next_sequence, next_ordinal] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    check::seal(CLOCK_KEY, &mut bytes);
    bytes
}

/// Reads and verifies the row under [`CLOCK_KEY`].
pub(crate) fn decode_clock(bytes: &[u8]) -> Result<(Timestamp, u64, u64), Malformed> {
    let row = check::open(CLOCK_KEY, bytes)?;
    let bytes: &[u8; 24] = row.try_into().map_err(|_| Malformed)?;
    let number = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    Ok((Timestamp::from_unix_ms(number(0)), number(8), number(16)))
}
