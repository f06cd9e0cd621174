//! By what a queue tells those apart for whom it works: tenants, customers, accounts.
//!
//! A message's key is read once, when it is accepted, and kept with it as a hash. It decides whose
//! turn it is and what the limits for each key count; it says nothing about order, which is what
//! groups are for.

use std::num::NonZeroU64;

use xxhash_rust::xxh3::xxh3_64;

use crate::limits::RESERVED_ATTRIBUTE_PREFIX;
use crate::message::Envelope;

/// A key, hashed to 60 bits. Two keys with one hash are one key: they share a turn and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(NonZeroU64);

impl KeyHash {
    /// How many bits a hash has; the rest of a word is free for whoever keeps it.
    pub const BITS: u32 = 60;

    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self::from_bits(xxh3_64(key.as_bytes()) >> (u64::BITS - Self::BITS))
            .unwrap_or(KeyHash(NonZeroU64::MIN))
    }

    /// The hash with these bits; none of 0 or of more than [`KeyHash::BITS`] bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let bits = NonZeroU64::new(bits)?;
        (bits.get() >> Self::BITS == 0).then_some(KeyHash(bits))
    }

    /// The bits; never 0.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0.get()
    }
}

/// Where the key of a queue's messages stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// It is the message's group.
    Group,
    /// It is the value of the attribute with this name.
    Attribute(String),
}

impl KeySource {
    /// Names the group instead of an attribute: no message can have an attribute of this name.
    pub const GROUP: &str = "gristmill-group";

    /// The source that is written so: the name of an attribute, or [`KeySource::GROUP`]. None if
    /// no message could have such an attribute.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == Self::GROUP {
            return Some(KeySource::Group);
        }
        let valid = !name.is_empty()
            && name.len() <= crate::limits::MAX_ATTRIBUTE_NAME
            && !name.starts_with(RESERVED_ATTRIBUTE_PREFIX)
            && !name.chars().any(char::is_control);
        valid.then(|| KeySource::Attribute(name.to_owned()))
    }

    /// The key of a message, if it has one.
    #[must_use]
    pub fn key_of(&self, envelope: &Envelope) -> Option<KeyHash> {
        let key = match self {
            KeySource::Group => envelope.group.as_deref(),
            KeySource::Attribute(name) => envelope.attribute(name),
        };
        key.map(KeyHash::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_an_attribute_or_the_group() {
        let envelope = Envelope {
            group: Some("g".into()),
            attributes: vec![("tenant".into(), "acme".into())],
            ..Envelope::default()
        };
        let key = |name: &str| KeySource::named(name).unwrap().key_of(&envelope);
        assert_eq!(key("tenant"), Some(KeyHash::of("acme")));
        assert_eq!(key("gristmill-group"), Some(KeyHash::of("g")));
        assert_eq!(key("group"), None, "an attribute may be named so");
        for bad in ["", "gristmill-type", "a\nb"] {
            assert_eq!(KeySource::named(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_hash_is_read_back_from_its_bits() {
        for key in ["", "acme", "zeta"] {
            let hash = KeyHash::of(key);
            assert_eq!(KeyHash::from_bits(hash.bits()), Some(hash));
        }
        assert_eq!(KeyHash::from_bits(0), None);
        assert_eq!(KeyHash::from_bits(1 << 60), None);
    }
}
