//! Writing what was rescued into a new store.

use std::path::Path;

use gristmill_queue::{BlobRef, QueueName};
use redb::{TableDefinition, WriteTransaction};

use crate::blob;
use crate::copy::{self, Copying};
use crate::dedup::First;
use crate::log::redo::{Logged, Redo};
use crate::tables::{
    BLOB, CLOCK_KEY, CRON, DEAD, DEAD_INDEX, DEDUP, DEDUP_EXPIRY, FORMAT, HELD, HISTORY, INDEX,
    LEASE, MADE, MESSAGE, META, QUARANTINE, QUEUE, REDRIVE, STATE,
};
use crate::writer::group::{ClockRow, encode_clock};

/// Bytes that are written in one commit.
const BATCH: usize = 16 * 1024 * 1024;
/// What a record costs in memory beside itself, roughly.
const OVERHEAD: usize = 100;

type Bytes = Vec<u8>;

/// A record on its way into the new store.
pub(super) enum Put {
    Numbered(TableDefinition<'static, u64, &'static [u8]>, u64, Bytes),
    Paired(
        TableDefinition<'static, (u32, u64), &'static [u8]>,
        (u32, u64),
        Bytes,
    ),
    State(Bytes, Bytes),
    Dedup([u8; 20], First),
    Cron(String, Bytes),
    Made(String, Bytes),
}

impl Put {
    pub fn message(sequence: u64, record: &[u8]) -> Self {
        Put::Numbered(MESSAGE, sequence, record.to_vec())
    }

    pub fn row(sequence: u64, row: &[u8]) -> Self {
        Put::Numbered(INDEX, sequence, row.to_vec())
    }

    pub fn history(sequence: u64, attempts: &[u8]) -> Self {
        Put::Numbered(HISTORY, sequence, attempts.to_vec())
    }

    pub fn dead(sequence: u64, letter: &[u8]) -> Self {
        Put::Numbered(DEAD, sequence, letter.to_vec())
    }

    pub fn summary(queue: u32, sequence: u64, summary: Bytes) -> Self {
        Put::Paired(DEAD_INDEX, (queue, sequence), summary)
    }

    pub fn held(key: (u32, u64), held: &[u8]) -> Self {
        Put::Paired(HELD, key, held.to_vec())
    }

    pub fn lease(sequence: u64, lease: &[u8]) -> Self {
        Put::Numbered(LEASE, sequence, lease.to_vec())
    }

    pub fn redrive(number: u64, redrive: &[u8]) -> Self {
        Put::Numbered(REDRIVE, number, redrive.to_vec())
    }

    pub fn quarantine(sequence: u64, record: &[u8]) -> Self {
        Put::Numbered(QUARANTINE, sequence, record.to_vec())
    }

    pub fn blob(sequence: u64, blob: &BlobRef) -> Self {
        Put::Numbered(BLOB, sequence, blob::encode_row(sequence, blob))
    }

    fn size(&self) -> usize {
        let size = match self {
            Put::Numbered(_, _, value)
            | Put::Paired(_, _, value)
            | Put::Cron(_, value)
            | Put::Made(_, value) => value.len(),
            Put::State(key, value) => key.len() + value.len(),
            Put::Dedup(..) => 64,
        };
        size + OVERHEAD
    }

    fn write(self, into: &WriteTransaction) -> Result<(), redb::Error> {
        match self {
            Put::Numbered(table, key, value) => {
                into.open_table(table)?.insert(key, value.as_slice())?;
            }
            Put::Paired(table, key, value) => {
                into.open_table(table)?.insert(key, value.as_slice())?;
            }
            Put::State(key, value) => {
                let mut table = into.open_table(STATE)?;
                table.insert(key.as_slice(), value.as_slice())?;
            }
            Put::Dedup(key, first) => {
                let unread = Redo::begin(Vec::new());
                let mut table = Logged::open(into, DEDUP, &unread)?;
                let mut expiry = Logged::open(into, DEDUP_EXPIRY, &unread)?;
                crate::dedup::insert(&mut table, &mut expiry, &key, first)?;
            }
            Put::Made(name, value) => {
                let mut table = into.open_table(MADE)?;
                table.insert(name.as_str(), value.as_slice())?;
            }
            Put::Cron(name, value) => {
                let mut table = into.open_table(CRON)?;
                table.insert(name.as_str(), value.as_slice())?;
            }
        }
        Ok(())
    }
}

/// A new store that is being written.
pub(super) struct Rebuild {
    copying: Copying,
    puts: Vec<Put>,
    bytes: usize,
}

impl Rebuild {
    pub fn begin(file: &Path) -> Result<Self, redb::Error> {
        let copying = Copying::begin(file)?;
        copy::make_tables(copying.database())?;
        Ok(Rebuild {
            copying,
            puts: Vec::new(),
            bytes: 0,
        })
    }

    pub fn put(&mut self, put: Put) -> Result<(), redb::Error> {
        self.bytes += put.size();
        self.puts.push(put);
        if self.bytes >= BATCH {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), redb::Error> {
        let transaction = copy::begin(self.copying.database())?;
        for put in self.puts.drain(..) {
            put.write(&transaction)?;
        }
        transaction.commit()?;
        self.bytes = 0;
        Ok(())
    }

    /// Writes what no record is without, so that a host opens it.
    pub fn finish(
        mut self,
        boot: u64,
        clock: &ClockRow,
        queues: &[(QueueName, u32, bool)],
    ) -> Result<(), redb::Error> {
        self.flush()?;
        let transaction = copy::begin(self.copying.database())?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("boot", boot)?;
            let mut index = transaction.open_table(INDEX)?;
            let clock = encode_clock(clock);
            index.insert(CLOCK_KEY, clock.as_slice())?;
            let mut table = transaction.open_table(QUEUE)?;
            for (name, number, paused) in queues {
                table.insert(name.as_str(), (*number, *paused))?;
            }
        }
        transaction.commit()?;
        self.copying.mark()
    }
}

/// The row of `dead_index` of a letter whose row is lost: it is not forgotten by itself.
pub(super) fn summary(letter: &crate::DeadLetter) -> Bytes {
    crate::dead::encode_summary(&crate::DeadSummary {
        sequence: letter.message.id.sequence(),
        died_at: letter.died_at,
        forget_at: None,
        reason: letter.reason,
        fingerprint: letter.fingerprint,
        handler: letter.handler.clone(),
    })
}
