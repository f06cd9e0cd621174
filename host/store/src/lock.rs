//! One process at a time: the lock on the data folder.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::OpenError;

/// The name of the file that is locked, in its folder.
pub(crate) const FILE: &str = "lock";

/// Held as long as the store is open; the system lets go of it when the process ends in any way.
pub(crate) struct FolderLock {
    _file: File,
}

/// Makes the folder if need be, and locks it.
pub(crate) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let unusable = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(unusable)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(folder.join(FILE))
        .map_err(unusable)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(unusable(error.into()));
        }
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = holder.trim();
        let holder = if holder.is_empty() {
            "another process"
        } else {
            holder
        }
        .to_owned();
        return Err(OpenError::InUse {
            folder: folder.to_owned(),
            holder,
        });
    }
    let name = std::env::args()
        .take(2)
        .map(|arg| arg.rsplit('/').next().unwrap_or_default().to_owned());
    let holder = format!(
        "process {} ({})\n",
        std::process::id(),
        name.collect::<Vec<_>>().join(" ")
    );
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| file.write_all(holder.as_bytes()));
    written.map_err(unusable)?;
    Ok(FolderLock { _file: file })
}
