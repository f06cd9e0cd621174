//! `store compact`: gives back the space that is free in the file.
//!
//! What is in use is copied into a new file beside the old one, which takes the old one's name when it
//! is durable. So a loss of power leaves the old file or the new one, whole.

use std::fs::File;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use gristmill_queue::bug::{Bug, is_planted};
use redb::ReadableDatabase;

use super::{Progress, Verifier, lock_store, overlay};
use crate::OpenError;
use crate::blob::{FileStep, Watch};
use crate::copy::Copying;
use crate::disk::OpenFile;
use crate::error::panicked;
use crate::log;
use crate::reserve::{Space, SpaceSource};

/// The name of the new file until it is whole.
pub(crate) const NEW_FILE: &str = "store.redb.compacting";

/// What has to stay free on the disk.
const MARGIN: u64 = 64 * 1024 * 1024;

/// Why a store was not compacted. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is no room for the new file.
    #[error("there is not enough room on the disk of {folder}: the new file takes up to {needed} bytes until it replaces the old one, and {free} are free; free some, or make a backup on another disk, which is compact", folder = .folder.display())]
    NoRoom {
        /// The data folder.
        folder: PathBuf,
        /// What it takes.
        needed: u64,
        /// What there is.
        free: u64,
    },
    /// What is damaged might be lost.
    #[error("the store {file} is damaged and was left as it is: `gristmill store check` says what is wrong", file = .0.display())]
    Damaged(PathBuf),
    /// The disk or redb failed.
    #[error("the store {file} could not be compacted and is as it was: {source}", file = .file.display())]
    Failed {
        /// The file.
        file: PathBuf,
        /// Why.
        source: redb::Error,
    },
}

/// How large the file was, and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes before.
    pub before: u64,
    /// Bytes now.
    pub after: u64,
}

/// Compacts the store in a folder that no host has open.
///
/// # Errors
/// When there is none, another process has it open, it is damaged, or there is no room. Then it is as
/// it was.
pub fn compact_store(folder: &Path, progress: Progress<'_>) -> Result<Compacted, CompactError> {
    compact_store_on(folder, Beneath::default(), progress)
}

/// What is beneath the new file, for tests that let the power fail, and who looks at the old one.
#[derive(Default)]
pub struct Beneath<'v> {
    /// Has redb check the old file before it is opened; see [`check_store_by`](super::check_store_by).
    pub verify: Option<Verifier<'v>>,
    /// Opens it; on the disk, if nothing is given.
    pub open: Option<OpenFile>,
    /// Is told when it is durable, and when it replaces the old one.
    pub watch: Option<Watch>,
    /// Who is asked how much is free, instead of the file system.
    pub space: Option<SpaceSource>,
}

impl Beneath<'_> {
    fn tell(&self, step: FileStep) {
        if let Some(watch) = &self.watch {
            watch(step);
        }
    }

    fn free(&self, folder: &Path) -> io::Result<u64> {
        let space = match &self.space {
            Some(space) => space(),
            None => Space::of(folder),
        };
        Ok(space?.free)
    }
}

/// The same as [`compact_store`], with something else beneath the new file.
///
/// # Errors
/// As there.
pub fn compact_store_on(
    folder: &Path,
    mut beneath: Beneath<'_>,
    progress: Progress<'_>,
) -> Result<Compacted, CompactError> {
    let (_lock, file) = lock_store(folder)?;
    let new = folder.join(NEW_FILE);
    let failed = |source: redb::Error| CompactError::Failed {
        file: file.clone(),
        source,
    };
    let before = length(&file).map_err(|error| failed(error.into()))?;
    remove(&new).map_err(|error| failed(error.into()))?;
    progress("the file", 0, 1);
    let copied = std::panic::catch_unwind(AssertUnwindSafe(|| {
        copy(folder, &file, &new, &mut beneath, progress)
    }));
    let copied = copied.unwrap_or_else(|cause| Err(failed(panicked(cause.as_ref()))));
    if let Err(error) = copied {
        let _ = std::fs::remove_file(&new);
        return Err(error);
    }
    let replaced = File::open(&new)
        .and_then(|new| new.sync_all())
        .and_then(|()| {
            beneath.tell(FileStep::CopySynced);
            std::fs::rename(&new, &file)
        })
        .and_then(|()| {
            beneath.tell(FileStep::Replaced);
            File::open(folder)?.sync_all()
        })
        .and_then(|()| {
            beneath.tell(FileStep::FolderSynced);
            length(&file)
        });
    let after = replaced.map_err(|error| failed(error.into()))?;
    Ok(Compacted { before, after })
}

fn copy(
    folder: &Path,
    file: &Path,
    new: &Path,
    beneath: &mut Beneath<'_>,
    progress: Progress<'_>,
) -> Result<(), CompactError> {
    let failed = |source: redb::Error| CompactError::Failed {
        file: file.to_owned(),
        source,
    };
    if beneath.verify.is_some_and(|verify| verify(file).is_err()) {
        return Err(CompactError::Damaged(file.to_owned()));
    }
    let mut database = overlay::open(file).map_err(|error| failed(error.into()))?;
    match database.check_integrity() {
        Ok(true) => {}
        Ok(false) | Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(_))) => {
            return Err(CompactError::Damaged(file.to_owned()));
        }
        Err(error) => return Err(failed(error.into())),
    }
    if let Some(log) = log::existing(folder).map_err(failed)? {
        // In memory only: the new file gets it with all the rest.
        log::replay(&log, &database).map_err(failed)?;
    }
    let needed = room(&database).map_err(failed)?;
    let free = beneath.free(folder);
    let free = free.map_err(|error| failed(error.into()))?;
    if free < needed {
        return Err(CompactError::NoRoom {
            folder: folder.to_owned(),
            needed,
            free,
        });
    }
    let snapshot = database
        .begin_read()
        .map_err(|error| failed(error.into()))?;
    let mut copying = Copying::begin_on(new, beneath.open.take()).map_err(failed)?;
    if is_planted(Bug::ReplacedTooEarly) {
        beneath.tell(FileStep::Replaced);
    }
    let mut watch = |table: &'static str, done, of| {
        progress(table, done, of);
        Ok::<_, redb::Error>(())
    };
    copying.all(&snapshot, &mut watch).map_err(failed)?;
    drop(snapshot);
    copying.tighten().map_err(failed)
}

/// What the new file takes, in bytes.
fn room(database: &redb::Database) -> Result<u64, redb::Error> {
    let transaction = database.begin_write()?;
    let used = transaction.stats()?;
    transaction.abort()?;
    Ok(used.allocated_pages() * used.page_size() as u64 + MARGIN)
}

fn length(file: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}

/// Removes what an interrupted one has left.
pub(crate) fn remove(new: &Path) -> io::Result<()> {
    match std::fs::remove_file(new) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
