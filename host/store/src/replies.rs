//! Requests, and the replies that somebody waits for.
//!
//! A reply is a message in the host's own queue [`limits::REPLIES`], found by its correlation id. It
//! stays there until it is handed to somebody who asked, or expires.

use std::sync::Arc;

use gristmill_queue::{Message, limits};
use tokio::sync::oneshot;

use crate::error::{AdminError, SendError};
use crate::inbox::Refused;
use crate::ops::{Accepted, Op, Outgoing};
use crate::store::Store;

/// The attribute of a reply which says that there is none, because the request died: of what.
pub const DIED_ATTRIBUTE: &str = "gristmill-died";
/// The attribute of such a reply that names the queue in whose dead store the request is.
pub const DIED_IN_ATTRIBUTE: &str = "gristmill-died-in";

/// A request that is durable in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requested {
    /// The message.
    pub accepted: Accepted,
    /// What the reply is found by: the sender's own correlation id, or the id of the request.
    pub correlation_id: String,
}

/// Somebody who waits for a reply. Whoever lets go of it waits no more.
pub struct Asked {
    store: Store,
    correlation_id: Arc<str>,
    answer: oneshot::Receiver<Arc<Message>>,
}

impl Store {
    /// Sends a message whose reply comes to [`Store::ask_reply`]. It is durable when this returns.
    ///
    /// # Errors
    /// When it is refused, or it is not known whether it was accepted.
    pub async fn request(&self, outgoing: Outgoing) -> Result<Requested, SendError> {
        let (mut batch, staged) = self.spill(vec![outgoing]).await?;
        let outgoing = batch.pop().ok_or(SendError::Unknown)?;
        let (reply, answer) = oneshot::channel();
        let op = Op::Request {
            outgoing: Box::new(outgoing),
            staged,
            reply,
        };
        match self.push(op) {
            Ok(()) => answer.await.unwrap_or(Err(SendError::Unknown)),
            Err(Refused::Full { waiting }) => Err(SendError::Busy { waiting }),
            Err(Refused::Closed) => Err(SendError::Unknown),
        }
    }

    /// Asks for the reply with this correlation id. When this returns, one that was there has been
    /// handed over.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn ask_reply(&self, correlation_id: &str) -> Result<Asked, AdminError> {
        let correlation_id: Arc<str> = correlation_id.into();
        let (reply, answer) = oneshot::channel();
        let asked = Op::AskReply {
            correlation_id: Arc::clone(&correlation_id),
            reply,
        };
        self.push(asked).map_err(|_| AdminError::Closed)?;
        let asked = Asked {
            store: self.clone(),
            correlation_id,
            answer,
        };
        self.tick().await?;
        Ok(asked)
    }
}

impl Asked {
    /// Waits for the reply. Nothing is lost if the wait is given up.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn wait(&mut self) -> Result<Arc<Message>, AdminError> {
        (&mut self.answer).await.map_err(|_| AdminError::Closed)
    }

    /// Waits no more. The reply, should it just have come.
    #[must_use]
    pub fn give_up(mut self) -> Option<Arc<Message>> {
        self.answer.close();
        self.answer.try_recv().ok()
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.answer.close();
        let correlation_id = Arc::clone(&self.correlation_id);
        let _ = self.store.push(Op::LeaveReply { correlation_id });
    }
}

/// Whether this is the queue of the replies.
#[must_use]
pub(crate) fn is_replies(queue: &str) -> bool {
    queue == limits::REPLIES
}
