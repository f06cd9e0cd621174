//! Sending, and ending attempts: large bodies are stored first. And reading them.

use std::sync::Arc;

use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{BlobRef, BlobUnavailable, Effects, Fence, NewMessage, Outcome, QueueName};
use tokio::sync::oneshot;

use crate::blob::{Blob, BlobWriter, Staged};
use crate::inbox::Refused;
use crate::ops::{Op, Outgoing, Settle, SettleBatch};
use crate::replies::is_replies;
use crate::{SendError, Sent, Store};

/// How an attempt ends whose sends find no room on the disk: as when a queue is full, it is not the
/// message's fault.
const NO_ROOM: Outcome = Outcome::HandedBack(HandedBack::DestinationFull);

/// What is told to whom the writer did not answer.
fn unanswered() -> SendError {
    if is_planted(Bug::UnknownAsRefused) {
        return SendError::Busy { waiting: 0 };
    }
    SendError::Unknown
}

impl Store {
    /// Sends messages: all of them are durable when this returns, or none is.
    ///
    /// # Errors
    /// When a message is refused, or it is not known whether they were accepted.
    pub async fn send(&self, batch: Vec<Outgoing>) -> Result<Vec<Sent>, SendError> {
        let (batch, staged) = self.spill(batch).await?;
        self.send_staged(batch, staged).await
    }

    /// Sends messages whose large bodies are stored already. What is refused, or a duplicate, leaves
    /// none behind.
    ///
    /// # Errors
    /// When a message is refused, or it is not known whether they were accepted.
    pub async fn send_staged(
        &self,
        batch: Vec<Outgoing>,
        staged: Vec<Staged>,
    ) -> Result<Vec<Sent>, SendError> {
        let (reply, answer) = oneshot::channel();
        let op = Op::Send {
            batch,
            staged,
            reply,
        };
        match self.shared.inbox.push(op) {
            Ok(()) => answer.await.unwrap_or(Err(unanswered())),
            Err(Refused::Full { waiting }) => Err(SendError::Busy { waiting }),
            Err(Refused::Closed) => Err(SendError::Unknown),
        }
    }

    /// Ends an attempt. If the lease is lost, nothing happens. Large bodies that are sent with the ack
    /// are stored first, which takes its time: see [`Store::spills`].
    pub fn settle(&self, mut settle: Settle) {
        let staged = match self.spill_effects(&mut settle.effects) {
            Ok(staged) => staged,
            Err(error) => {
                tracing::warn!(%error, "a handler's send waits, because its body cannot be stored");
                settle.outcome = NO_ROOM;
                Vec::new()
            }
        };
        // After the store has closed the lease is void anyway.
        let op = Op::Settle(Box::new(settle), staged);
        let _ = self.shared.inbox.push(op);
    }

    /// Ends the attempts of a batch, with what it sent and stored. A message whose lease is lost
    /// drops out; if it was done, nothing of the batch counts and the others are handed back. Large
    /// bodies are stored first, as with [`Store::settle`].
    pub fn settle_batch(&self, mut settle: SettleBatch) {
        let staged = match self.spill_effects(&mut settle.effects) {
            Ok(staged) => staged,
            Err(error) => {
                tracing::warn!(%error, "a batch's send waits, because its body cannot be stored");
                for (_, outcome) in &mut settle.ended {
                    *outcome = NO_ROOM;
                }
                Vec::new()
            }
        };
        let op = Op::SettleBatch(Box::new(settle), staged);
        let _ = self.shared.inbox.push(op);
    }

    /// The most bytes of a body that is kept with its message.
    #[must_use]
    pub fn inline_bytes(&self) -> u64 {
        self.shared.blobs.inline
    }

    /// The most bytes of a body for this queue or topic; `None` if there is neither.
    #[must_use]
    pub fn body_limit(&self, queue: &QueueName) -> Option<u64> {
        self.shared.blobs.limit(queue)
    }

    /// Takes a large body in, piece by piece, for a message to that queue. Blocks as files do.
    ///
    /// # Errors
    /// When there is no such queue, or no room on the disk.
    pub fn blob_writer(&self, queue: &QueueName) -> Result<BlobWriter, SendError> {
        BlobWriter::new(&self.shared.blobs, queue)
    }

    /// Opens the large body of a message. Blocks as files do.
    ///
    /// # Errors
    /// When it is damaged or gone, which it is when its message has ended.
    pub fn open_blob(&self, blob: BlobRef) -> Result<Blob, BlobUnavailable> {
        Blob::open(&self.shared.blobs, blob)
    }

    /// Puts a leased message aside because its large body is damaged: it is never delivered again,
    /// and never thrown away.
    pub fn put_aside(&self, fence: Fence) {
        let _ = self.shared.inbox.push(Op::PutAside { fence });
    }

    /// Whether large bodies are among what is sent, so that ending an attempt blocks as files do.
    #[must_use]
    pub fn spills(&self, effects: &Effects) -> bool {
        let mut sends = effects.sends.iter();
        sends.any(|send| self.is_spilled(&send.to, &send.message))
    }

    /// Replies stay whole: whoever asked for one gets it in one piece, and it is gone then.
    fn is_spilled(&self, to: &QueueName, message: &NewMessage) -> bool {
        message.body.len() as u64 > self.shared.blobs.inline && !is_replies(to.as_str())
    }

    /// Stores the large ones among the bodies of a batch.
    pub(crate) async fn spill(
        &self,
        mut batch: Vec<Outgoing>,
    ) -> Result<(Vec<Outgoing>, Vec<Staged>), SendError> {
        let inline = self.shared.blobs.inline;
        let is_large = move |outgoing: &Outgoing| {
            outgoing.message.body.len() as u64 > inline && !is_replies(outgoing.queue.as_str())
        };
        if !batch.iter().any(is_large) {
            return Ok((batch, Vec::new()));
        }
        let blobs = Arc::clone(&self.shared.blobs);
        let (done, spilled) = oneshot::channel();
        // A thread of its own: the store asks for no runtime, and this is a rare and long work.
        let thread = std::thread::Builder::new().name("store-spill".to_owned());
        let spawned = thread.spawn(move || {
            let mut staged = Vec::new();
            for outgoing in batch.iter_mut().filter(|outgoing| is_large(outgoing)) {
                let message = &mut outgoing.message;
                match BlobWriter::store(&blobs, &outgoing.queue, &message.body) {
                    Ok(one) => {
                        message.body = bytes::Bytes::new();
                        message.blob = Some(one.blob());
                        staged.push(one);
                    }
                    Err(error) => {
                        let _ = done.send(Err(error));
                        return;
                    }
                }
            }
            let _ = done.send(Ok((batch, staged)));
        });
        match spawned {
            Ok(_) => spilled.await.unwrap_or(Err(SendError::Unknown)),
            Err(_) => Err(SendError::Busy { waiting: 0 }),
        }
    }

    /// Stores the large ones among the bodies that are sent with an ack. If that cannot be, nothing of
    /// the effects is left.
    fn spill_effects(&self, effects: &mut Effects) -> Result<Vec<Staged>, SendError> {
        let mut staged = Vec::new();
        for send in &mut effects.sends {
            if !self.is_spilled(&send.to, &send.message) {
                continue;
            }
            let message = &mut send.message;
            match BlobWriter::store(&self.shared.blobs, &send.to, &message.body) {
                Ok(one) => {
                    message.body = bytes::Bytes::new();
                    message.blob = Some(one.blob());
                    staged.push(one);
                }
                Err(error) => {
                    *effects = Effects::default();
                    return Err(error);
                }
            }
        }
        Ok(staged)
    }
}
