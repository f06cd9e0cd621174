//! Large bodies, among the verbs of the service.

use gristmill_queue::{BlobRef, BlobUnavailable, Fence, NewMessage, QueueName};
use gristmill_store::{Blob, BlobWriter, Outgoing, SendError, Sent, Staged};

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
        let sent = self.store.send_staged(batch, vec![body]).await?;
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
}
