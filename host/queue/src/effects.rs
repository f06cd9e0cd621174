//! What a handler sends and stores, held back until its ack.
//!
//! One [`Transaction`] per delivery. The guest's calls change nothing but this value; reads go
//! through it, so that a handler sees its own writes, and are recorded, so that the commit can
//! tell whether another delivery changed what this one has seen. [`Transaction::finish`] turns it
//! into [`Effects`], which the store applies together with the ack, or nobody ever sees.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::message::InvalidMessage;
use crate::{MessageId, NewMessage, QueueName, limits};

mod overlay;
mod reads;
#[cfg(test)]
mod tests;
mod transaction;

pub use transaction::{Savepoint, Transaction};

/// The version of a stored value: the number of the change that wrote it, which never repeats, not
/// even if the key is removed and comes back. An absent key has none.
pub type Version = u64;

/// A value as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateValue {
    /// Which change wrote it.
    pub version: Version,
    /// Whether it was made by `add`.
    pub counter: bool,
    /// The value; a counter is 8 bytes, little-endian, two's complement.
    pub value: Bytes,
}

/// The committed state of one handler, as the transaction reads it.
///
/// Each call is a short read of its own; nothing is held open while the guest runs.
pub trait StateReader: std::marker::Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &str) -> Result<Option<StateValue>, StateUnavailable>;

    /// Keys that start with `prefix` and sort after `after`, in byte order, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, StateUnavailable>;
}

/// The store of the state could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the state could not be read: {0}")]
pub struct StateUnavailable(pub String);

/// How much one delivery may send and store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EffectLimits {
    /// Messages.
    pub max_sends: usize,
    /// Bytes of their bodies together.
    pub max_send_bytes: u64,
    /// State keys read or written; of keys that are only listed, ten times as many.
    pub max_state_keys: usize,
    /// Bytes of the values written, with those that a rollback would bring back.
    pub max_state_bytes: u64,
}

impl EffectLimits {
    /// How much a delivery of so many messages may send and store: as much for each as a delivery
    /// of one has, up to what a host can be asked to hold for one call
    /// ([`limits::MAX_BATCH_SENDS`] and its neighbours).
    #[must_use]
    pub fn of_batch(self, messages: usize) -> Self {
        let count = |each: usize, most: usize| each.max(each.saturating_mul(messages).min(most));
        let bytes = |each: u64| {
            let all = each.saturating_mul(messages as u64);
            each.max(all.min(limits::MAX_BATCH_BYTES))
        };
        EffectLimits {
            max_sends: count(self.max_sends, limits::MAX_BATCH_SENDS),
            max_send_bytes: bytes(self.max_send_bytes),
            max_state_keys: count(self.max_state_keys, limits::MAX_BATCH_STATE_KEYS),
            max_state_bytes: bytes(self.max_state_bytes),
        }
    }
}

impl Default for EffectLimits {
    fn default() -> Self {
        EffectLimits {
            max_sends: 100,
            max_send_bytes: 4 * 1024 * 1024,
            max_state_keys: 1000,
            max_state_bytes: 4 * 1024 * 1024,
        }
    }
}

/// The queues a handler may send to, each with the most bytes of a body that it takes.
pub type Destinations = BTreeMap<QueueName, u64>;

/// A message to be sent with the ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// Where to.
    pub to: QueueName,
    /// Its id, already told to the handler.
    pub id: MessageId,
    /// What.
    pub message: NewMessage,
}

/// A change of the state, to be made with the ack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// The value becomes this, whatever it was.
    Set {
        /// The value.
        value: Bytes,
        /// Whether `add` made it, on a key that this delivery had removed: it is a counter.
        counter: bool,
    },
    /// The key is removed.
    Remove,
    /// The counter grows by this, whatever it is by then; it starts at 0 and wraps around.
    Add(i64),
}

/// What a delivery has read, and with what result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A key and the version it had.
    Key(String, Option<Version>),
    /// That a key was absent or a counter (asked by `add`, which does not mind the value).
    AddsTo(String),
    /// A range of keys and what it held.
    Range {
        /// Of all keys that start so …
        prefix: String,
        /// … and sort after this …
        after: Option<String>,
        /// … at most so many …
        limit: usize,
        /// … these.
        keys: Vec<String>,
    },
}

/// All that a delivery wants to happen with its ack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Messages to send, in order.
    pub sends: Vec<Send>,
    /// Changes of the state, by key.
    pub writes: Vec<(String, Write)>,
    /// What must still be so.
    pub reads: Vec<Read>,
}

/// Why a message cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendError {
    /// No such queue, or not granted.
    NotPermitted,
    /// The body has more bytes than this, the most the queue takes.
    TooLarge(u64),
    /// The delivery has sent as much as it may.
    TooMany,
    /// Malformed in some other way.
    Invalid(InvalidMessage),
}

/// Why a key or value cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Empty or too long.
    InvalidKey,
    /// The value has more bytes than this.
    TooLarge(u64),
    /// The delivery has touched as much as it may.
    QuotaExceeded,
    /// `add` met a value that `add` did not make.
    NotACounter,
    /// The store failed.
    Unavailable(StateUnavailable),
}

/// The number in a counter's bytes.
#[must_use]
pub fn counter_value(bytes: &[u8]) -> i64 {
    bytes.try_into().map_or(0, i64::from_le_bytes)
}
