//! Large bodies: which file belongs to which message, and when a file may go.
//!
//! It is all in memory, some 50 bytes for each large body, so that a message without one costs a look
//! into a table that is empty, and the end of one with it needs no extra read.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use gristmill_queue::board::{Removal, Row};
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::retry::Roll;
use gristmill_queue::{BlobRef, Fence, NewMessage, Outcome, QueueName, Timestamp};
use redb::{ReadableDatabase, ReadableTable};

use super::Writer;
use super::group::Group;
use super::settle::has_history;
use crate::blob::{self, Blobs};
use crate::error::{Fatal, SendError};
use crate::reserve::Reserve;
use crate::tables::BLOB;
use crate::{Declaration, Staged, TopicDeclaration};

/// The large bodies of the store.
pub(crate) struct Large {
    blobs: Arc<Blobs>,
    /// Of which message, by its number.
    live: HashMap<u64, BlobRef>,
    /// What came with the operation that is being applied.
    staged: HashMap<u64, Staged>,
    /// What may go when the group is durable.
    doomed: Vec<u64>,
}

impl Large {
    pub fn new(blobs: Arc<Blobs>) -> Self {
        Large {
            blobs,
            live: HashMap::new(),
            staged: HashMap::new(),
            doomed: Vec::new(),
        }
    }

    /// Takes what comes with an operation.
    pub fn stage(&mut self, staged: Vec<Staged>) {
        if staged.is_empty() {
            return;
        }
        let named = staged.into_iter().map(|one| (one.blob().name, one));
        self.staged.extend(named);
    }

    /// The same body once more, for another message of the operation.
    pub fn share(&mut self, blob: &BlobRef, to: &QueueName) -> Result<Option<BlobRef>, SendError> {
        let Some(staged) = self.staged.get(&blob.name) else {
            return Ok(None);
        };
        let shared = staged.share().map_err(|error| blob::refused(to, &error))?;
        let blob = shared.blob();
        self.staged.insert(blob.name, shared);
        Ok(Some(blob))
    }

    /// What the content of a large body that comes with the operation is told by.
    pub fn digest(&self, message: &NewMessage) -> Option<[u8; 32]> {
        let staged = self.staged.get(&message.blob?.name)?;
        Some(staged.digest())
    }

    /// Lets go of what no message of the operation has taken: it was refused, or a duplicate.
    pub fn unstage(&mut self) {
        self.staged.clear();
    }

    /// Removes the files of messages whose end is durable.
    pub fn unlink(&mut self) {
        for name in self.doomed.drain(..) {
            self.blobs.unlink(name);
        }
    }

    /// Whether the large body of a message, if it has one, is there.
    pub fn is_there(&self, blob: Option<&BlobRef>) -> bool {
        blob.is_none_or(|blob| self.blobs.is_whole(blob))
    }

    /// What is to stay free of the disk, for messages of any size.
    pub fn reserve(&self) -> &Reserve {
        &self.blobs.reserve
    }

    /// Takes note of what one queue takes; nothing, if it is gone.
    pub fn declare_one(&self, queue: &QueueName, limit: Option<u64>) {
        self.blobs.declare_one(queue, limit);
    }

    /// Takes note of what the queues take.
    pub fn declare(&self, queues: &[Declaration], topics: &[TopicDeclaration]) {
        self.blobs.declare(queues, topics);
    }
}

impl Writer {
    /// The message of that number has the large body. From now on the file is the store's: should the
    /// commit fail, the next start tells whether it stays.
    pub(super) fn adopt(
        &mut self,
        sequence: u64,
        blob: BlobRef,
        group: &mut Group<'_>,
    ) -> Result<(), Fatal> {
        let staged = self.large.staged.remove(&blob.name);
        assert!(
            staged.is_some(),
            "message {sequence} has a large body that did not come with it"
        );
        if let Some(staged) = staged {
            staged.keep();
        }
        self.large.live.insert(sequence, blob);
        group.put_blob(sequence, Some(&blob))
    }

    /// The message of that number is gone for good, and its large body with it, if it has one.
    pub(crate) fn drop_blob(&mut self, sequence: u64, group: &mut Group<'_>) -> Result<(), Fatal> {
        if self.large.live.is_empty() {
            return Ok(());
        }
        match self.large.live.remove(&sequence) {
            Some(blob) => {
                self.large.doomed.push(blob.name);
                group.put_blob(sequence, None)
            }
            None => Ok(()),
        }
    }

    /// Removes a message for good, with all that belongs to it.
    pub(super) fn remove_whole(&mut self, row: &Row, group: &mut Group<'_>) -> Result<(), Fatal> {
        self.drop_blob(row.place.sequence, group)?;
        group.remove_message(row.place.sequence, has_history(row))
    }

    /// The large body of a leased message is damaged: it goes to quarantine as a damaged record does.
    pub(super) fn put_aside(
        &mut self,
        fence: Fence,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Ok(&row) = self.board.leased(fence) else {
            return Ok(());
        };
        let outcome = Outcome::HandedBack(HandedBack::NoInstance);
        let policy = self.board.policy(row.queue).clone();
        let roll = Roll::of(
            self.board.name(row.queue).as_str(),
            self.message_id(fence),
            0,
        );
        // It is put aside, and does not expire: that would be said of what was sound.
        let row = Row {
            expires_at: None,
            ..row
        };
        let settlement = row.settle(&policy, &outcome, now, roll);
        let stays = self.board.end(fence, &outcome, &settlement, now);
        self.release(fence, None, now);
        if let Some(stays) = stays.ok().flatten() {
            self.board.remove(&stays, Removal::Damaged, now);
        }
        self.quarantine(fence.sequence, group)
    }

    /// Reads which files are live, and sweeps what is not. A row that is damaged names no file, so
    /// nothing is swept then: a file too many is better than one too few.
    pub(crate) fn restore_blobs(&mut self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_read()?;
        let mut damaged = false;
        for entry in transaction.open_table(BLOB)?.iter()? {
            let (key, row) = entry?;
            match blob::decode_row(key.value(), row.value()) {
                Ok(blob) => {
                    self.large.live.insert(key.value(), blob);
                }
                Err(_) => damaged = true,
            }
        }
        if damaged {
            tracing::error!("a row of the large bodies is damaged: files of none are not swept");
            return Ok(());
        }
        let live: HashSet<u64> = self.large.live.values().map(|blob| blob.name).collect();
        self.large.blobs.sweep(&live)?;
        Ok(())
    }
}
