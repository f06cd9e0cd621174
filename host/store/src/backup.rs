//! A copy of the whole store while it is used: a data folder that another host opens.
//!
//! It is what one moment has, that of its beginning: redb keeps the snapshot, and the files of large
//! bodies whose messages end meanwhile are kept too. Both cost disk until the backup is done, so a
//! backup that costs too much is given up. The in-flight file is not copied: what it names was being
//! handled by this process, and no host has died over it in the copy.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::TryLockError;

use gristmill_queue::BlobRef;
use redb::{ReadTransaction, ReadableDatabase, ReadableTable};

use crate::blob::{self, Blobs};
use crate::copy::Copying;
use crate::destination::{Destination, DestinationError};
use crate::error::{guarded, panicked};
use crate::open::FILE;
use crate::tables::BLOB;
use crate::{AdminError, Progress, Store};

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One is under way.
    #[error("another backup is under way: wait until it is done")]
    Busy,
    /// The folder cannot be written.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// It costs too much.
    #[error(
        "the backup was given up, because the store grew by {grown} bytes meanwhile, which it does as long as a backup lasts: back up when less is sent, or to a faster disk"
    )]
    Grown {
        /// By how much.
        grown: u64,
    },
    /// The store cannot be read, or the copy not be written.
    #[error("the store could not be copied: {0}")]
    Store(#[from] redb::Error),
    /// The store is closed.
    #[error("the store closed before the backup was done")]
    Closed,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backup {
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of the new file.
    pub bytes: u64,
    /// Large bodies.
    pub bodies: Bodies,
}

/// Large bodies that were copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bodies {
    /// How many, linked ones among them.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many are the same file, which takes no room.
    pub linked: u64,
    /// How many were not there: their messages are damaged in the store as well.
    pub missing: u64,
}

impl Store {
    /// Copies the store, as it is when this begins, into a new folder. Blocks as files do.
    ///
    /// # Errors
    /// When the folder is there already, the disk is full, or another backup is under way. Then
    /// nothing is left of it.
    pub fn backup(&self, to: &Path, progress: Progress<'_>) -> Result<Backup, BackupError> {
        let _alone = match self.shared.backup.try_lock() {
            Ok(alone) => alone,
            Err(TryLockError::Poisoned(alone)) => alone.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(BackupError::Busy),
        };
        let destination = Destination::begin(to)?;
        // Held before the snapshot is taken: what the snapshot has, is there.
        let hold = self.shared.blobs.hold();
        let database = self.database().map_err(|error| match error {
            AdminError::Store(source) => BackupError::Store(source),
            _ => BackupError::Closed,
        })?;
        let snapshot = database.begin_read().map_err(redb::Error::from)?;
        let copied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let bodies = self.copy_bodies(&snapshot, &destination, progress)?;
            drop(hold);
            let (rows, copying) = self.copy_tables(&snapshot, &destination, progress)?;
            Ok::<_, BackupError>((bodies, rows, copying))
        }));
        let copied = copied.unwrap_or_else(|cause| Err(panicked(cause.as_ref()).into()));
        drop(snapshot);
        drop(database);
        let (bodies, rows, copying) = copied?;
        guarded(|| copying.tighten())?;
        let file = destination.folder().join(FILE);
        let bytes = std::fs::metadata(file).map(|found| found.len());
        let bytes = bytes.map_err(|error| destination.failed(error))?;
        destination.finish()?;
        Ok(Backup {
            rows,
            bytes,
            bodies,
        })
    }

    fn copy_tables(
        &self,
        snapshot: &ReadTransaction,
        destination: &Destination,
        progress: Progress<'_>,
    ) -> Result<(u64, Copying), BackupError> {
        let file = self.shared.blobs.data_dir().join(FILE);
        let size = || std::fs::metadata(&file).map_or(0, |found| found.blocks() * 512);
        let before = size();
        let mut copying = Copying::begin(&destination.folder().join(FILE))?;
        let rows = copying.all(snapshot, &mut |table, done, of| {
            progress(table, done, of);
            self.goes_on()?;
            let grown = size().saturating_sub(before);
            if grown > before.saturating_add(self.shared.backup_growth) {
                return Err(BackupError::Grown { grown });
            }
            Ok(())
        })?;
        copying.mark()?;
        Ok((rows, copying))
    }

    /// A host that stops does not wait for a backup.
    fn goes_on(&self) -> Result<(), BackupError> {
        self.database().map(drop).map_err(|_| BackupError::Closed)
    }

    fn copy_bodies(
        &self,
        snapshot: &ReadTransaction,
        destination: &Destination,
        progress: Progress<'_>,
    ) -> Result<Bodies, BackupError> {
        let live = guarded(|| live(snapshot))?;
        let mut bodies = Bodies::default();
        let of = live.len() as u64;
        let into = Blobs::folder(destination.folder());
        for (done, blob) in (0..).zip(live) {
            progress("large bodies", done, of);
            self.goes_on()?;
            let from = self.shared.blobs.path(blob.name);
            let copied = copy_body(&from, &into, blob, &mut bodies);
            copied.map_err(|error| destination.failed(error))?;
        }
        Ok(bodies)
    }
}

fn live(snapshot: &ReadTransaction) -> Result<Vec<BlobRef>, redb::Error> {
    let mut live = Vec::new();
    for row in snapshot.open_table(BLOB)?.iter()? {
        let (sequence, row) = row?;
        // One that is damaged names no file; its message is damaged in the copy too.
        live.extend(blob::decode_row(sequence.value(), row.value()));
    }
    Ok(live)
}

/// The same file once more, or a copy of it where that cannot be.
pub(crate) fn copy_body(
    from: &Path,
    into: &Path,
    blob: BlobRef,
    bodies: &mut Bodies,
) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(into)?;
    let to = into.join(format!("{:016x}", blob.name));
    match std::fs::hard_link(from, &to) {
        Ok(()) => bodies.linked += 1,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            bodies.missing += 1;
            return Ok(());
        }
        Err(_) => {
            let mut source = File::open(from)?;
            let mut copy = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(to)?;
            io::copy(&mut source, &mut copy)?;
            copy.sync_all()?;
        }
    }
    bodies.count += 1;
    bodies.bytes += blob.size;
    Ok(())
}
