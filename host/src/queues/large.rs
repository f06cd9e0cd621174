//! Verbs that may have to do with large bodies, which block as files do.

use gristmill_queue::{BlobRef, BlobUnavailable, Fence, NewMessage, QueueName};
use gristmill_store::{Blob, BlobWriter, Outgoing, SendError, Sent, Settle, SettleBatch, Staged};

use super::Queues;

impl Queues {
    /// Sends a message whose large body is stored already; it is durable when this returns.
    ///
    /// # Errors
    /// See [`Queues::send_all`].
    pub async fn send_large(
        &self,
        queue: QueueName,
        mut message: NewMessage,
        body: Staged,
    ) -> Result<Sent, SendError> {
        message.blob = Some(body.blob());
        let batch = vec![Outgoing { queue, message }];
        let send = self.store.send_staged(batch, vec![body]);
        let sent = self.admit(send).await?;
        sent.into_iter().next().ok_or(SendError::Unknown)
    }

    /// The most bytes of a body for this queue or topic; `None` if there is neither.
    #[must_use]
    pub fn body_limit(&self, queue: &QueueName) -> Option<u64> {
        self.store.body_limit(queue)
    }

    /// Takes a large body in, piece by piece, for a message to that queue. Blocks as files do.
    ///
    /// # Errors
    /// When there is no such queue, or no room on the disk.
    pub fn take_large(&self, queue: &QueueName) -> Result<BlobWriter, SendError> {
        self.store.blob_writer(queue)
    }

    /// Opens the large body of a message. Blocks as files do.
    ///
    /// # Errors
    /// When it is damaged or gone, which it is when its message has ended.
    pub fn open_large(&self, body: BlobRef) -> Result<Blob, BlobUnavailable> {
        self.store.open_blob(body)
    }

    /// The most bytes of a body that is kept with its message; a larger one is stored aside.
    #[must_use]
    pub fn inline_bytes(&self) -> u64 {
        self.store.inline_bytes()
    }

    /// Puts a leased message aside because its large body is damaged.
    pub fn put_aside(&self, fence: Fence) {
        self.store.put_aside(fence);
    }

    /// Ends an attempt, with all that is to happen with it. Waits for nothing, unless the handler sent
    /// a large body: that is stored first.
    pub async fn settle(&self, settle: Settle) {
        if !self.store.spills(&settle.effects) {
            return self.store.settle(settle);
        }
        let store = self.store.clone();
        self.spill(move || store.settle(settle)).await;
    }

    /// Ends an attempt that has sent nothing, and waits for nothing.
    pub fn settle_without_sends(&self, settle: Settle) {
        debug_assert!(
            settle.effects.sends.is_empty(),
            "what was sent may be large"
        );
        self.store.settle(settle);
    }

    /// Ends the attempts of a batch, with all that is to happen with them; waits as
    /// [`Queues::settle`] does.
    pub async fn settle_batch(&self, settle: SettleBatch) {
        if !self.store.spills(&settle.effects) {
            return self.store.settle_batch(settle);
        }
        let store = self.store.clone();
        self.spill(move || store.settle_batch(settle)).await;
    }

    /// Files are written where that keeps nobody waiting.
    async fn spill(&self, settle: impl FnOnce() + Send + 'static) {
        if let Err(error) = tokio::task::spawn_blocking(settle).await {
            tracing::error!(%error, "an attempt was not settled");
        }
    }
}
