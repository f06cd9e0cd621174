//! The tables of the file, and its format version.
//!
//! | table | key | value |
//! |---|---|---|
//! | `message` | sequence | the record of a message that is not dead ([`record`](crate::record)) |
//! | `index` | sequence | its row ([`row`](crate::row)); under [`CLOCK_KEY`] what is persisted with every commit |
//! | `history` | sequence | its ended attempts, if any ([`dead`](crate::dead)) |
//! | `dead` | sequence | a dead letter, its message record within ([`dead`](crate::dead)) |
//! | `dead_index` | queue, sequence | when it died and is forgotten, why, its fingerprint, in which module |
//! | `redrive` | its number | a redrive under way ([`redrive`](crate::redrive)) |
//! | `lease` | sequence | the lease that a pull consumer holds ([`lease`](crate::lease)) |
//! | `held` | queue, hash of the group | why it delivers nothing ([`held`](crate::held)) |
//! | `state` | handler, 0, key | version, kind and value ([`state`](crate::state)) |
//! | `dedup` | queue, hash of the id | until when, which message ([`dedup`](crate::dedup)) |
//! | `dedup_expiry` | until when, queue, hash | nothing |
//! | `cron` | name of the entry | its schedule, up to when its ticks are done, the last that fired ([`cron`](crate::cron)) |
//! | `blob` | sequence | which file has its large body ([`blob`](crate::blob)) |
//! | `made` | name | the definition of a queue that was made while a host ran ([`made`](crate::made)) |
//! | `queue` | name | number and whether it is paused |
//! | `quarantine` | sequence | a record that failed its checksum, as it was found |
//! | `meta` | name | format version, salt, boot number, whether the log may have more |
//!
//! Everything about one message is keyed by its sequence, which grows, so that a commit touches
//! few pages however many queues there are.
//!
//! **Changing the format.** Raise [`FORMAT`], and have `open` take the step that leads from the version
//! before, written beside the tables here; never change what an old version means.
//!
//! - **2** has a log beside it, and the number of the last commit in the row of the clock. A store of
//!   version 1 becomes one with its first commit.
//! - **3** has a log of two halves.

use std::collections::HashSet;

use redb::{
    Database, Key, ReadOnlyTable, ReadableDatabase, TableDefinition, TableHandle as _, Value,
};

/// The version of the format that this build writes.
pub(crate) const FORMAT: u64 = 3;

/// The key in `index` under which the clock and the next numbers stand.
pub(crate) const CLOCK_KEY: u64 = u64::MAX;

pub(crate) const MESSAGE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("message");
pub(crate) const INDEX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("index");
pub(crate) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
pub(crate) const LEASE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lease");
pub(crate) const DEAD: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("dead");
pub(crate) const DEAD_INDEX: TableDefinition<'_, (u32, u64), &[u8]> =
    TableDefinition::new("dead_index");
pub(crate) const HELD: TableDefinition<'_, (u32, u64), &[u8]> = TableDefinition::new("held");
pub(crate) const STATE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("state");
pub(crate) const DEDUP: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("dedup");
pub(crate) const DEDUP_EXPIRY: TableDefinition<'_, (u64, &[u8]), ()> =
    TableDefinition::new("dedup_expiry");
pub(crate) const REDRIVE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("redrive");
pub(crate) const CRON: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cron");
pub(crate) const BLOB: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blob");
pub(crate) const MADE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("made");
pub(crate) const QUEUE: TableDefinition<'_, &str, (u32, bool)> = TableDefinition::new("queue");
pub(crate) const QUARANTINE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("quarantine");
/// In `meta` for as long as a host has the store open, or did not close it: its log may have more than the file.
pub(crate) const HAS_LOG: &str = "log";

pub(crate) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// The names of all tables.
pub(crate) const TABLES: [&str; 17] = [
    "meta",
    "queue",
    "index",
    "message",
    "history",
    "dead_index",
    "dead",
    "blob",
    "dedup",
    "dedup_expiry",
    "held",
    "lease",
    "redrive",
    "cron",
    "made",
    "state",
    "quarantine",
];

/// A table as it is committed; a database that was just made has none yet.
pub(crate) fn committed<K: Key + 'static, V: Value + 'static>(
    database: &Database,
    definition: TableDefinition<'static, K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, redb::Error> {
    match database.begin_read()?.open_table(definition) {
        Ok(table) => Ok(Some(table)),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Each start makes the tables that are missing, so a store of this version has all of them, unless the name of
/// one is damaged: without its queues, messages would be handed to others.
pub(crate) fn check_complete(database: &Database) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    let found: HashSet<String> = transaction
        .list_tables()?
        .map(|table| table.name().to_owned())
        .collect();
    match TABLES.into_iter().find(|name| !found.contains(*name)) {
        Some(name) => Err(redb::Error::Corrupted(format!(
            "the table {name} is missing"
        ))),
        None => Ok(()),
    }
}
