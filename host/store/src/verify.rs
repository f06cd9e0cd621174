//! What the next start does after a start that ended because the store failed: it trusts nothing that
//! it has not read again.
//!
//! When a write or an fsync fails, pages that never reached the disk may stay in the system's memory as
//! if they had. So the one that fails leaves a marker in the data folder; whoever opens the store next
//! lets go of those pages, reads the whole file and every record in it, and puts aside what is damaged.
//! The marker goes when that is done, and not before.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use gristmill_queue::BlobReader as _;
use redb::{Database, ReadableDatabase, ReadableTable};
use rustix::fs::{Advice, fadvise};

use crate::blob::{Blob, Blobs};
use crate::tables::{DEAD, HISTORY, INDEX, MESSAGE};
use crate::writer::Writer;
use crate::{dead, record, row};

/// The marker in the data folder.
const MARKER: &str = "verify";
/// Bytes of a large body that are read at once.
const PIECE: usize = 64 * 1024;

/// Has the next start verify everything. Needs no room on the disk but for a name.
pub(crate) fn mark(folder: &Path) {
    let marked = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(MARKER))
        .and_then(|_| File::open(folder)?.sync_all());
    if let Err(error) = marked {
        tracing::warn!(%error, "the next start cannot be told to verify the store");
    }
}

/// Whether this start has to verify everything.
pub(crate) fn is_marked(folder: &Path) -> bool {
    folder.join(MARKER).exists()
}

/// All is verified.
pub(crate) fn unmark(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(folder.join(MARKER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Lets the system forget what it remembers of a file that is not open for writing yet.
pub(crate) fn forget_cached(file: &File) -> io::Result<()> {
    // What is still to be written is written, or said to have failed once more.
    file.sync_all()?;
    fadvise(file, 0, None, Advice::DontNeed)?;
    Ok(())
}

/// Reads every page of the file. One that can only be used with an earlier commit is used so.
pub(crate) fn verify_pages(database: &mut Database) -> Result<(), redb::Error> {
    match database.check_integrity() {
        Ok(true) => Ok(()),
        Ok(false) => {
            tracing::error!(
                "the last commit of the store was not whole; the one before it is used: what was answered in the moment of the failure may be missing"
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// What was read, and which messages are not to be delivered.
#[derive(Default)]
pub(crate) struct Verified {
    pub records: u64,
    pub unsound: HashSet<u64>,
}

impl Writer {
    /// Reads every record of every message, dead or not, and every large body.
    pub(crate) fn verify_records(&self, blobs: &Blobs) -> Result<Verified, redb::Error> {
        let mut verified = Verified::default();
        let transaction = self.database.begin_read()?;
        let index = transaction.open_table(INDEX)?;
        for entry in transaction.open_table(MESSAGE)?.iter()? {
            let (key, bytes) = entry?;
            let sequence = key.value();
            verified.records += 1;
            let row = index.get(sequence)?;
            let row = row.and_then(|bytes| row::decode(sequence, bytes.value()).ok());
            let sound = match row.filter(|row| self.board.has(row.queue)) {
                Some(row) => {
                    let queue = self.board.name(row.queue).clone();
                    match record::decode(sequence, queue, bytes.value()) {
                        Ok(message) => message
                            .blob
                            .map_or(Ok(true), |blob| is_sound(blobs, blob))?,
                        Err(_) => false,
                    }
                }
                // What has no row that can be read is put aside whatever is in it.
                None => false,
            };
            if !sound {
                verified.unsound.insert(sequence);
            }
        }
        for entry in transaction.open_table(DEAD)?.iter()? {
            let (key, bytes) = entry?;
            verified.records += 1;
            if dead::record(key.value(), bytes.value()).is_err() {
                tracing::error!(
                    message = key.value(),
                    "the record of a dead letter is damaged; it stays where it is, and cannot be taken back"
                );
            }
        }
        for entry in transaction.open_table(HISTORY)?.iter()? {
            let (key, bytes) = entry?;
            verified.records += 1;
            if dead::decode_history(key.value(), bytes.value()).is_err() {
                tracing::error!(
                    message = key.value(),
                    "the record of a message's attempts is damaged; it is delivered without it"
                );
            }
        }
        Ok(verified)
    }
}

/// Whether a large body is all there. A disk that cannot be read is another thing.
fn is_sound(blobs: &Blobs, blob: gristmill_queue::BlobRef) -> Result<bool, redb::Error> {
    use gristmill_queue::BlobUnavailable::Io;
    let opened = match Blob::open(blobs, blob) {
        Ok(opened) => opened,
        Err(Io(problem)) => return Err(io::Error::other(problem).into()),
        Err(_) => return Ok(false),
    };
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    loop {
        match opened.read_at(at, &mut piece) {
            Ok(0) => return Ok(true),
            Ok(read) => at += read as u64,
            Err(Io(problem)) => return Err(io::Error::other(problem).into()),
            Err(_) => return Ok(false),
        }
    }
}
