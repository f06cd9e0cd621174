//! The limits that the fake keeps, each the host's default. A test compares them with the host's.

/// The most bytes of a body.
pub(crate) const MAX_BODY: u64 = 64 * 1024 * 1024;
/// The most messages that a delivery sends.
pub(crate) const MAX_SENDS: usize = 100;
/// The most bytes of the bodies that a delivery sends, together.
pub(crate) const MAX_SEND_BYTES: u64 = 4 * 1024 * 1024;
/// The most attributes of a message.
pub(crate) const MAX_ATTRIBUTES: usize = 64;
/// The most bytes of an attribute's name.
pub(crate) const MAX_ATTRIBUTE_NAME: usize = 256;
/// The most bytes of all attributes of a message.
pub(crate) const MAX_ATTRIBUTE_BYTES: usize = 64 * 1024;
/// Attribute names that start so are the host's own.
pub(crate) const RESERVED_ATTRIBUTE_PREFIX: &str = "gristmill-";
/// The most bytes of any other field of the envelope.
pub(crate) const MAX_ENVELOPE_FIELD: usize = 1024;
/// The most bytes of a state key.
pub(crate) const MAX_STATE_KEY: usize = 512;
/// The most bytes of a state value.
pub(crate) const MAX_STATE_VALUE: u64 = 256 * 1024;
/// The most state keys that a delivery touches.
pub(crate) const MAX_STATE_KEYS: usize = 1000;
/// The most bytes of the values that a delivery writes, together.
pub(crate) const MAX_STATE_BYTES: u64 = 4 * 1024 * 1024;
/// The most keys that one listing returns.
pub(crate) const MAX_LISTED_KEYS: u32 = 1000;
/// How many keys a delivery lists for each key that it may touch; a list counts as one more.
pub(crate) const LISTED_PER_KEY: usize = 10;
/// The most messages that a batch sends.
pub(crate) const MAX_BATCH_SENDS: usize = 10_000;
/// The most state keys that a batch touches.
pub(crate) const MAX_BATCH_STATE_KEYS: usize = 100_000;
/// The most bytes that a batch sends, and the most it writes.
pub(crate) const MAX_BATCH_BYTES: u64 = 64 * 1024 * 1024;

/// What a delivery of so many messages may do, if one may do this.
pub(crate) fn count(each: usize, messages: usize, most: usize) -> usize {
    (each * messages).min(most)
}

/// The same in bytes.
pub(crate) fn bytes(each: u64, messages: usize) -> u64 {
    (each * messages as u64).min(MAX_BATCH_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_queue::effects::EffectLimits;
    use gristmill_queue::limits as host;

    #[test]
    fn the_fake_keeps_the_limits_of_the_host() {
        let effects = EffectLimits::default();
        let sizes = [
            (MAX_BODY, host::DEFAULT_MAX_BODY),
            (MAX_SEND_BYTES, effects.max_send_bytes),
            (MAX_STATE_VALUE, host::MAX_STATE_VALUE),
            (MAX_STATE_BYTES, effects.max_state_bytes),
            (u64::from(MAX_LISTED_KEYS), u64::from(host::MAX_LISTED_KEYS)),
        ];
        let counts = [
            (MAX_SENDS, effects.max_sends),
            (MAX_ATTRIBUTES, host::MAX_ATTRIBUTES),
            (MAX_ATTRIBUTE_NAME, host::MAX_ATTRIBUTE_NAME),
            (MAX_ATTRIBUTE_BYTES, host::MAX_ATTRIBUTE_BYTES),
            (MAX_ENVELOPE_FIELD, host::MAX_ENVELOPE_FIELD),
            (MAX_STATE_KEY, host::MAX_STATE_KEY),
            (MAX_STATE_KEYS, effects.max_state_keys),
            (LISTED_PER_KEY, host::LISTED_PER_TOUCHED_KEY),
        ];
        for (ours, theirs) in sizes {
            assert_eq!(ours, theirs);
        }
        for (ours, theirs) in counts {
            assert_eq!(ours, theirs);
        }
        for messages in [1, 2, 16, 1000] {
            let batch = effects.of_batch(messages);
            assert_eq!(count(MAX_SENDS, messages, MAX_BATCH_SENDS), batch.max_sends);
            assert_eq!(
                count(MAX_STATE_KEYS, messages, MAX_BATCH_STATE_KEYS),
                batch.max_state_keys
            );
            assert_eq!(bytes(MAX_SEND_BYTES, messages), batch.max_send_bytes);
            assert_eq!(bytes(MAX_STATE_BYTES, messages), batch.max_state_bytes);
        }
        assert_eq!(RESERVED_ATTRIBUTE_PREFIX, host::RESERVED_ATTRIBUTE_PREFIX);
    }
}
