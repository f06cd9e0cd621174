//! Copying all tables, as one snapshot has them, into a new file.
//!
//! Rows are copied as they are, in order, so the new file has no gaps. It is not durable until its
//! last commit; who asks for the copy gives it its name then.

use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableHandle, Value, WriteTransaction,
};

use crate::checkpoint::Checkpoints;
use crate::disk::{OpenFile, on_disk};
use crate::tables::{
    BLOB, CRON, DEAD, DEAD_INDEX, DEDUP, DEDUP_EXPIRY, HELD, HISTORY, INDEX, LEASE, MADE, MESSAGE,
    META, QUARANTINE, QUEUE, REDRIVE, STATE, TABLES,
};
use crate::writer::group;

/// Bytes of a file that are kept in memory while it is written, and that are written in one commit.
const BATCH: usize = 32 * 1024 * 1024;
/// The most rows that are written in one commit.
const BATCH_ROWS: u64 = 100_000;

/// The row of `meta` that says that the file is a copy: it gives other ids than what it was copied
/// from. See [`open`](crate::open).
pub(crate) const COPIED: &str = "copied";

/// Whether to go on: told the table, how many rows are copied, and of how many.
pub(crate) type Watch<'w, E> = &'w mut dyn FnMut(&'static str, u64, u64) -> Result<(), E>;

/// A copy under way.
pub(crate) struct Copying {
    database: Database,
    done: u64,
    of: u64,
}

/// What is in the new file before it is told to be whole.
impl Copying {
    /// Begins a new file, which must not be there.
    pub fn begin(to: &Path) -> Result<Self, redb::Error> {
        Self::begin_on(to, None)
    }

    /// The same on another disk than that of the file.
    pub fn begin_on(to: &Path, open: Option<OpenFile>) -> Result<Self, redb::Error> {
        use std::os::unix::fs::OpenOptionsExt;
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(to)?;
        let pages = Checkpoints::of(on_disk(file, open)?, None).pages();
        let mut builder = Database::builder();
        builder.set_cache_size(2 * BATCH);
        Ok(Copying {
            database: builder.create_with_backend(pages)?,
            done: 0,
            of: 0,
        })
    }

    /// The file that is being written.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Copies all tables of a snapshot. Returns how many rows there are.
    pub fn all<E: From<redb::Error>>(
        &mut self,
        from: &ReadTransaction,
        watch: Watch<'_, E>,
    ) -> Result<u64, E> {
        self.known(from)?;
        self.of = count(from)?;
        self.table(from, META, watch)?;
        self.table(from, QUEUE, watch)?;
        self.table(from, INDEX, watch)?;
        self.table(from, MESSAGE, watch)?;
        self.table(from, HISTORY, watch)?;
        self.table(from, DEAD_INDEX, watch)?;
        self.table(from, DEAD, watch)?;
        self.table(from, BLOB, watch)?;
        self.table(from, DEDUP, watch)?;
        self.table(from, DEDUP_EXPIRY, watch)?;
        self.table(from, HELD, watch)?;
        self.table(from, LEASE, watch)?;
        self.table(from, REDRIVE, watch)?;
        self.table(from, CRON, watch)?;
        self.table(from, MADE, watch)?;
        self.table(from, STATE, watch)?;
        self.table(from, QUARANTINE, watch)?;
        Ok(self.done)
    }

    /// Gives back what redb took in advance, when all is copied: a file grows by doubling.
    pub fn tighten(mut self) -> Result<(), redb::Error> {
        self.database.compact()?;
        Ok(())
    }

    /// A table that is not copied would be lost.
    fn known(&self, from: &ReadTransaction) -> Result<(), redb::Error> {
        for table in from.list_tables()? {
            if !TABLES.contains(&table.name()) {
                let name = table.name();
                return Err(redb::Error::Corrupted(format!(
                    "table {name:?} is not known to this build"
                )));
            }
        }
        Ok(())
    }

    fn table<K: Key + 'static, V: Value + 'static, E: From<redb::Error>>(
        &mut self,
        from: &ReadTransaction,
        definition: TableDefinition<'static, K, V>,
        watch: Watch<'_, E>,
    ) -> Result<(), E> {
        let name = name_of(definition);
        let source = from.open_table(definition).map_err(redb::Error::from)?;
        let mut rows = source.iter().map_err(redb::Error::from)?;
        loop {
            let transaction = begin(&self.database)?;
            let copied = batch(&mut rows, &transaction, definition)?;
            transaction.commit().map_err(redb::Error::from)?;
            self.done += copied;
            watch(name, self.done, self.of)?;
            if copied == 0 {
                return Ok(());
            }
        }
    }

    /// Notes that the file is a copy, which gives other ids.
    pub fn mark(&self) -> Result<(), redb::Error> {
        let transaction = begin(&self.database)?;
        transaction.open_table(META)?.insert(COPIED, 1)?;
        transaction.commit()?;
        Ok(())
    }
}

fn name_of<K: Key + 'static, V: Value + 'static>(
    definition: TableDefinition<'static, K, V>,
) -> &'static str {
    let mut names = TABLES.iter();
    let name = names.find(|name| **name == definition.name());
    name.copied().unwrap_or("a table")
}

pub(crate) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    group::begin(database).map_err(|fatal| fatal.source)
}

/// Makes all tables, empty.
pub(crate) fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let transaction = begin(database)?;
    transaction.open_table(META)?;
    transaction.open_table(QUEUE)?;
    for table in [
        MESSAGE, INDEX, HISTORY, LEASE, DEAD, REDRIVE, BLOB, QUARANTINE,
    ] {
        transaction.open_table(table)?;
    }
    transaction.open_table(DEAD_INDEX)?;
    transaction.open_table(HELD)?;
    transaction.open_table(STATE)?;
    transaction.open_table(DEDUP)?;
    transaction.open_table(DEDUP_EXPIRY)?;
    transaction.open_table(CRON)?;
    transaction.open_table(MADE)?;
    transaction.commit()?;
    Ok(())
}

/// Copies as many rows as one commit should have. Says how many.
fn batch<K: Key + 'static, V: Value + 'static>(
    rows: &mut redb::Range<'_, K, V>,
    transaction: &WriteTransaction,
    definition: TableDefinition<'static, K, V>,
) -> Result<u64, redb::Error> {
    let mut table = transaction.open_table(definition)?;
    let (mut copied, mut bytes) = (0, 0);
    while bytes < BATCH && copied < BATCH_ROWS {
        let Some(row) = rows.next() else {
            break;
        };
        let (key, value) = row?;
        let value = value.value();
        bytes += V::as_bytes(&value).as_ref().len();
        table.insert(key.value(), value)?;
        copied += 1;
    }
    Ok(copied)
}

fn count(from: &ReadTransaction) -> Result<u64, redb::Error> {
    let mut rows = 0;
    for table in from.list_tables()? {
        rows += from.open_untyped_table(table)?.len()?;
    }
    Ok(rows)
}
