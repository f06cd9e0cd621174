//! What is known of a message in the ready order besides its place: as little as possible, since there
//! may be millions.

use std::collections::BTreeMap;

use super::Place;
use crate::Timestamp;
use crate::key::KeyHash;
use crate::message::Priority;

/// A message that is next, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    /// The message.
    pub sequence: u64,
    /// Its key.
    pub key: Option<KeyHash>,
}

/// Priority and key in the eight bytes that the priority alone would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark(u64);

impl Mark {
    pub fn new(priority: Priority, key: Option<KeyHash>) -> Self {
        Mark(u64::from(priority.level()) << KeyHash::BITS | key.map_or(0, KeyHash::bits))
    }

    /// The priority's number.
    pub fn level(self) -> usize {
        usize::try_from(self.0 >> KeyHash::BITS).unwrap_or(0)
    }

    pub fn key(self) -> Option<KeyHash> {
        KeyHash::from_bits(self.0 & ((1 << KeyHash::BITS) - 1))
    }
}

#[derive(Debug)]
pub(super) struct Group {
    /// The one message of the group that is ready, scheduled or in flight; of several that are in
    /// flight together, one of them.
    pub head: Member,
    /// Its ordinal; all that wait behind it and came in order have a larger one.
    pub ordinal: u64,
    pub behind: BTreeMap<u64, Member>,
    /// In flight beside the head, by ordinal: none unless the head is in flight.
    pub also: Vec<(u64, Member)>,
}

/// A message of a group; its ordinal is kept beside it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub sequence: u64,
    pub due: Timestamp,
    pub mark: Mark,
}

impl Member {
    pub fn of(place: &Place) -> Self {
        Member {
            sequence: place.sequence,
            due: place.due,
            mark: Mark::new(place.priority, place.key),
        }
    }
}
