//! What is sent and what is delivered.

use std::time::Duration;

use bytes::Bytes;

use crate::blob::BlobRef;
use crate::limits;
use crate::trace::{self, InvalidTrace};
use crate::{MessageId, QueueName, Timestamp};

/// How urgent a message is: 0 to 9, higher first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

impl Priority {
    /// The priority of a message that names none.
    pub const DEFAULT: Priority = Priority(4);
    /// How many priorities there are.
    pub const COUNT: usize = 10;

    /// A priority from 0 to 9, or `None` for any other number.
    #[must_use]
    pub fn new(level: u8) -> Option<Self> {
        (level <= 9).then_some(Priority(level))
    }

    /// 0 to 9.
    #[must_use]
    pub fn level(self) -> u8 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a sender says about a message, beside its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The media type of the body.
    pub content_type: Option<String>,
    /// Names and values, in the order given; names are unique.
    pub attributes: Vec<(String, String)>,
    /// The ordering key: messages of a queue with the same group are handled in order, one at a time.
    pub group: Option<String>,
    /// Ties replies to requests.
    pub correlation_id: Option<String>,
    /// The message whose handling led to this one. Set by the host for what handlers send.
    pub causation_id: Option<MessageId>,
    /// Where the sender wants an answer.
    pub reply_to: Option<QueueName>,
    /// What kind of message this is, such as `order.placed`.
    pub message_type: Option<String>,
    /// The version of the body's schema.
    pub schema_version: Option<String>,
    /// Who sent it, such as a service's name or URI.
    pub source: Option<String>,
    /// The `traceparent` of W3C Trace Context.
    pub traceparent: Option<String>,
    /// The `tracestate` of W3C Trace Context.
    pub tracestate: Option<String>,
    /// How urgent it is; ignored inside a group.
    pub priority: Priority,
}

/// A message as it is kept and delivered. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Identifies it.
    pub id: MessageId,
    /// The queue it waits in.
    pub queue: QueueName,
    /// When it was accepted.
    pub enqueued_at: Timestamp,
    /// When it expires, if it does.
    pub expires_at: Option<Timestamp>,
    /// What its sender said about it.
    pub envelope: Envelope,
    /// The payload, exactly as sent; empty if it is stored aside.
    pub body: Bytes,
    /// The payload, if it is stored aside because it is large.
    pub blob: Option<BlobRef>,
}

impl Message {
    /// Bytes of the payload, wherever it is.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blob.map_or(self.body.len() as u64, |blob| blob.size)
    }
}

/// When a new message is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Due {
    /// As soon as it is accepted.
    #[default]
    Now,
    /// This long after it is accepted.
    After(Duration),
    /// At this time, or at once if that is past.
    At(Timestamp),
}

impl Due {
    /// When that is, said at `now`.
    #[must_use]
    pub fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Due::Now => now,
            Due::After(delay) => now.after(delay),
            Due::At(time) => time.max(now),
        }
    }
}

/// A message that is to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewMessage {
    /// The payload; empty if it is stored aside.
    pub body: Bytes,
    /// The payload, if it was stored aside already because it is large.
    pub blob: Option<BlobRef>,
    /// What the sender says about it.
    pub envelope: Envelope,
    /// When it is due.
    pub due: Due,
    /// How long after acceptance it expires.
    pub ttl: Option<Duration>,
    /// Within the deduplication window of the queue, a second message with this id is not created.
    pub dedup_id: Option<String>,
}

/// Why a message is refused before anything is stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMessage {
    /// The body is too large.
    #[error(
        "the body has {size} bytes, but the queue takes at most {limit}: send less, or raise max_message_size"
    )]
    BodyTooLarge {
        /// Its size.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// One of the envelope's fields is too long or empty.
    #[error("{field} must have 1 to {limit} bytes, but has {size}")]
    Field {
        /// Which field.
        field: &'static str,
        /// Its size in bytes.
        size: usize,
        /// The most allowed.
        limit: usize,
    },
    /// A field has a control character.
    #[error("{field} must not contain control characters")]
    ControlCharacter {
        /// Which field.
        field: &'static str,
    },
    /// The trace context is malformed.
    #[error(transparent)]
    Trace(#[from] InvalidTrace),
    /// An attribute's name is malformed.
    #[error("attribute name {name:?} must have 1 to {limit} bytes and no control characters", limit = limits::MAX_ATTRIBUTE_NAME)]
    AttributeName {
        /// The name, cut short.
        name: String,
    },
    /// An attribute's name is Gristmill's own.
    #[error("attribute name {name:?} is reserved: choose one that does not start with \"{prefix}\"", prefix = limits::RESERVED_ATTRIBUTE_PREFIX)]
    ReservedAttribute {
        /// The name.
        name: String,
    },
    /// An attribute is given twice.
    #[error("attribute {name:?} is given twice")]
    DuplicateAttribute {
        /// The name.
        name: String,
    },
    /// There are too many attributes, or they are too large together.
    #[error("a message has at most {count} attributes of {bytes} bytes together", count = limits::MAX_ATTRIBUTES, bytes = limits::MAX_ATTRIBUTE_BYTES)]
    TooManyAttributes,
    /// The time-to-live is out of range.
    #[error("ttl must be between 1 ms and 100 years")]
    Ttl,
    /// The message would expire before it is due.
    #[error("the message would expire before it is due: make ttl longer than the delay")]
    DelayBeyondTtl,
}

impl NewMessage {
    /// A message with this body and nothing else.
    #[must_use]
    pub fn with_body(body: impl Into<Bytes>) -> Self {
        NewMessage {
            body: body.into(),
            ..NewMessage::default()
        }
    }

    /// Bytes of the payload, wherever it is.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.blob.map_or(self.body.len() as u64, |blob| blob.size)
    }

    /// When the message is due if it is accepted at `now`.
    #[must_use]
    pub fn due_at(&self, now: Timestamp) -> Timestamp {
        self.due.at(now)
    }

    /// When the message expires if it is accepted at `now`.
    #[must_use]
    pub fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.ttl.map(|ttl| now.after(ttl))
    }

    /// Checks every limit on a message; `max_body` is the queue's.
    ///
    /// # Errors
    /// With the first limit that is broken.
    pub fn check(&self, max_body: u64, now: Timestamp) -> Result<(), InvalidMessage> {
        let size = self.size();
        if size > max_body {
            return Err(InvalidMessage::BodyTooLarge {
                size,
                limit: max_body,
            });
        }
        self.envelope.check()?;
        check_field("dedup_id", self.dedup_id.as_deref())?;
        if let Some(ttl) = self.ttl {
            if ttl < limits::TTL_RANGE.0 || ttl > limits::TTL_RANGE.1 {
                return Err(InvalidMessage::Ttl);
            }
            if self.due_at(now) >= now.after(ttl) {
                return Err(InvalidMessage::DelayBeyondTtl);
            }
        }
        Ok(())
    }
}

impl Envelope {
    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// Adds an attribute of Gristmill's own, whose name is reserved: for what was checked before.
    pub fn stamp(&mut self, name: &str, value: &str) {
        debug_assert!(name.starts_with(limits::RESERVED_ATTRIBUTE_PREFIX));
        self.attributes.push((name.to_owned(), value.to_owned()));
    }

    fn check(&self) -> Result<(), InvalidMessage> {
        for (field, value) in [
            ("content_type", &self.content_type),
            ("group", &self.group),
            ("correlation_id", &self.correlation_id),
            ("type", &self.message_type),
            ("schema_version", &self.schema_version),
            ("source", &self.source),
            ("traceparent", &self.traceparent),
        ] {
            check_field(field, value.as_deref())?;
        }
        if let Some(parent) = &self.traceparent {
            trace::check_parent(parent)?;
        }
        if let Some(state) = self.tracestate.as_deref().filter(|state| !state.is_empty()) {
            check_field("tracestate", Some(state))?;
            trace::check_state(state)?;
            if self.traceparent.is_none() {
                return Err(InvalidTrace::StateAlone.into());
            }
        }
        self.check_attributes()
    }

    fn check_attributes(&self) -> Result<(), InvalidMessage> {
        let bytes: usize = self.attributes.iter().map(|(n, v)| n.len() + v.len()).sum();
        if self.attributes.len() > limits::MAX_ATTRIBUTES || bytes > limits::MAX_ATTRIBUTE_BYTES {
            return Err(InvalidMessage::TooManyAttributes);
        }
        for (i, (name, _)) in self.attributes.iter().enumerate() {
            if name.is_empty()
                || name.len() > limits::MAX_ATTRIBUTE_NAME
                || name.chars().any(char::is_control)
            {
                return Err(InvalidMessage::AttributeName {
                    name: name.chars().take(100).collect(),
                });
            }
            if name.starts_with(limits::RESERVED_ATTRIBUTE_PREFIX) {
                return Err(InvalidMessage::ReservedAttribute { name: name.clone() });
            }
            if self.attributes[..i]
                .iter()
                .any(|(earlier, _)| earlier == name)
            {
                return Err(InvalidMessage::DuplicateAttribute { name: name.clone() });
            }
        }
        Ok(())
    }
}

fn check_field(field: &'static str, value: Option<&str>) -> Result<(), InvalidMessage> {
    let Some(value) = value else { return Ok(()) };
    if value.is_empty() || value.len() > limits::MAX_ENVELOPE_FIELD {
        return Err(InvalidMessage::Field {
            field,
            size: value.len(),
            limit: limits::MAX_ENVELOPE_FIELD,
        });
    }
    if value.chars().any(char::is_control) {
        return Err(InvalidMessage::ControlCharacter { field });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
