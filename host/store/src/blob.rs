//! Large bodies, each in a file of its own beside the store.
//!
//! ```text
//! body · xxh3-64 of each piece of 64 KiB of it
//! ```
//!
//! A file is written, and durable with its folder, before the message that names it is committed; the
//! table `blob` says which files are live, and a file goes after the commit in which its message
//! ended. What a crash leaves between is swept when the store is opened. The message's record keeps a
//! checksum of the checksums, so that any piece can be read and verified by itself, and a file in
//! another's place is found.

use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use bytes::Bytes;
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::message::InvalidMessage;
use gristmill_queue::{BlobRef, QueueName};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::reserve::Reserve;
use crate::{Declaration, SendError, TopicDeclaration};

/// The folder in the data folder.
pub(crate) const FOLDER: &str = "blobs";
/// Bytes that are verified together.
const PIECE: usize = 64 * 1024;
/// Bytes of the checksum of a piece.
const SUM: u64 = 8;

/// The folder of large bodies.
pub(crate) struct Blobs {
    folder: PathBuf,
    /// Bodies with more bytes are stored aside.
    pub inline: u64,
    /// What is to stay free of the disk.
    pub reserve: Reserve,
    next: AtomicU64,
    watch: Option<Watch>,
    /// The most bytes that each queue takes.
    limits: RwLock<HashMap<QueueName, u64>>,
    holds: Mutex<Holds>,
}

/// The number that a file's name says, if it is named as ours.
pub(crate) fn name_of(file: &str) -> Option<u64> {
    u64::from_str_radix(file, 16).ok()
}

impl Blobs {
    /// Opens the folder, which is made if it is not there. `boot` is the number of this start: names
    /// begin with it, so that none is given twice.
    pub fn open(
        data_dir: &Path,
        boot: u64,
        inline: u64,
        reserve: Reserve,
        watch: Option<Watch>,
    ) -> io::Result<Self> {
        let folder = data_dir.join(FOLDER);
        if !folder.exists() {
            DirBuilder::new().mode(0o700).create(&folder)?;
            File::open(data_dir)?.sync_all()?;
        }
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700))?;
        Ok(Blobs {
            folder,
            inline,
            reserve,
            next: AtomicU64::new(boot << 32),
            watch,
            limits: RwLock::default(),
            holds: Mutex::default(),
        })
    }

    /// The folder as it is, for looking only.
    pub fn at(data_dir: &Path) -> Self {
        Blobs {
            folder: Self::folder(data_dir),
            inline: u64::MAX,
            reserve: Reserve::none(data_dir),
            watch: None,
            next: AtomicU64::new(0),
            limits: RwLock::default(),
            holds: Mutex::default(),
        }
    }

    /// The folder of the store.
    pub fn data_dir(&self) -> &Path {
        self.folder.parent().unwrap_or(Path::new(""))
    }

    /// Where the files are.
    pub fn folder(data_dir: &Path) -> PathBuf {
        data_dir.join(FOLDER)
    }

    /// Takes note of what the queues take.
    pub fn declare(&self, queues: &[Declaration], topics: &[TopicDeclaration]) {
        let limits = queues
            .iter()
            .map(|queue| (queue.name.clone(), queue.policy.max_body));
        let mut limits: HashMap<QueueName, u64> = limits.collect();
        for topic in topics {
            // What one of its queues does not take is refused when it is known where it goes.
            let queues = topic.policy.subscriptions.iter();
            let most = queues.filter_map(|one| limits.get(&one.queue)).max();
            let most = most.copied().unwrap_or(gristmill_queue::limits::MAX_BODY);
            limits.insert(topic.name.clone(), most);
        }
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }

    /// Takes note of what one queue takes; nothing, if it is gone.
    pub fn declare_one(&self, queue: &QueueName, limit: Option<u64>) {
        let mut limits = self.limits.write().unwrap_or_else(PoisonError::into_inner);
        match limit {
            Some(limit) => drop(limits.insert(queue.clone(), limit)),
            None => drop(limits.remove(queue)),
        }
    }

    pub fn limit(&self, queue: &QueueName) -> Option<u64> {
        let limits = self.limits.read().unwrap_or_else(PoisonError::into_inner);
        limits.get(queue).copied()
    }

    pub fn path(&self, name: u64) -> PathBuf {
        self.folder.join(format!("{name:016x}"))
    }

    fn tell(&self, step: FileStep) {
        if let Some(watch) = &self.watch {
            watch(step);
        }
    }

    /// Removes a file. One that cannot be removed is swept at the next start.
    fn remove(&self, name: u64) {
        match std::fs::remove_file(self.path(name)) {
            Ok(()) => self.tell(FileStep::Removed(name)),
            Err(error) => {
                tracing::warn!(blob = format!("{name:016x}"), %error, "a large body could not be removed");
            }
        }
    }

    /// Removes the files that are not among the live ones, which a crash left behind.
    pub fn sweep(&self, live: &HashSet<u64>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let name = name.to_str().and_then(name_of);
            // What is not named as ours is not ours.
            if let Some(name) = name.filter(|name| !live.contains(name)) {
                self.unlink(name);
            }
        }
        Ok(())
    }

    /// Whether the file is there, as long as it has to be.
    pub fn is_whole(&self, blob: &BlobRef) -> bool {
        std::fs::metadata(self.path(blob.name)).is_ok_and(|found| found.len() == length(blob.size))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()?;
        self.tell(FileStep::FolderSynced);
        Ok(())
    }
}

/// What a body is recognized by, wherever it is kept.
pub(crate) fn checksum(body: &[u8]) -> u64 {
    let sums: Vec<u8> = body
        .chunks(PIECE)
        .flat_map(|piece| xxh3_64(piece).to_le_bytes())
        .collect();
    xxh3_64_with_seed(&sums, body.len() as u64)
}

/// Bytes of the file of a body.
fn length(size: u64) -> u64 {
    size + size.div_ceil(PIECE as u64) * SUM
}

/// A body that is stored and durable, but of no message yet. If it is dropped, its file goes.
pub struct Staged {
    blobs: Arc<Blobs>,
    blob: BlobRef,
    digest: [u8; 32],
    kept: bool,
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.blob.fmt(f)
    }
}

impl Staged {
    /// What a message says of it.
    #[must_use]
    pub fn blob(&self) -> BlobRef {
        self.blob
    }

    /// SHA-256 of the content.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// A message has it now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    /// The same body once more, for another message, without a copy. It is durable as this one is.
    ///
    /// # Errors
    /// When the file system cannot do it.
    pub fn share(&self) -> io::Result<Staged> {
        let name = self.blobs.next.fetch_add(1, Ordering::Relaxed);
        let shared = Staged {
            blobs: Arc::clone(&self.blobs),
            blob: BlobRef { name, ..self.blob },
            digest: self.digest,
            kept: false,
        };
        std::fs::hard_link(self.blobs.path(self.blob.name), self.blobs.path(name))?;
        self.blobs.tell(FileStep::Linked {
            from: self.blob.name,
            to: name,
        });
        self.blobs.sync_folder()?;
        Ok(shared)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.kept {
            self.blobs.unlink(self.blob.name);
        }
    }
}

/// Takes a large body in, as it comes.
pub struct BlobWriter {
    queue: QueueName,
    limit: u64,
    file: File,
    /// Removes the file if it is not finished.
    staged: Staged,
    piece: Vec<u8>,
    sums: Vec<u8>,
    digest: Sha256,
}

impl BlobWriter {
    /// For a body that is on its way to a queue.
    pub(crate) fn new(blobs: &Arc<Blobs>, queue: &QueueName) -> Result<Self, SendError> {
        let limit = blobs.limit(queue);
        let limit = limit.ok_or_else(|| SendError::UnknownQueue(queue.clone()))?;
        Self::with_limit(blobs, queue, limit)
    }

    fn with_limit(blobs: &Arc<Blobs>, queue: &QueueName, limit: u64) -> Result<Self, SendError> {
        let name = blobs.next.fetch_add(1, Ordering::Relaxed);
        let opened = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(blobs.path(name));
        let file = opened.map_err(|error| refused(queue, &error))?;
        blobs.tell(FileStep::Made(name));
        Ok(BlobWriter {
            queue: queue.clone(),
            limit,
            file,
            staged: Staged {
                blobs: Arc::clone(blobs),
                blob: BlobRef {
                    name,
                    size: 0,
                    checksum: 0,
                },
                digest: [0; 32],
                kept: false,
            },
            piece: Vec::with_capacity(PIECE),
            sums: Vec::new(),
            digest: Sha256::new(),
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the queue does not take so much, or the disk is full. Then nothing is left of it.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<(), SendError> {
        self.staged.blob.size += bytes.len() as u64;
        if self.staged.blob.size > self.limit {
            return Err(SendError::Invalid {
                queue: self.queue.clone(),
                problem: InvalidMessage::BodyTooLarge {
                    size: self.staged.blob.size,
                    limit: self.limit,
                },
            });
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - self.piece.len()));
            self.piece.extend_from_slice(now);
            if self.piece.len() == PIECE {
                self.put_piece()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn put_piece(&mut self) -> Result<(), SendError> {
        self.staged.blobs.reserve.take(0, self.piece.len() as u64)?;
        self.sums
            .extend_from_slice(&xxh3_64(&self.piece).to_le_bytes());
        self.digest.update(&self.piece);
        let written = self.file.write_all(&self.piece);
        self.piece.clear();
        written.map_err(|error| refused(&self.queue, &error))
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// When the disk is full. Then nothing is left of it.
    pub fn finish(mut self) -> Result<Staged, SendError> {
        if !self.piece.is_empty() {
            self.put_piece()?;
        }
        let written = self.file.write_all(&self.sums).and_then(|()| self.sync());
        written.map_err(|error| refused(&self.queue, &error))?;
        let size = self.staged.blob.size;
        self.staged.blob.checksum = xxh3_64_with_seed(&self.sums, size);
        self.staged.digest = self.digest.finalize().into();
        Ok(self.staged)
    }

    fn sync(&self) -> io::Result<()> {
        if is_planted(Bug::BodyNotSynced) {
            return Ok(());
        }
        self.file.sync_all()?;
        let blobs = &self.staged.blobs;
        blobs.tell(FileStep::Filled(self.staged.blob.name));
        blobs.sync_folder()
    }

    /// Stores a body that is in memory. Whether the queue takes it is for the writer to say.
    pub(crate) fn store(
        blobs: &Arc<Blobs>,
        queue: &QueueName,
        body: &Bytes,
    ) -> Result<Staged, SendError> {
        let mut writer = BlobWriter::with_limit(blobs, queue, u64::MAX)?;
        writer.write(body)?;
        writer.finish()
    }
}

pub(crate) fn refused(queue: &QueueName, error: &io::Error) -> SendError {
    SendError::NotStored {
        queue: queue.clone(),
        problem: error.to_string(),
    }
}

mod hold;
mod read;
mod row;
#[cfg(test)]
mod tests;
mod watch;

use hold::Holds;
pub use read::Blob;
pub(crate) use row::{decode, decode_row, encode, encode_row};
pub use watch::{FileStep, Watch};
