//! Message ids: UUIDv7 (RFC 9562) that carry the message's place in the store.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::Timestamp;

/// The largest sequence number that an id can carry.
pub const MAX_SEQUENCE: u64 = (1 << 62) - 1;

/// Identifies a message on this host; never reused, and the same on every delivery.
///
/// A UUIDv7: 48 bits of time, 12 bits derived from the store's own salt, and in the last 62 bits
/// the sequence number under which the store keeps the message. So an id leads to its record
/// without an index. Ids are not secrets and grant nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Uuid);

/// A text that is not a message id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a message id: ids are UUIDs such as 019a9b5e-7c11-7f00-8000-000000000001")]
pub struct InvalidMessageId {
    /// The text, cut to 100 characters.
    pub text: String,
}

impl MessageId {
    /// The sequence number under which the store keeps the message.
    #[must_use]
    pub fn sequence(self) -> u64 {
        u64::from_be_bytes(self.0.as_bytes()[8..].try_into().unwrap_or_default()) & MAX_SEQUENCE
    }

    /// The 16 bytes of the id.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }

    /// An id from its 16 bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        MessageId(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl std::str::FromStr for MessageId {
    type Err = InvalidMessageId;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(s)
            .map(MessageId)
            .map_err(|_| InvalidMessageId {
                text: s.chars().take(100).collect(),
            })
    }
}

/// Gives out message ids, each with the next sequence number of the store.
#[derive(Debug)]
pub struct IdSource {
    next: AtomicU64,
    salt: u64,
}

impl IdSource {
    /// Continues at `next`; `salt` is drawn once for each store, so that ids of two stores differ.
    #[must_use]
    pub fn new(next: u64, salt: u64) -> Self {
        IdSource {
            next: AtomicU64::new(next),
            salt,
        }
    }

    /// A new id, made at `now`.
    ///
    /// # Panics
    /// After 2^62 ids.
    #[must_use]
    pub fn mint(&self, now: Timestamp) -> MessageId {
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        assert!(sequence <= MAX_SEQUENCE, "sequence numbers are used up");
        let tag = xxh3_64_with_seed(&sequence.to_le_bytes(), self.salt) & 0xfff;
        let high = (now.unix_ms() << 16) | 0x7000 | tag;
        let low = (0b10 << 62) | sequence;
        MessageId(Uuid::from_u64_pair(high, low))
    }

    /// The sequence number of the next id.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_v7_and_leads_to_its_sequence() {
        let ids = IdSource::new(41, 7);
        let now = Timestamp::from_unix_ms(1_763_640_000_123);
        let (a, b) = (ids.mint(now), ids.mint(now));
        assert_eq!((a.sequence(), b.sequence()), (41, 42));
        assert!(a < b || a.to_bytes()[..6] == b.to_bytes()[..6]);
        let uuid: Uuid = a.to_string().parse().unwrap();
        assert_eq!(uuid.get_version_num(), 7);
        let (seconds, nanos) = uuid.get_timestamp().unwrap().to_unix();
        assert_eq!(seconds * 1000 + u64::from(nanos) / 1_000_000, now.unix_ms());
        assert_eq!(a.to_string().parse::<MessageId>().unwrap(), a);
        assert!("nonsense".parse::<MessageId>().is_err());
    }
}
