//! Which waiting messages of a queue are the oldest. Only queues that drop them keep account of it.

use std::collections::BTreeMap;

use super::queue::Queue;
use super::{Board, QueueFull, QueueId, Row};
use crate::policy::OnFull;

/// The waiting messages of a queue in the order of their acceptance.
#[derive(Debug, Default)]
pub(super) struct Ages {
    /// Sequences and sizes, by ordinal.
    waiting: BTreeMap<u64, (u64, u32)>,
    /// Of their bodies.
    bytes: u64,
    /// Messages that waited before the account was opened and are not in it yet. As long as there
    /// are any, nothing is dropped.
    unknown: Vec<u64>,
}

impl Ages {
    pub fn note(&mut self, row: &Row) {
        let entry = (row.place.sequence, row.size);
        if self.waiting.insert(row.place.ordinal, entry).is_none() {
            self.bytes += u64::from(row.size);
        }
    }

    pub fn strike(&mut self, row: &Row) {
        if let Some((_, size)) = self.waiting.remove(&row.place.ordinal) {
            self.bytes -= u64::from(size);
        }
    }

    /// Strikes out a message about which only its number is known.
    pub fn evict(&mut self, sequence: u64) {
        let bytes = &mut self.bytes;
        self.waiting.retain(|_, &mut (waiting, size)| {
            let stays = waiting != sequence;
            *bytes -= if stays { 0 } else { u64::from(size) };
            stays
        });
    }
}

impl Queue {
    /// Opens or closes the account, as the policy says.
    pub(super) fn keep_ages(&mut self) {
        if self.policy.on_full == OnFull::Reject {
            self.ages = None;
        } else if self.ages.is_none() {
            let unknown = self.order.waiting().collect();
            self.ages = Some(Box::new(Ages {
                unknown,
                ..Ages::default()
            }));
        }
    }

    /// Whether so many messages of so many bytes fit beside these.
    fn fits(&self, (messages, bytes): (u64, u64), (held, held_bytes): (u64, u64)) -> bool {
        let under = |limit: Option<u64>, held: u64, more: u64| {
            limit.is_none_or(|limit| held.saturating_add(more) <= limit)
        };
        under(self.policy.max_messages, held, messages)
            && under(self.policy.max_bytes, held_bytes, bytes)
    }
}

impl Board {
    /// Whether the queue has room for `messages` more of `bytes` together, or will have when it has
    /// dropped what [`Board::to_drop`] names.
    ///
    /// # Errors
    /// When it has not.
    pub fn check_room(&self, queue: QueueId, messages: u64, bytes: u64) -> Result<(), QueueFull> {
        let entry = self.queue(queue);
        let more = (messages, bytes);
        let held = (entry.held(), entry.bytes);
        // If all that waits were dropped, this would be left.
        let left = |ages: &Ages| (u64::from(entry.in_flight), entry.bytes - ages.bytes);
        let ages = entry.ages.as_ref().filter(|ages| ages.unknown.is_empty());
        if entry.fits(more, held) || ages.is_some_and(|ages| entry.fits(more, left(ages))) {
            return Ok(());
        }
        Err(QueueFull {
            queue: entry.name.clone(),
            messages: held.0,
            bytes: held.1,
        })
    }

    /// The oldest waiting messages that have to go before so many more have room, oldest first.
    /// None of them is in flight.
    #[must_use]
    pub fn to_drop(&self, queue: QueueId, messages: u64, bytes: u64) -> Vec<u64> {
        let entry = self.queue(queue);
        let mut held = (entry.held(), entry.bytes);
        let Some(ages) = &entry.ages else {
            return Vec::new();
        };
        let oldest = ages.waiting.values().take_while(|(_, size)| {
            let full = !entry.fits((messages, bytes), held);
            held = (held.0 - 1, held.1 - u64::from(*size));
            full
        });
        oldest.map(|&(sequence, _)| sequence).collect()
    }

    /// Some of the messages of a queue whose age is not known yet; each is to be told with
    /// [`Board::note_age`] before anything else happens.
    pub fn take_unaged(&mut self, queue: QueueId, most: usize) -> Vec<u64> {
        let Some(ages) = &mut self.queue_mut(queue).ages else {
            return Vec::new();
        };
        let stays = ages.unknown.len().saturating_sub(most);
        ages.unknown.split_off(stays)
    }

    /// Tells the age of a message, if it waits.
    pub fn note_age(&mut self, row: &Row) {
        if !self.is_leased(row.place.sequence)
            && let Some(ages) = &mut self.queue_mut(row.queue).ages
        {
            ages.note(row);
        }
    }
}
