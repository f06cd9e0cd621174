//! What can go wrong, as types.

use std::path::PathBuf;

use gristmill_queue::board::QueueFull;
use gristmill_queue::message::InvalidMessage;
use gristmill_queue::{BlobUnavailable, MessageId, QueueName, limits};

use crate::reserve::ReserveReached;

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data folder {folder} is in use by {holder}: stop that process, or use another data_dir", folder = .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// Who, as far as it can be told.
        holder: String,
    },
    /// It was written by a newer Gristmill.
    #[error("the store {file} has format {found}, but this build knows only up to {known}: use a newer gristmill, or another data_dir", file = .file.display())]
    NewerFormat {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u64,
        /// The newest known.
        known: u64,
    },
    /// The file is not a store of Gristmill.
    #[error("{file} is not a store of Gristmill: it has no format version; move it away, or use another data_dir", file = .file.display())]
    NotAStore {
        /// The file.
        file: PathBuf,
    },
    /// It is what an interrupted backup, or rescue, has left.
    #[error("{folder} is not whole: a backup or a rescue into it was interrupted; remove it, and do it again", folder = .folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no store to look at.
    #[error("there is no store in {folder}: check data_dir in the configuration, or name the folder with --data-dir", folder = .folder.display())]
    NoStore {
        /// The folder.
        folder: PathBuf,
    },
    /// The log is gone, and may have had what the file has not.
    #[error("{folder} has a store but not its log: the last host did not close the store, so store.log may have what was answered last; put it back beside store.redb, or rescue what the file has with `gristmill store salvage`", folder = .folder.display())]
    LogMissing {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}; check that it exists and that you may write to it", folder = .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be read.
    #[error("the store {file} cannot be opened: {source}; `gristmill store check` says what is damaged, and `gristmill store salvage` rescues what is readable if there is no backup", file = .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Why.
        source: redb::Error,
    },
}

impl OpenError {
    /// Whether the disk is to blame: it is full, or does not read or write. Trying again may help.
    #[must_use]
    pub fn is_of_disk(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let of_disk = |error: &std::io::Error| {
            matches!(error.kind(), StorageFull | QuotaExceeded)
                || error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error())
        };
        match self {
            OpenError::Folder { source, .. } => of_disk(source),
            OpenError::Damaged { source, .. } => match source {
                redb::Error::Io(error) => of_disk(error),
                redb::Error::PreviousIo => true,
                _ => false,
            },
            _ => false,
        }
    }
}

/// Why a message was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no such queue, and no such topic.
    #[error(
        "there is no queue or topic {0}: declare it with [queue.{0}] or [topic.{0}] in the configuration"
    )]
    UnknownQueue(QueueName),
    /// A limit on messages is broken.
    #[error("the message to queue {queue} is refused: {problem}")]
    Invalid {
        /// The queue.
        queue: QueueName,
        /// Which.
        problem: InvalidMessage,
    },
    /// The queue is full.
    #[error(transparent)]
    Full(#[from] QueueFull),
    /// A large body could not be stored.
    #[error(
        "the body for queue {queue} could not be stored aside ({problem}), so nothing was sent: free space on the disk of data_dir, and send it again"
    )]
    NotStored {
        /// The queue.
        queue: QueueName,
        /// Why.
        problem: String,
    },
    /// So little of the disk is free that nothing more is taken.
    #[error(transparent)]
    Reserve(#[from] ReserveReached),
    /// No subscription of the topic matches.
    #[error(
        "no subscription of topic {0} matches the message, and the topic refuses such: see `gristmill topics`"
    )]
    Unmatched(QueueName),
    /// The topics of a send make too many copies.
    #[error(
        "the send would make more than {} messages, or {} bytes of bodies, with the copies for each queue of its topics: send it in parts",
        limits::MAX_COPIES,
        limits::MAX_COPY_BYTES
    )]
    TooManyCopies,
    /// Which of several queues would answer is not known.
    #[error("{0} is a topic: a request goes to one queue")]
    RequestToTopic(QueueName),
    /// One message of several is refused, and so all are.
    #[error("messages[{at}]: {error}")]
    InBatch {
        /// Which one, from 0.
        at: usize,
        /// Why.
        error: Box<SendError>,
    },
    /// More is waiting to be written than may wait.
    #[error("the store is busy: {waiting} operations wait to be written; try again shortly")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// Whether it was accepted is not known.
    #[error(
        "it is not known whether the message was accepted, because the store failed or closed: send it again with the same dedup id"
    )]
    Unknown,
}

impl SendError {
    /// The error itself, whichever message of a batch it is about.
    #[must_use]
    pub fn cause(&self) -> &SendError {
        match self {
            SendError::InBatch { error, .. } => error.cause(),
            other => other,
        }
    }
}

/// The store failed; nothing definite can be said about what was under way.
#[derive(Debug, thiserror::Error)]
#[error("the store failed while {doing}: {source}")]
pub struct Fatal {
    /// What was under way.
    pub doing: &'static str,
    /// Why.
    #[source]
    pub source: redb::Error,
}

/// Why something cannot be read or changed by an operator.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such queue.
    #[error("there is no queue {0}")]
    UnknownQueue(QueueName),
    /// There is no such message.
    #[error(
        "there is no message {0} here: it was handled, purged or has expired, or its id is mistyped"
    )]
    UnknownMessage(MessageId),
    /// The message is being handled.
    #[error(
        "message {0} is in flight: it can be cancelled or moved only while it waits; try again when its attempt has ended"
    )]
    InFlight(MessageId),
    /// The message is dead.
    #[error("message {0} is dead: redrive it, or purge it from the dead store")]
    IsDead(MessageId),
    /// The message with its new body breaks a limit.
    #[error("queue {queue} refuses the message: {problem}")]
    Invalid {
        /// The queue.
        queue: QueueName,
        /// What is wrong with it.
        problem: InvalidMessage,
    },
    /// A queue is not declared, so it takes nothing.
    #[error("queue {0} is not declared: declare it, or name another")]
    Undeclared(QueueName),
    /// The queue was not made at run time.
    #[error("queue {0} was not made while the host ran: change it in the configuration")]
    NotMade(QueueName),
    /// There is a topic of that name.
    #[error("{0} is the name of a topic: give the queue another")]
    IsTopic(QueueName),
    /// There are as many queues as can be.
    #[error(
        "there are {} queues that were made at run time, which is the most: delete one first",
        limits::MAX_MADE
    )]
    TooManyMade,
    /// There is no such redrive.
    #[error("no redrive {0} is under way: it is done, was cancelled, or never began")]
    UnknownRedrive(u64),
    /// The message would expire before the time it is to be moved to.
    #[error(
        "message {0} is not moved, because it would expire before it is due: choose an earlier time"
    )]
    ExpiresFirst(MessageId),
    /// The record does not have the content that was written.
    #[error("the record of message number {0} is damaged")]
    Damaged(u64),
    /// The new body is large, and could not be stored.
    #[error(transparent)]
    NotStored(#[from] SendError),
    /// A large body cannot be read.
    #[error(transparent)]
    Blob(#[from] BlobUnavailable),
    /// The store cannot be read.
    #[error("the store cannot be read: {0}")]
    Store(#[from] redb::Error),
    /// The store closed before it answered.
    #[error("the store closed before it answered; whether the change was made is not known")]
    Closed,
}

/// What a panic said, as an error: redb panics over some damaged pages.
pub(crate) fn panicked(cause: &(dyn std::any::Any + Send)) -> redb::Error {
    let words = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    redb::Error::Corrupted(format!("panic: {words}"))
}

/// Reads, and turns a panic of redb over a damaged page into an error.
pub(crate) fn guarded<T, E: From<redb::Error>>(
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    read.unwrap_or_else(|cause| Err(panicked(cause.as_ref()).into()))
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for AdminError {
            fn from(error: $error) -> Self {
                AdminError::Store(error.into())
            }
        }
    )*};
}

from_redb!(redb::TransactionError, redb::TableError, redb::StorageError);
