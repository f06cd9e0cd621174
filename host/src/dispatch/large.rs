//! Large bodies on their way into a handler: piece by piece, or whole.

use std::sync::Arc;

use gristmill_queue::{BlobReader, BlobRef, BlobUnavailable, Message, Outcome, Reason};
use gristmill_store::Blob;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::queues::Queues;
use crate::runtime::HandlerVersion;

/// The most bytes of large bodies that are in memory at once because their handlers take them whole. One
/// that is larger by itself waits until there is no other.
const MAX_WHOLE: u64 = 256 * 1024 * 1024;
/// What is counted as one.
const UNIT: u64 = 1024;

/// The room for large bodies in memory.
pub(super) struct Whole(Arc<Semaphore>);

impl Default for Whole {
    fn default() -> Self {
        let units = usize::try_from(MAX_WHOLE / UNIT).unwrap_or(Semaphore::MAX_PERMITS);
        Whole(Arc::new(Semaphore::new(units)))
    }
}

/// How a message with a large body is delivered.
pub(super) struct Large {
    pub message: Arc<Message>,
    /// Read by the handler itself.
    pub reader: Option<Arc<dyn BlobReader>>,
    /// Held until the delivery is over.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Why it is not.
pub(super) enum Undelivered {
    /// The body is damaged.
    Damaged,
    /// The attempt ends so.
    Ended(Outcome),
}

impl Whole {
    /// Makes a message ready for a handler; one without a large body is.
    pub async fn prepare(
        &self,
        message: Arc<Message>,
        version: &HandlerVersion,
        queues: &Queues,
    ) -> Result<Large, Undelivered> {
        let Some(blob) = message.blob else {
            return Ok(Large {
                message,
                reader: None,
                room: None,
            });
        };
        if version.reads_bodies() {
            let opened = open(queues, blob, |body| Ok(Arc::new(body))).await?;
            return Ok(Large {
                message,
                reader: Some(opened),
                room: None,
            });
        }
        let memory = version.spec().limits.memory;
        if blob.size >= memory {
            return Err(Undelivered::Ended(too_large(blob.size, memory)));
        }
        let units = u32::try_from(blob.size.min(MAX_WHOLE).div_ceil(UNIT)).unwrap_or(u32::MAX);
        // It is never closed.
        let room = Arc::clone(&self.0).acquire_many_owned(units).await.ok();
        let body = open(queues, blob, |body| body.whole()).await?;
        let message = Message {
            body,
            ..message.as_ref().clone()
        };
        Ok(Large {
            message: Arc::new(message),
            reader: None,
            room,
        })
    }
}

fn too_large(size: u64, memory: u64) -> Outcome {
    Outcome::Failed {
        reason: Reason::MemoryLimit,
        error: format!(
            "the body has {size} bytes, and the handler, which takes it whole, has {memory} bytes of memory: raise `memory`, or let the handler read the body piece by piece"
        ),
        delay: None,
    }
}

async fn open<T: Send + 'static>(
    queues: &Queues,
    blob: BlobRef,
    then: impl FnOnce(Blob) -> Result<T, BlobUnavailable> + Send + 'static,
) -> Result<T, Undelivered> {
    let queues = queues.clone();
    let opened = tokio::task::spawn_blocking(move || queues.open_large(blob).and_then(then)).await;
    let problem = match opened {
        Ok(Ok(opened)) => return Ok(opened),
        Ok(Err(BlobUnavailable::Damaged(_))) => return Err(Undelivered::Damaged),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    Err(Undelivered::Ended(Outcome::Failed {
        reason: Reason::Retry,
        error: problem,
        delay: None,
    }))
}
