//! Which dead letters are meant: by what the index tells, and by what only the message does.

use gristmill_queue::provenance::Provenance;
use gristmill_queue::{Envelope, MessageId, Reason, Timestamp};

use crate::dead::DeadSummary;
use crate::tlv::{self, Fields, Malformed, Writer};

/// Which dead letters are meant: those of which all that is named here is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadFilter {
    /// Only these; all if empty.
    pub ids: Vec<MessageId>,
    /// Only those that died of this.
    pub reason: Option<Reason>,
    /// Only those that died alike.
    pub fingerprint: Option<u64>,
    /// Only those that died in a module whose SHA-256 begins so, in hexadecimal.
    pub handler: Option<String>,
    /// Only those that died at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that died before this time.
    pub until: Option<Timestamp>,
    /// Only those with all of these attributes.
    pub attributes: Vec<(String, String)>,
    /// Only those of this type.
    pub message_type: Option<String>,
    /// Only those from there.
    pub source: Option<String>,
}

impl DeadFilter {
    /// Whether a dead letter is meant, as far as the index tells.
    #[must_use]
    pub fn means(&self, summary: &DeadSummary) -> bool {
        let died_at = summary.died_at;
        (self.ids.is_empty() || self.ids.iter().any(|id| id.sequence() == summary.sequence))
            && self.reason.is_none_or(|reason| reason == summary.reason)
            && self
                .fingerprint
                .is_none_or(|fingerprint| fingerprint == summary.fingerprint)
            && self
                .handler
                .as_ref()
                .is_none_or(|prefix| summary.handler.starts_with(prefix.as_str()))
            && self.since.is_none_or(|since| died_at >= since)
            && self.until.is_none_or(|until| died_at < until)
    }

    /// Whether the index does not tell it all.
    #[must_use]
    pub fn asks_envelope(&self) -> bool {
        !self.attributes.is_empty() || self.message_type.is_some() || self.source.is_some()
    }

    /// Whether a message is meant, as far as its envelope tells.
    #[must_use]
    pub fn means_envelope(&self, envelope: &Envelope) -> bool {
        let is = |wanted: &Option<String>, found: &Option<String>| {
            wanted.is_none() || wanted.as_deref() == found.as_deref()
        };
        is(&self.message_type, &envelope.message_type)
            && is(&self.source, &envelope.source)
            && self
                .attributes
                .iter()
                .all(|(name, value)| envelope.attribute(name) == Some(value.as_str()))
    }

    /// Whether a message is meant that died elsewhere.
    pub(crate) fn means_returned(
        &self,
        sequence: u64,
        died: &Provenance,
        envelope: &Envelope,
    ) -> bool {
        self.means(&summary_of(sequence, died)) && self.means_envelope(envelope)
    }

    /// Writes it as a part of a record.
    pub(crate) fn encode(&self, to: &mut Writer<'_>) {
        for id in &self.ids {
            to.bytes(tag::ID, &id.to_bytes());
        }
        to.text(tag::REASON, self.reason.map(Reason::as_str));
        for (tag, number) in [
            (tag::FINGERPRINT, self.fingerprint),
            (tag::SINCE, self.since.map(Timestamp::unix_ms)),
            (tag::UNTIL, self.until.map(Timestamp::unix_ms)),
        ] {
            if let Some(number) = number {
                to.number(tag, number);
            }
        }
        to.text(tag::HANDLER, self.handler.as_deref());
        to.text(tag::TYPE, self.message_type.as_deref());
        to.text(tag::SOURCE, self.source.as_deref());
        for (name, value) in &self.attributes {
            to.text(tag::NAME, Some(name));
            to.text(tag::VALUE, Some(value));
        }
    }

    /// Reads what was written so.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut filter = DeadFilter::default();
        for field in Fields(bytes) {
            let (tag, value) = field?;
            let time = |value| tlv::number(value).map(Timestamp::from_unix_ms);
            match tag {
                tag::ID => {
                    let id = <[u8; 16]>::try_from(value).map_err(|_| Malformed)?;
                    filter.ids.push(MessageId::from_bytes(id));
                }
                tag::REASON => {
                    let reason = Reason::from_code(&tlv::text(value)?);
                    filter.reason = Some(reason.ok_or(Malformed)?);
                }
                tag::FINGERPRINT => filter.fingerprint = Some(tlv::number(value)?),
                tag::SINCE => filter.since = Some(time(value)?),
                tag::UNTIL => filter.until = Some(time(value)?),
                tag::HANDLER => filter.handler = Some(tlv::text(value)?),
                tag::TYPE => filter.message_type = Some(tlv::text(value)?),
                tag::SOURCE => filter.source = Some(tlv::text(value)?),
                tag::NAME => filter.attributes.push((tlv::text(value)?, String::new())),
                tag::VALUE => {
                    filter.attributes.last_mut().ok_or(Malformed)?.1 = tlv::text(value)?;
                }
                // What is not understood must not mean more than was asked for.
                _ => return Err(Malformed),
            }
        }
        Ok(filter)
    }
}

/// A message that died elsewhere, as though it were in the dead store.
pub(crate) fn summary_of(sequence: u64, died: &Provenance) -> DeadSummary {
    DeadSummary {
        sequence,
        died_at: died.died_at,
        forget_at: None,
        reason: died.reason,
        fingerprint: died.fingerprint,
        handler: died.handler.clone(),
    }
}

mod tag {
    pub const ID: u8 = 1;
    pub const REASON: u8 = 2;
    pub const FINGERPRINT: u8 = 3;
    pub const SINCE: u8 = 4;
    pub const UNTIL: u8 = 5;
    pub const HANDLER: u8 = 6;
    pub const TYPE: u8 = 7;
    pub const SOURCE: u8 = 8;
    pub const NAME: u8 = 9;
    pub const VALUE: u8 = 10;
}
