//! One delivery's sends, changes and reads, until it ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;

use super::overlay::Overlay;
use super::reads::ReadSet;
use super::{
    Destinations, EffectLimits, Effects, Send, SendError, StateError, StateReader, StateValue,
    Write, counter_value,
};
use crate::limits;
use crate::message::InvalidMessage;
use crate::{IdSource, MessageId, NewMessage, QueueName, Timestamp};

/// A mark within a delivery: how many marks there were before it.
pub type Savepoint = u32;

/// Everything one delivery has sent, stored and read so far.
pub struct Transaction {
    state: Arc<dyn StateReader>,
    ids: Arc<IdSource>,
    destinations: Arc<Destinations>,
    anywhere: bool,
    limits: EffectLimits,
    now: Timestamp,
    sends: Vec<Send>,
    sent_bytes: u64,
    overlay: Overlay,
    reads: ReadSet,
    marks: Vec<Marks>,
}

/// Marks with no change between them.
struct Marks {
    first: Savepoint,
    last: Savepoint,
    sends: usize,
    changes: usize,
}

impl Transaction {
    /// An empty transaction over the committed `state`. `now` is when the delivery began.
    #[must_use]
    pub fn new(
        state: Arc<dyn StateReader>,
        ids: Arc<IdSource>,
        destinations: Arc<Destinations>,
        limits: EffectLimits,
        now: Timestamp,
    ) -> Self {
        Transaction {
            state,
            ids,
            destinations,
            anywhere: false,
            limits,
            now,
            sends: Vec::new(),
            sent_bytes: 0,
            overlay: Overlay::default(),
            reads: ReadSet::default(),
            marks: Vec::new(),
        }
    }

    /// Lets it send to whatever can be the name of a queue. For a delivery that nobody commits, made to
    /// learn where a handler sends to.
    #[must_use]
    pub fn anywhere(self) -> Self {
        Transaction {
            anywhere: true,
            ..self
        }
    }

    /// Sends a message with the ack, to a queue that the handler may send to.
    ///
    /// # Errors
    /// When the queue is not granted, a limit would be broken, or the message is malformed.
    pub fn send(&mut self, to: &str, message: NewMessage) -> Result<MessageId, SendError> {
        let granted = self.destinations.get_key_value(to);
        let (to, max_body) = match granted {
            Some((to, max_body)) => (to.clone(), *max_body),
            None if self.anywhere => {
                let to = QueueName::new(to).map_err(|_| SendError::NotPermitted)?;
                (to, limits::DEFAULT_MAX_BODY)
            }
            None => return Err(SendError::NotPermitted),
        };
        self.send_to(to, max_body, message)
    }

    /// Sends an answer with the ack. The caller has seen to it that `to` is the `reply_to` of a
    /// message of this delivery, so no grant is asked for.
    ///
    /// # Errors
    /// When a limit would be broken, or the message is malformed.
    pub fn reply(&mut self, to: QueueName, message: NewMessage) -> Result<MessageId, SendError> {
        let granted = self.destinations.get(&to).copied();
        let max_body = granted.unwrap_or(limits::DEFAULT_MAX_BODY);
        self.send_to(to, max_body, message)
    }

    fn send_to(
        &mut self,
        to: QueueName,
        max_body: u64,
        message: NewMessage,
    ) -> Result<MessageId, SendError> {
        message
            .check(max_body, self.now)
            .map_err(|problem| match problem {
                InvalidMessage::BodyTooLarge { limit, .. } => SendError::TooLarge(limit),
                other => SendError::Invalid(other),
            })?;
        let bytes = self.sent_bytes + message.body.len() as u64;
        if self.sends.len() >= self.limits.max_sends || bytes > self.limits.max_send_bytes {
            return Err(SendError::TooMany);
        }
        self.sent_bytes = bytes;
        let id = self.ids.mint(self.now);
        self.sends.push(Send { to, id, message });
        Ok(id)
    }

    /// The value of a key, with this delivery's own writes.
    ///
    /// # Errors
    /// When the key is malformed, too many keys were touched, or the store failed.
    pub fn get(&mut self, key: &str) -> Result<Option<Bytes>, StateError> {
        self.reads.touch(key, &self.limits)?;
        match self.overlay.get(key) {
            Some(Write::Set { value, .. }) => Ok(Some(value.clone())),
            Some(Write::Remove) => Ok(None),
            Some(&Write::Add(delta)) => {
                let stored = self.read(key)?;
                let before = stored.map_or(0, |stored| counter_value(&stored.value));
                let sum = before.wrapping_add(delta);
                Ok(Some(Bytes::copy_from_slice(&sum.to_le_bytes())))
            }
            None => Ok(self.read(key)?.map(|stored| stored.value)),
        }
    }

    /// Sets the value of a key. It is no counter then, whatever it was.
    ///
    /// # Errors
    /// When the key is malformed, the value too large, or a limit would be broken.
    pub fn set(&mut self, key: &str, value: Bytes) -> Result<(), StateError> {
        if value.len() as u64 > limits::MAX_STATE_VALUE {
            return Err(StateError::TooLarge(limits::MAX_STATE_VALUE));
        }
        self.reads.touch(key, &self.limits)?;
        self.overlay.set(key, value, self.limits.max_state_bytes)
    }

    /// Removes a key.
    ///
    /// # Errors
    /// When the key is malformed or a limit would be broken.
    pub fn remove(&mut self, key: &str) -> Result<(), StateError> {
        self.reads.touch(key, &self.limits)?;
        self.overlay.remove(key, self.limits.max_state_bytes)
    }

    /// Adds to a counter.
    ///
    /// # Errors
    /// When the key is malformed, holds something else than a counter, a limit would be broken, or
    /// the store failed.
    pub fn add(&mut self, key: &str, delta: i64) -> Result<(), StateError> {
        self.reads.touch(key, &self.limits)?;
        if self.overlay.get(key).is_none() {
            let stored = self.state.get(key).map_err(StateError::Unavailable)?;
            match stored.filter(|stored| !stored.counter) {
                Some(stored) => {
                    // The refusal tells the handler something about the state, too.
                    self.reads.note_version(key, Some(stored.version));
                    return Err(StateError::NotACounter);
                }
                None => self.reads.note_adds_to(key),
            }
        }
        self.overlay.add(key, delta, self.limits.max_state_bytes)
    }

    /// Keys that start with `prefix` and sort after `after`, with this delivery's own writes.
    ///
    /// # Errors
    /// When `prefix` or `after` is longer than a key can be, too many keys were listed, or the
    /// store failed.
    pub fn list(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, StateError> {
        if prefix.len().max(after.map_or(0, str::len)) > limits::MAX_STATE_KEY {
            return Err(StateError::InvalidKey);
        }
        self.reads.check_list(&self.limits)?;
        let limit = limit.min(limits::MAX_LISTED_KEYS) as usize;
        let pending = || self.overlay.range(prefix, after);
        // Keys that this delivery removed leave gaps: ask for so many more. Then a full list has
        // enough keys left, and what is pending beyond its last one does not matter.
        let removed = pending().filter(|(_, write)| **write == Write::Remove);
        let asked = limit + removed.count();
        let stored = self
            .state
            .list(prefix, after, asked)
            .map_err(StateError::Unavailable)?;
        let mut keys: BTreeSet<&str> = stored.iter().map(String::as_str).collect();
        for (key, write) in pending() {
            if *write == Write::Remove {
                keys.remove(key);
            } else {
                keys.insert(key);
            }
        }
        let keys = keys.into_iter().take(limit).map(str::to_owned).collect();
        self.reads.note_range(prefix, after, asked, stored);
        Ok(keys)
    }

    /// Marks the present point.
    pub fn mark(&mut self) -> Savepoint {
        let (sends, changes) = (self.sends.len(), self.overlay.mark());
        match self.marks.last_mut() {
            Some(marks) if (marks.sends, marks.changes) == (sends, changes) => {
                marks.last = marks.last.saturating_add(1);
                marks.last
            }
            earlier => {
                let first = earlier.map_or(0, |marks| marks.last.saturating_add(1));
                self.marks.push(Marks {
                    first,
                    last: first,
                    sends,
                    changes,
                });
                first
            }
        }
    }

    /// Forgets what was sent and stored since the mark, and all later marks. Says whether there is
    /// such a mark. What was read stays read.
    pub fn rollback_to(&mut self, to: Savepoint) -> bool {
        let index = self.marks.partition_point(|marks| marks.last < to);
        let Some(marks) = self.marks.get_mut(index) else {
            return false;
        };
        debug_assert!(marks.first <= to, "marks have no gaps");
        marks.last = to;
        let (sends, changes) = (marks.sends, marks.changes);
        self.marks.truncate(index + 1);
        let forgotten = self.sends.drain(sends..);
        self.sent_bytes -= forgotten
            .map(|send| send.message.body.len() as u64)
            .sum::<u64>();
        self.overlay.rollback_to(changes);
        true
    }

    /// What is to happen with the ack.
    #[must_use]
    pub fn finish(self) -> Effects {
        Effects {
            sends: self.sends,
            writes: self.overlay.finish(),
            reads: self.reads.finish(),
        }
    }

    fn read(&mut self, key: &str) -> Result<Option<StateValue>, StateError> {
        let stored = self.state.get(key).map_err(StateError::Unavailable)?;
        let version = stored.as_ref().map(|stored| stored.version);
        self.reads.note_version(key, version);
        Ok(stored)
    }
}
