//! What a message tells that died in another queue: where, when and of what.
//!
//! A queue may name an ordinary queue for what dies in it. The message that goes there says so in
//! attributes of Gristmill's own. They are set by the host, so no limit of attributes counts them:
//! dying must not fail. When the message is taken back, they are taken off.

use std::time::Duration;

use crate::outcome::cut;
use crate::{Envelope, QueueName, Reason, Timestamp};

/// All names of these attributes begin so.
const PREFIX: &str = "gristmill-dead-";
/// The most bytes of the error that go along.
pub const MAX_ERROR: usize = 1024;

const QUEUE: &str = "gristmill-dead-queue";
const REASON: &str = "gristmill-dead-reason";
const ERROR: &str = "gristmill-dead-error";
const AT_MS: &str = "gristmill-dead-at-ms";
const ATTEMPTS: &str = "gristmill-dead-attempts";
const FINGERPRINT: &str = "gristmill-dead-fingerprint";
const HANDLER: &str = "gristmill-dead-handler";
const TTL_MS: &str = "gristmill-dead-ttl-ms";

/// Where a message died, when, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The queue in which it died.
    pub queue: QueueName,
    /// Why.
    pub reason: Reason,
    /// In words, cut to [`MAX_ERROR`] bytes.
    pub error: String,
    /// When.
    pub died_at: Timestamp,
    /// How many attempts counted.
    pub attempts: u32,
    /// Groups what died alike.
    pub fingerprint: u64,
    /// SHA-256 of the handler's module, in hexadecimal; empty if none ran.
    pub handler: String,
    /// How long it was to live there, if it was.
    pub ttl: Option<Duration>,
}

impl Provenance {
    /// Puts it on an envelope, in place of what was there of an earlier death.
    pub fn stamp(&self, envelope: &mut Envelope) {
        Self::strip(envelope);
        let error = cut(&self.error, MAX_ERROR);
        envelope.stamp(QUEUE, self.queue.as_str());
        envelope.stamp(REASON, self.reason.as_str());
        envelope.stamp(ERROR, &error);
        envelope.stamp(AT_MS, &self.died_at.unix_ms().to_string());
        envelope.stamp(ATTEMPTS, &self.attempts.to_string());
        envelope.stamp(FINGERPRINT, &format!("{:016x}", self.fingerprint));
        if !self.handler.is_empty() {
            envelope.stamp(HANDLER, &self.handler);
        }
        if let Some(ttl) = self.ttl {
            envelope.stamp(TTL_MS, &ttl.as_millis().to_string());
        }
    }

    /// What an envelope tells; none, if the message did not die elsewhere.
    #[must_use]
    pub fn of(envelope: &Envelope) -> Option<Self> {
        let text = |name| envelope.attribute(name);
        let ttl = text(TTL_MS).and_then(|ms| ms.parse().ok());
        Some(Provenance {
            queue: QueueName::new(text(QUEUE)?).ok()?,
            reason: Reason::from_code(text(REASON)?)?,
            error: text(ERROR)?.to_owned(),
            died_at: Timestamp::from_unix_ms(text(AT_MS)?.parse().ok()?),
            attempts: text(ATTEMPTS)?.parse().ok()?,
            fingerprint: u64::from_str_radix(text(FINGERPRINT)?, 16).ok()?,
            handler: text(HANDLER).unwrap_or_default().to_owned(),
            ttl: ttl.map(Duration::from_millis),
        })
    }

    /// Takes it off an envelope.
    pub fn strip(envelope: &mut Envelope) {
        let others = |(name, _): &(String, String)| !name.starts_with(PREFIX);
        envelope.attributes.retain(others);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provenance() -> Provenance {
        Provenance {
            queue: QueueName::new("orders").unwrap(),
            reason: Reason::Trap,
            error: "unreachable".to_owned(),
            died_at: Timestamp::from_unix_ms(7),
            attempts: 3,
            fingerprint: 0xff,
            handler: "ab".repeat(32),
            ttl: Some(Duration::from_millis(90)),
        }
    }

    #[test]
    fn provenance_is_put_on_read_and_taken_off_and_the_rest_stays() {
        let own = vec![("tenant".to_owned(), "acme".to_owned())];
        let mut envelope = Envelope {
            attributes: own.clone(),
            ..Envelope::default()
        };
        assert_eq!(Provenance::of(&envelope), None);
        provenance().stamp(&mut envelope);
        assert_eq!(Provenance::of(&envelope), Some(provenance()));
        let second = Provenance {
            handler: String::new(),
            ttl: None,
            ..provenance()
        };
        second.stamp(&mut envelope);
        assert_eq!(Provenance::of(&envelope), Some(second));
        Provenance::strip(&mut envelope);
        assert_eq!(envelope.attributes, own);
    }

    #[test]
    fn provenance_of_a_message_that_is_full_of_attributes_is_kept_and_its_error_cut() {
        let full = (0..crate::limits::MAX_ATTRIBUTES).map(|n| (n.to_string(), String::new()));
        let mut envelope = Envelope {
            attributes: full.collect(),
            ..Envelope::default()
        };
        let long = Provenance {
            error: "ü".repeat(5000),
            ..provenance()
        };
        long.stamp(&mut envelope);
        let told = Provenance::of(&envelope).unwrap();
        assert!(told.error.len() <= MAX_ERROR && long.error.starts_with(&told.error[..100]));
    }
}
