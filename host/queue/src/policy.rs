//! What is configured for a queue, as far as deciding needs it.

use std::time::Duration;

use crate::QueueName;
use crate::key::KeySource;
use crate::limits;
use crate::rate::Rate;
use crate::retry::RetryPolicy;

/// What happens to a message that expires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnExpiry {
    /// It goes to the dead store, reason `expired`.
    #[default]
    DeadLetter,
    /// It is removed, and counted.
    Drop,
}

/// What becomes of a group when one of its messages dies.
///
/// Every entrance into the dead store is a death, whatever the reason; being dropped or purged is
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnGroupFailure {
    /// The next of the group has its turn.
    #[default]
    Skip,
    /// Nothing of the group is delivered until an operator resumes it.
    Halt,
    /// All that waits behind it in the group dies too, reason `group-failed`.
    DeadLetterRest,
}

/// What happens when a message is sent to a full queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It is refused.
    #[default]
    Reject,
    /// The oldest that wait are removed until it has room, ready or scheduled, in the order of
    /// their acceptance. If that does not make room, it is refused.
    DropOldest,
}

/// What makes two messages of a queue one, if they are sent within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedup {
    /// The same dedup id.
    #[default]
    Id,
    /// The same dedup id, or without one the same body and content type.
    Content,
    /// The same dedup id. What a handler sends without one has the id of the message that it
    /// handles and the place among its sends: `ID/0`, `ID/1`, …
    Derived,
}

/// What is configured for the keys of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    /// Where a message's key stands.
    pub source: KeySource,
    /// How many messages of one key may be in flight at once.
    pub concurrency: Option<u32>,
    /// How many messages of one key may start within a time.
    pub rate: Option<Rate>,
}

/// What is configured for the pull consumers of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullPolicy {
    /// Whether they may take messages; only as long as no handler is there, if nothing is said.
    pub allowed: Option<bool>,
    /// How long a lease lasts if the consumer does not say.
    pub visibility: Duration,
    /// How many messages they may hold at once.
    pub max_in_flight: u32,
}

impl Default for PullPolicy {
    fn default() -> Self {
        PullPolicy {
            allowed: None,
            visibility: Duration::from_secs(30),
            max_in_flight: limits::DEFAULT_MAX_PULLED,
        }
    }
}

/// What is configured for a queue, as far as deciding needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueuePolicy {
    /// When failed messages are tried again.
    pub retry: RetryPolicy,
    /// How many messages of the queue handlers may run at once.
    pub concurrency: u32,
    /// What pull consumers may do.
    pub pull: PullPolicy,
    /// How many messages of the queue may start within a time.
    pub rate: Option<Rate>,
    /// By what messages take turns, and what is limited for each key. Messages without the key are
    /// of one key together.
    pub key: Option<KeyPolicy>,
    /// How many messages may be ready, scheduled and in flight together.
    pub max_messages: Option<u64>,
    /// How many bytes their bodies may have together.
    pub max_bytes: Option<u64>,
    /// What happens when a message is sent to a full queue.
    pub on_full: OnFull,
    /// The most bytes of one body.
    pub max_body: u64,
    /// The time-to-live of messages that name none.
    pub default_ttl: Option<Duration>,
    /// What happens to a message that expires.
    pub on_expiry: OnExpiry,
    /// What becomes of a group when one of its messages dies.
    pub on_group_failure: OnGroupFailure,
    /// What makes two messages one.
    pub dedup: Dedup,
    /// How long that is remembered.
    pub dedup_window: Duration,
    /// The ordinary queue that takes what dies; the queue's own dead store if there is none.
    pub dead_letter: Option<QueueName>,
    /// How long dead letters are kept, from death on; `None` is for ever.
    pub dead_retention: Option<Duration>,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        QueuePolicy {
            retry: RetryPolicy::default(),
            concurrency: 64,
            pull: PullPolicy::default(),
            rate: None,
            key: None,
            max_messages: None,
            max_bytes: None,
            on_full: OnFull::default(),
            max_body: limits::DEFAULT_MAX_BODY,
            default_ttl: None,
            on_expiry: OnExpiry::default(),
            on_group_failure: OnGroupFailure::default(),
            dedup: Dedup::default(),
            dead_letter: None,
            dedup_window: Duration::from_secs(5 * 60),
            dead_retention: Some(Duration::from_secs(14 * 86_400)),
        }
    }
}
