//! Looking at files and reading them whole.
//!
//! The only place of this room that reads from the folder of modules. Links are followed, so a
//! swapped link shows as another file.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::scan::{COARSEST_STAMP, Hash, Seen, Stamp};

/// How reading a file whole ended.
pub(super) enum Whole {
    /// These bytes were the file, before and after they were read.
    Read {
        bytes: Vec<u8>,
        hash: Hash,
        young: bool,
    },
    /// It changed meanwhile.
    Moving,
    /// It has so many bytes, and was not read.
    TooLarge(u64),
    /// It cannot be read.
    Failed(String),
}

/// What is at a path, and how long ago it says that it was written.
pub(super) fn look(path: &Path) -> (Seen, Option<Duration>) {
    match std::fs::metadata(path) {
        Ok(found) => (Seen::There(stamp(&found)), age(&found)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => (Seen::Missing, None),
            _ => (Seen::Odd, None),
        },
    }
}

/// Reads a file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: u64) -> Whole {
    match try_read(path, limit) {
        Ok(whole) => whole,
        Err(error) if error.kind() == ErrorKind::NotFound => Whole::Moving,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Whole::Failed(format!(
            "{error}; if it is linked to a folder elsewhere, name that folder in host.sandbox.readable"
        )),
        Err(error) => Whole::Failed(error.to_string()),
    }
}

fn try_read(path: &Path, limit: u64) -> io::Result<Whole> {
    // A pipe would keep who opens it waiting.
    if !std::fs::metadata(path)?.is_file() {
        return Ok(Whole::Failed("it is not a file".to_owned()));
    }
    let mut file = File::open(path)?;
    let before = file.metadata()?;
    if before.len() > limit {
        return Ok(Whole::TooLarge(before.len()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or(0));
    // One byte more than it should have shows that it has grown.
    (&mut file).take(before.len() + 1).read_to_end(&mut bytes)?;
    // Nothing has written to the file that was read, and it is the one that the path leads to: it
    // may have led to another while this one was opened.
    let (read, there) = (file.metadata()?, std::fs::metadata(path)?);
    let unchanged = stamp(&before) == stamp(&read) && stamp(&read) == stamp(&there);
    if !unchanged || bytes.len() as u64 != before.len() {
        return Ok(Whole::Moving);
    }
    let after = there;
    Ok(Whole::Read {
        hash: Sha256::digest(&bytes).into(),
        young: age(&after).is_none_or(|age| age < COARSEST_STAMP),
        bytes,
    })
}

/// Why a file of so many bytes is not read.
pub(super) fn too_large(file: &str, size: u64, limit: u64) -> String {
    format!(
        "{file} has {size} bytes, but `host.sandbox.max_module_size` is {limit}: build it with \
         optimisation and without debug information, or raise the limit"
    )
}

/// Which folder is at a path, so that one sees when it is replaced by another.
pub(super) fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

fn stamp(found: &Metadata) -> Stamp {
    Stamp {
        size: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
        identity: (found.dev(), found.ino()),
    }
}

/// Nothing if the file says that it is from the future.
fn age(found: &Metadata) -> Option<Duration> {
    SystemTime::now()
        .duration_since(found.modified().ok()?)
        .ok()
}
