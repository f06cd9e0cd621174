//! The file in the data folder that says who may what: `access.json`, for its owner only.
//!
//! Of tokens it holds hashes; of access keys the secrets, because a signature cannot be checked
//! without them. It is changed whole: written beside, made durable, renamed. Who changes it holds a
//! lock, so that two commands, or a command and a host, do not undo each other's work.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

/// The name of the file in the data folder.
pub const FILE: &str = "access.json";
/// What is locked by who changes it.
const LOCK: &str = "access.lock";
/// The format that is written.
const VERSION: u32 = 1;
/// The most bytes of the file.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// The most tokens and keys together.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// How long another may hold the lock.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How often to look.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Why the file cannot be used. Then nobody is let in by it.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The system refuses.
    #[error("{path} cannot be used: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read the secrets in it.
    #[error("{path} may be read by others: chmod 600 it, and revoke what is in it if others did read it", path = .0.display())]
    NotPrivate(PathBuf),
    /// It is not what this version writes.
    #[error("{path} is not as it should be: {problem}; make it anew with `gristmill token create`, or put a copy back", path = .path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Another command changes it all the time.
    #[error("{path} is being changed by another command: try again", path = .0.display())]
    Locked(PathBuf),
    /// So many can be there, and are.
    #[error("there are {MAX_ENTRIES} tokens and access keys, which is the most: revoke some")]
    TooMany,
    /// The system gives no random bytes.
    #[error(transparent)]
    NoRandom(#[from] super::secret::NoRandom),
}

/// One who may do something, as the file has it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub id: String,
    pub name: String,
    /// Of a token: its SHA-256, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Of an access key: what it signs with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    pub can: Vec<String>,
    pub queues: Vec<String>,
    pub created_at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    version: u32,
    pub entries: Vec<Entry>,
}

/// What tells that a file is another than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    mode: u32,
}

/// What tells the file that is there from others; nothing if none is.
pub(super) fn stamp(path: &Path) -> io::Result<Option<Stamp>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(Stamp {
            inode: found.ino(),
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            mode: found.mode(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads the file; one that is not there has nothing in it.
pub(super) fn read(path: &Path) -> Result<Contents, AccessError> {
    let failed = |source| AccessError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contents::default()),
        Err(error) => return Err(failed(error)),
    };
    let about = file.metadata().map_err(failed)?;
    if about.mode() & 0o077 != 0 {
        return Err(AccessError::NotPrivate(path.to_owned()));
    }
    let broken = |problem: String| AccessError::Broken {
        path: path.to_owned(),
        problem,
    };
    let mut text = Vec::new();
    file.take(MAX_FILE + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE {
        return Err(broken(format!("it has more than {MAX_FILE} bytes")));
    }
    // What serde says of a value could be a secret; the place is enough.
    let contents: Contents = serde_json::from_slice(&text)
        .map_err(|error| broken(format!("line {}, column {}", error.line(), error.column())))?;
    if contents.version != VERSION {
        return Err(broken(format!(
            "its version is {}, and this program knows {VERSION}",
            contents.version
        )));
    }
    Ok(contents)
}

/// Changes the file under the lock; durable when this returns.
pub(super) fn change<T>(
    folder: &Path,
    change: impl FnOnce(&mut Contents) -> Result<T, AccessError>,
) -> Result<T, AccessError> {
    let path = folder.join(FILE);
    let failed = |source| AccessError::Io {
        path: path.clone(),
        source,
    };
    let mut builder = std::fs::DirBuilder::new();
    builder
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed)?;
    let _lock = lock(folder, &path)?;
    let mut contents = read(&path)?;
    let done = change(&mut contents)?;
    if contents.entries.len() > MAX_ENTRIES {
        return Err(AccessError::TooMany);
    }
    contents.version = VERSION;
    let mut text = serde_json::to_vec_pretty(&contents).map_err(|error| failed(error.into()))?;
    text.push(b'\n');
    write(folder, &path, &text).map_err(failed)?;
    Ok(done)
}

fn write(folder: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = folder.join(".access.new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    // One that was left behind keeps the mode that it had.
    file.set_permissions(Permissions::from_mode(0o600))?;
    give_to_owner_of(folder, &file)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&fresh, path)?;
    File::open(folder)?.sync_all()
}

/// What root makes in the folder of another user's host is that user's.
fn give_to_owner_of(folder: &Path, file: &File) -> io::Result<()> {
    let (folder, own) = (std::fs::metadata(folder)?, file.metadata()?);
    if folder.uid() == own.uid() {
        return Ok(());
    }
    std::os::unix::fs::fchown(file, Some(folder.uid()), Some(folder.gid()))
}

fn lock(folder: &Path, path: &Path) -> Result<File, AccessError> {
    let failed = |source| AccessError::Io {
        path: folder.join(LOCK),
        source,
    };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(folder.join(LOCK)).map_err(failed)?;
    give_to_owner_of(folder, &file).map_err(failed)?;
    let began = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                if began.elapsed() > LOCK_PATIENCE {
                    return Err(AccessError::Locked(path.to_owned()));
                }
                std::thread::sleep(LOOK_AGAIN);
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
}
