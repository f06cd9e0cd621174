//! What was just accepted, in memory until it is delivered.

use std::collections::HashMap;
use std::sync::Arc;

use gristmill_queue::board::Row;
use gristmill_queue::{Message, Timestamp};

/// Messages that were just accepted, so that delivering them at once needs no read.
pub(crate) struct Hot {
    messages: HashMap<u64, (Arc<Message>, Row)>,
    bytes: usize,
    limit: usize,
}

/// What a message in memory costs beside its body, roughly.
const HOT_OVERHEAD: usize = 400;

impl Hot {
    pub fn new(limit: usize) -> Self {
        Hot {
            messages: HashMap::new(),
            bytes: 0,
            limit,
        }
    }

    /// Keeps a message if there is room.
    pub fn keep(&mut self, message: Arc<Message>, row: Row) {
        let bytes = message.body.len() + HOT_OVERHEAD;
        if self.bytes + bytes <= self.limit
            && self
                .messages
                .insert(row.place.sequence, (message, row))
                .is_none()
        {
            self.bytes += bytes;
        }
    }

    /// Takes note that the row of a message has changed; what is due later is not kept.
    pub fn change(&mut self, row: &Row, now: Timestamp) {
        let sequence = row.place.sequence;
        if row.place.due > now {
            self.take(sequence);
        } else if let Some((_, held)) = self.messages.get_mut(&sequence) {
            *held = *row;
        }
    }

    /// Takes a message out.
    pub fn take(&mut self, sequence: u64) -> Option<(Arc<Message>, Row)> {
        let found = self.messages.remove(&sequence)?;
        self.bytes -= found.0.body.len() + HOT_OVERHEAD;
        Some(found)
    }
}
