//! The log: commits that are durable, and that the database has only for as long as it is open.
//!
//! For redb, a durable commit is two syncs and some ten pages however little is in it. So a group is made
//! durable by one record at the end of this file and one sync, and is then committed in the database without
//! a sync. The file has two halves. When one is full, records go into the other, and redb makes a durable
//! commit of all that came before, beside the writer ([`checkpoint`](crate::checkpoint)): a half is not written
//! again before the database has what is in it. A store that is opened first does again what records say that
//! are later than the last durable commit.
//!
//! A record begins with a page, so what is synced is never written again before it is in the database:
//!
//! | bytes | |
//! |---|---|
//! | 8 | xxh3 of all that follows, up to the zeros |
//! | 8 | the salt of the store |
//! | 8 | the number of the commit: one more than that of the record before |
//! | 8 | how many bytes of changes follow |
//! | … | the changes ([`redo`]), then zeros to the end of the page |
//!
//! The number of the last commit stands in the row of the clock too, so the database knows which records are
//! its own already. What comes after the last record of a half is what was there before: zeros, records with
//! smaller numbers, or a record that was never synced. The file is filled with zeros when it grows, since
//! writing within a file is a cheaper sync than making it longer. It has its full length, two halves and one page, before
//! the second half is written: an odd number of pages says that there is one, and where it begins.

mod record;
pub(crate) mod redo;

use std::fs::File;
use std::io;
use std::path::Path;

use gristmill_queue::bug::{Bug, is_planted};
use redb::backends::FileBackend;
use redb::{Database, StorageBackend};
use rustix::fs::{Advice, fadvise};
use xxhash_rust::xxh3::xxh3_64;

use crate::OpenError;
use crate::copy::COPIED;
use crate::disk::{OpenFile, on_disk};
use crate::open::open_private;
use crate::store::Options;
use crate::tables::{CLOCK_KEY, HAS_LOG, INDEX, META, committed};
use crate::writer::group::{self, decode_clock};
use record::Record;
pub(crate) use record::{readable_records, records};
use redo::{Again, Redo};

/// The name of the file in the folder of the store.
pub(crate) const FILE: &str = "store.log";
/// Bytes of the head of a record.
const HEAD: usize = 32;
const PAGE: usize = 4096;
/// What the file has at first; whenever that is not enough it gets twice as much.
const FIRST: u64 = 256 * 1024;
/// Bytes of zeros that are written at once. Not more: the kernel keeps what is written at once in one piece of
/// its cache if it can, and then syncs all of it for each page that a record takes of it.
const PIECE: usize = PAGE;

/// Opens the log of a store whose file is open.
///
/// # Errors
/// When it is not there and should be, is not the one of this store, or does not follow its file.
pub(crate) fn open(
    folder: &Path,
    options: &mut Options,
    database: &Database,
) -> Result<Log, OpenError> {
    let damaged = |source| OpenError::Damaged {
        file: folder.join(crate::open::FILE),
        source,
    };
    if !folder.join(FILE).exists() && is_needed(database).map_err(damaged)? {
        return Err(OpenError::LogMissing {
            folder: folder.to_owned(),
        });
    }
    let (open, half) = (options.open_log.take(), options.log_bytes / 2);
    Log::open(folder, open, database, whole_pages(half)).map_err(damaged)
}

/// Where the next record goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind the last one.
    Here,
    /// To the beginning of the other half.
    OtherHalf,
    /// It is too large, or the disk is full: the database has to make the commit durable.
    Nowhere,
}

/// The log of a store that is open.
pub(crate) struct Log {
    file: Box<dyn StorageBackend>,
    salt: u64,
    /// The number of the last commit.
    last: u64,
    /// Where the next record begins.
    at: u64,
    /// Where the half begins in which that is.
    begin: u64,
    /// How much of the file is filled.
    length: u64,
    /// How long each half may become.
    half: u64,
    /// Whether the disk had no room for more of it.
    stuck: bool,
    /// The memory of the last group's changes.
    memory: Vec<u8>,
}

impl Log {
    /// Opens it, and does again what the database does not have.
    fn open(
        folder: &Path,
        open: Option<OpenFile>,
        database: &Database,
        half: u64,
    ) -> Result<Self, redb::Error> {
        let path = folder.join(FILE);
        let fresh = !path.exists();
        let handle = open_private(&path, false)?;
        // Nor should it read ahead in large pieces, for the reason that `PIECE` has.
        let _ = fadvise(&handle, 0, None, Advice::Random);
        if fresh {
            File::open(folder)?.sync_all()?;
        }
        let file = on_disk(handle, open)?;
        if is_foreign(&*file, database)? {
            if is_needed(database)? {
                return Err(redb::Error::Corrupted(
                    "store.log is the log of another store: put its own back".to_owned(),
                ));
            }
            // It was left by a store that is not here any more.
            file.set_len(0)?;
            file.sync_data()?;
        }
        let last = replay(&*file, database)?;
        let mut length = file.len()?;
        if length > full(half) {
            // The database has all of it by now, and the length says where the second half begins.
            length = full(half);
            file.set_len(length)?;
            file.sync_data()?;
        } else if length != full(half) {
            // A second half that is not whole is made anew before it is used.
            length = length.min(half);
        }
        Ok(Log {
            file,
            salt: 0,
            last,
            at: 0,
            begin: 0,
            length: whole_pages(length),
            half,
            stuck: false,
            memory: Vec::new(),
        })
    }

    /// Which store its records are of.
    pub fn belongs_to(&mut self, salt: u64) {
        self.salt = salt;
    }

    /// The number of the next commit.
    pub fn next_number(&self) -> u64 {
        self.last + 1
    }

    /// What a group notes its changes in.
    pub fn begin(&mut self) -> Redo {
        Redo::begin(std::mem::take(&mut self.memory))
    }

    /// Where the record of a group goes.
    pub fn place(&mut self, redo: &Redo) -> Place {
        let bytes = redo.length().next_multiple_of(PAGE) as u64;
        if self.has_room(self.at + bytes, self.begin + self.half) {
            return Place::Here;
        }
        let other = self.other_half();
        if self.has_room(other + bytes, other + self.half) {
            return Place::OtherHalf;
        }
        Place::Nowhere
    }

    /// The next record goes to the beginning of the other half. The database must have what is in it.
    pub fn turn(&mut self) {
        self.begin = self.other_half();
        self.at = self.begin;
    }

    fn other_half(&self) -> u64 {
        if self.begin == 0 { self.half } else { 0 }
    }

    /// Makes the next commit durable; there has to be room for it. If this fails it is not known whether the
    /// commit is there.
    pub fn append(&mut self, redo: Redo) -> io::Result<()> {
        let mut record = redo.into_bytes();
        let changes = record.len() - HEAD;
        record.resize(record.len().next_multiple_of(PAGE), 0);
        record[8..16].copy_from_slice(&self.salt.to_le_bytes());
        record[16..24].copy_from_slice(&self.next_number().to_le_bytes());
        record[24..HEAD].copy_from_slice(&(changes as u64).to_le_bytes());
        let sum = xxh3_64(&record[8..HEAD + changes]);
        record[..8].copy_from_slice(&sum.to_le_bytes());
        self.file.write(self.at, &record)?;
        if !is_planted(Bug::NotSynced) {
            self.file.sync_data()?;
        }
        self.at += record.len() as u64;
        self.last += 1;
        self.memory = record;
        Ok(())
    }

    /// Takes back the memory of a group that it does not have.
    pub fn forget(&mut self, redo: Redo) {
        self.memory = redo.into_bytes();
    }

    /// The database has made the next commit durable, and all before it.
    pub fn begin_anew(&mut self) {
        self.last += 1;
        self.at = self.begin;
    }

    /// Whether the file can be written up to there, in a half that ends there.
    fn has_room(&mut self, needed: u64, end: u64) -> bool {
        if needed > end {
            return false;
        }
        if needed <= self.length || self.stuck {
            return needed <= self.length;
        }
        let length = if end > self.half {
            full(self.half)
        } else {
            let mut length = self.length.max(FIRST / 2);
            while length < needed {
                length *= 2;
            }
            length.min(end)
        };
        if let Err(error) = self.fill(length) {
            tracing::warn!(%error, "the log of the store cannot grow: commits are slower; see to the disk");
            self.stuck = true;
            return false;
        }
        self.length = length;
        true
    }

    fn fill(&self, length: u64) -> io::Result<()> {
        let zeros = [0; PIECE];
        let mut at = self.length;
        while at < length {
            let rest = usize::try_from(length - at).unwrap_or(PIECE);
            let piece = &zeros[..rest.min(PIECE)];
            self.file.write(at, piece)?;
            at += piece.len() as u64;
        }
        self.file.sync_data()
    }
}

/// Does again what the log of a store has and its database has not, and says which commit is the last now.
///
/// # Errors
/// When commits between the two are missing, or one of them cannot be read or written.
pub fn replay(log: &dyn StorageBackend, database: &Database) -> Result<u64, redb::Error> {
    let mut last = last_commit(database)?;
    let later = later(log, database)?;
    if later.is_empty() || is_planted(Bug::LogNotReplayed) {
        return Ok(last);
    }
    let transaction = group::begin(database).map_err(|fatal| fatal.source)?;
    let mut again = Again::within(&transaction);
    for record in later {
        if record.number > last + 1 {
            return Err(redb::Error::Corrupted(format!(
                "its last commit is number {last}, and its log begins with {}: what is between is missing",
                record.number
            )));
        }
        again.apply(record.changes())?;
        last = record.number;
    }
    drop(again);
    group::end_durably(transaction).map_err(|fatal| fatal.source)?;
    Ok(last)
}

/// Whether a log has commits that the database has not.
pub(crate) fn is_ahead(log: &dyn StorageBackend, database: &Database) -> Result<bool, redb::Error> {
    Ok(!later(log, database)?.is_empty())
}

/// The records of a store that are later than the last commit of its database.
fn later(log: &dyn StorageBackend, database: &Database) -> Result<Vec<Record>, redb::Error> {
    let (last, salt) = (last_commit(database)?, salt(database)?);
    let mut records = records(log)?;
    records.retain(|record| Some(record.salt) == salt && record.number > last);
    Ok(records)
}

/// Whether the records of a log are of another store.
fn is_foreign(log: &dyn StorageBackend, database: &Database) -> Result<bool, redb::Error> {
    let salt = salt(database)?;
    let mut records = records(log)?.into_iter();
    Ok(records.any(|record| Some(record.salt) != salt))
}

/// Whether the log of a database may have more than it: no host has closed it since it was opened.
pub(crate) fn is_needed(database: &Database) -> Result<bool, redb::Error> {
    let Some(meta) = committed(database, META)? else {
        return Ok(false);
    };
    Ok(meta.get(HAS_LOG)?.is_some() && meta.get(COPIED)?.is_none())
}

/// The log in a folder, if there is one.
pub(crate) fn existing(folder: &Path) -> Result<Option<FileBackend>, redb::Error> {
    match File::open(folder.join(FILE)) {
        Ok(file) => Ok(Some(FileBackend::new(file)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The salt of a store that has one of its own: a new one and a copy have none yet, and no records.
fn salt(database: &Database) -> Result<Option<u64>, redb::Error> {
    let Some(meta) = committed(database, META)? else {
        return Ok(None);
    };
    if meta.get(COPIED)?.is_some() {
        return Ok(None);
    }
    Ok(meta.get("salt")?.map(|salt| salt.value()))
}

/// The number of the last commit that the database has.
fn last_commit(database: &Database) -> Result<u64, redb::Error> {
    let Some(index) = committed(database, INDEX)? else {
        return Ok(0);
    };
    let row = index.get(CLOCK_KEY)?;
    let clock = row.map(|row| decode_clock(row.value())).transpose();
    let clock = clock.map_err(|_| redb::Error::Corrupted("the row of the clock".into()))?;
    Ok(clock.map_or(0, |clock| clock.commit))
}

/// The length of a log that has both halves.
fn full(half: u64) -> u64 {
    2 * half + PAGE as u64
}

fn whole_pages(bytes: u64) -> u64 {
    bytes - bytes % PAGE as u64
}
