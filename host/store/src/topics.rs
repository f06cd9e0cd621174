//! Topics: what is declared of them, what a send to one is answered, and what is counted.

use gristmill_queue::topic::Unmatched;
use gristmill_queue::{QueueName, TopicPolicy};

use crate::error::AdminError;
use crate::ops::{Accepted, Declaration, Op};
use crate::store::Store;

/// A topic as the configuration declares it.
#[derive(Clone, Debug)]
pub struct TopicDeclaration {
    /// Its name; no queue that is declared has it.
    pub name: QueueName,
    /// What is configured for it. Its queues are declared.
    pub policy: TopicPolicy,
}

/// What became of one message of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The message; of a topic its first copy. A topic that made no copy gives an id all the same,
    /// which leads to nothing. It is a duplicate if all copies are, and a conflict if one is.
    pub accepted: Accepted,
    /// The copies, if it was sent to a topic.
    pub copies: Option<Vec<TopicCopy>>,
}

/// A copy of a message that was sent to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicCopy {
    /// The queue it is in.
    pub queue: QueueName,
    /// What became of it.
    pub accepted: Accepted,
}

/// A topic, as an operator sees it. What is counted is counted since the host started; repeats are
/// not.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicView {
    /// Its name.
    pub name: QueueName,
    /// What becomes of messages that no subscription matches.
    pub unmatched_are: Unmatched,
    /// How many messages were accepted.
    pub sent: u64,
    /// How many of them no subscription matched.
    pub unmatched: u64,
    /// How many were refused because no subscription matched.
    pub refused: u64,
    /// Its subscriptions.
    pub subscriptions: Vec<SubscriptionView>,
}

/// A subscription, as an operator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubscriptionView {
    /// The queue.
    pub queue: QueueName,
    /// What its filters let through, in words.
    pub filter: String,
    /// How many copies it got.
    pub copies: u64,
}

impl Store {
    /// Declares exactly these queues and topics, both at once. Queues that are no longer declared
    /// keep their messages and take no more.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn declare(
        &self,
        queues: Vec<Declaration>,
        topics: Vec<TopicDeclaration>,
    ) -> Result<(), AdminError> {
        self.ask(|reply| Op::Declare {
            queues,
            topics,
            reply,
        })
        .await
    }

    /// All topics by name, with what is counted of them.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn topics(&self) -> Result<Vec<TopicView>, AdminError> {
        self.ask(|reply| Op::Topics { reply }).await
    }
}
