//! Pull consumers: what they ask for, what they get, and how they settle it.
//!
//! A receive is an operation of the writer: the leases that it grants are durable when it is answered.
//! One that finds nothing waits with the writer until there is something or its time is up. Whoever lets
//! go of the future waits no more; what was granted to somebody who is gone is released, uncounted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Fence, Message, Outcome, QueueName, Reason, Timestamp, limits};
use tokio::sync::oneshot;

use crate::error::AdminError;
use crate::inbox::{Inbox, Refused};
use crate::ops::Op;
use crate::store::Store;

/// How a receive takes the messages of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupOrder {
    /// One at a time.
    #[default]
    One,
    /// Several of them in order, as many as there is room for. The group delivers nothing more until all of
    /// them are settled or their leases have ended.
    Batch,
}

/// What settling is answered with: of each lease, what became of it.
pub(crate) type Settled = Result<Vec<Result<(), PullError>>, AdminError>;

/// What a pull consumer asks for.
#[derive(Clone, Debug)]
pub struct Receive {
    /// Of which queue.
    pub queue: QueueName,
    /// At most so many messages: 1 to [`limits::MAX_RECEIVE`], else the nearest of these.
    pub max: u32,
    /// How long to wait if there is none; at most [`limits::MAX_RECEIVE_WAIT`].
    pub wait: Duration,
    /// How long the leases last, at most [`limits::MAX_VISIBILITY`]; the queue's own time if none is given.
    pub visibility: Option<Duration>,
    /// How it takes the messages of a group.
    pub order: GroupOrder,
}

/// A message that is leased to a pull consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The proof of the lease; it is valid over restarts.
    pub fence: Fence,
    /// Under which number the store keeps the message.
    pub sequence: u64,
    /// The message.
    pub message: Arc<Message>,
    /// Which attempt this is, from 1: how often it was received or handled, this time included.
    pub attempt: u32,
    /// When the first of these attempts began.
    pub first_received_at: Timestamp,
    /// When it was accepted, or last redriven.
    pub enqueued_at: Timestamp,
    /// The order of its acceptance.
    pub ordinal: u64,
    /// When the lease ends, unless it is extended.
    pub lease_ends: Timestamp,
}

/// How a pull consumer settles a message, or goes on holding it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// It is done, and gone.
    Ack,
    /// It failed, which counts, and is tried again.
    Retry {
        /// After this time; after the queue's back-off, if none is given.
        delay: Option<Duration>,
        /// Why, in words.
        error: String,
    },
    /// It will never work: it dies.
    Reject {
        /// Why, in words.
        error: String,
    },
    /// It was not handled: it is due at once, and the attempt does not count.
    Release,
    /// The lease ends so long from now.
    Extend {
        /// How long.
        visibility: Duration,
    },
}

impl Pulled {
    /// What that means to the message; nothing, if the consumer goes on holding it.
    pub(crate) fn outcome(self) -> Result<Outcome, Duration> {
        Ok(match self {
            Pulled::Ack => Outcome::Done,
            Pulled::Retry { delay, error } => Outcome::Failed {
                reason: Reason::Retry,
                error,
                delay,
            },
            Pulled::Reject { error } => Outcome::Rejected { error },
            Pulled::Release => Outcome::HandedBack(HandedBack::Released),
            Pulled::Extend { visibility } => return Err(visibility),
        })
    }
}

/// Why a receive gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// There is no such queue.
    #[error("there is no queue {0}")]
    UnknownQueue(QueueName),
    /// Its messages are for its handler.
    #[error(
        "the messages of queue {0} are for its handler: let pull consumers compete with it by pull = true in [queue.{0}]"
    )]
    NotPull(QueueName),
    /// As many receives wait as may.
    #[error(
        "{} receives wait already, and no more may: try again later, or wait less long",
        limits::MAX_WAITING_RECEIVES
    )]
    TooManyWaiting,
    /// More is waiting to be written than may wait.
    #[error("the store is busy: {waiting} operations wait to be written; try again shortly")]
    Busy {
        /// How many.
        waiting: usize,
    },
    /// The store closed before it answered.
    #[error("the store closed before it answered")]
    Closed,
}

/// Why a pull consumer cannot settle a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// It does not hold the message any more.
    #[error(
        "the lease is lost: it ended, or the message was settled; receive the message again if it is still there"
    )]
    LeaseLost,
    /// A lease would last too long.
    #[error(
        "the lease would last longer than {} hours from its receive on: extend it by less, or settle the message and let it be received again",
        limits::MAX_VISIBILITY.as_secs() / 3600
    )]
    TooLong,
}

/// What all handles of a store have in common for pull consumers.
pub(crate) struct Pulls {
    /// How often they have asked for messages.
    asked: AtomicU64,
    receipt_key: [u8; 32],
}

impl Pulls {
    pub fn new(receipt_key: [u8; 32]) -> Self {
        Pulls {
            asked: AtomicU64::new(0),
            receipt_key,
        }
    }
}

/// What the writer was asked for by a pull consumer.
pub(crate) struct Asked {
    /// What the wait goes by.
    pub number: u64,
    pub receive: Receive,
    pub reply: oneshot::Sender<Result<Granted, ReceiveError>>,
}

/// Leased messages on their way to who asked for them. If they do not get there, they are released.
pub(crate) struct Granted {
    pub inbox: Arc<Inbox>,
    pub queue: QueueName,
    pub received: Vec<Received>,
}

impl Granted {
    fn take(mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        let received = std::mem::take(&mut self.received);
        if received.is_empty() {
            return;
        }
        let verdicts = received.into_iter().map(|one| (one.fence, Pulled::Release));
        // If the store is closed, the leases end by themselves.
        let _ = self.inbox.push(Op::SettlePulled {
            queue: self.queue.clone(),
            verdicts: verdicts.collect(),
            reply: None,
        });
    }
}

/// Somebody who waits for messages. Whoever lets go of it waits no more.
struct Waiting<'s> {
    store: &'s Store,
    number: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let number = self.number;
        let _ = self.store.push(Op::LeaveReceive { number });
    }
}

impl Store {
    /// The secret under which what pull consumers hold as proof is sealed. It is drawn once for each store,
    /// and copied with it.
    #[must_use]
    pub fn receipt_key(&self) -> [u8; 32] {
        self.shared.pulls.receipt_key
    }

    /// Leases messages of a queue to a pull consumer: that is durable when this returns. If there is none, it
    /// waits for one, first come, first served, and returns nothing when the time is up.
    ///
    /// # Errors
    /// When the queue is not there or not for pull consumers, too many wait, or the store closed.
    pub async fn receive(&self, receive: Receive) -> Result<Vec<Received>, ReceiveError> {
        let number = self.shared.pulls.asked.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let asked = Asked {
            number,
            receive,
            reply,
        };
        match self.push(Op::Receive(Box::new(asked))) {
            Ok(()) => {}
            Err(Refused::Full { waiting }) => return Err(ReceiveError::Busy { waiting }),
            Err(Refused::Closed) => return Err(ReceiveError::Closed),
        }
        let waiting = Waiting {
            store: self,
            number,
        };
        let granted = answer.await;
        // It has its answer, so it does not wait.
        std::mem::forget(waiting);
        granted
            .unwrap_or(Err(ReceiveError::Closed))
            .map(Granted::take)
    }

    /// Settles leases of pull consumers of a queue, all in one commit. Says of each what became of it.
    ///
    /// # Errors
    /// When there is no such queue, or the store closed meanwhile.
    pub async fn settle_pulled(
        &self,
        queue: QueueName,
        verdicts: Vec<(Fence, Pulled)>,
    ) -> Result<Vec<Result<(), PullError>>, AdminError> {
        self.ask(|reply| Op::SettlePulled {
            queue,
            verdicts,
            reply: Some(reply),
        })
        .await?
    }
}
