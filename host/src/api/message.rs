//! Messages on their way in.

use std::fmt;
use std::time::Duration;

use gristmill_queue::id::InvalidMessageId;
use gristmill_queue::message::{Due, Priority};
use gristmill_queue::{Envelope, MessageId, NewMessage, QueueName, Timestamp};
use gristmill_store::{Accepted, Outgoing, TopicCopy};
use schemars::JsonSchema;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Problem;
pub use super::body::Body;
use crate::config::value::{self, Show};

/// Names and values in the order given, written as an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub Vec<(String, String)>);

impl Attributes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Attributes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Attributes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Attributes, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Attributes(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl JsonSchema for Attributes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Attributes".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "object",
            "description": "Names and values.",
            "additionalProperties": { "type": "string" },
        })
    }
}

/// A message that is to be sent, as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MessageIn {
    /// The queue or topic it goes to, where the address of the request does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// The body, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The body in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// The media type of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Names and values.
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// The ordering key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How long after acceptance it is due, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// When it is due, instead of a delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at_ms: Option<u64>,
    /// How long after acceptance it expires, such as `1h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
    /// 0 to 9, higher first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// Within the window of the queue, a second message with this id is not created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedup_id: Option<String>,
    /// Ties replies to requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The message that led to this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<String>,
    /// The queue for the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// What kind of message it is.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// The version of the body's schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_version: Option<String>,
    /// Who sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// W3C Trace Context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// W3C Trace Context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

impl MessageIn {
    /// The message that is meant, and where it goes: to `queue`, or to the one that it names itself.
    ///
    /// # Errors
    /// When a field has no meaning, or there is not one queue.
    pub fn into_outgoing(mut self, queue: Option<&QueueName>) -> Result<Outgoing, Problem> {
        let queue = match (queue, self.queue.take()) {
            (Some(queue), None) => queue.clone(),
            (None, Some(name)) => {
                QueueName::new(&name).map_err(|error| Problem::bad_request(error.to_string()))?
            }
            (Some(_), Some(_)) => {
                let detail =
                    "the address names the queue: leave it out here, or use /v1/messages/batch";
                return Err(Problem::bad_request(detail));
            }
            (None, None) => return Err(Problem::bad_request("a message needs its queue")),
        };
        let message = self.into_message()?;
        Ok(Outgoing { queue, message })
    }

    /// How a message is written that names where it goes.
    #[must_use]
    pub fn addressed(queue: &QueueName, message: NewMessage) -> Self {
        MessageIn {
            queue: Some(queue.to_string()),
            ..MessageIn::of(message)
        }
    }

    /// The message that is meant.
    ///
    /// # Errors
    /// When a field has no meaning. Limits are checked later, by the queue.
    pub fn into_message(self) -> Result<NewMessage, Problem> {
        let body = Body {
            body: self.body,
            body_base64: self.body_base64,
        };
        Ok(NewMessage {
            blob: None,
            body: body.into_bytes()?,
            envelope: Envelope {
                content_type: self.content_type,
                attributes: self.attributes.0,
                group: self.group,
                correlation_id: self.correlation_id,
                causation_id: self.causation_id.as_deref().map(causation_id).transpose()?,
                reply_to: self.reply_to.as_deref().map(reply_to).transpose()?,
                message_type: self.message_type,
                schema_version: self.schema_version,
                source: self.source,
                traceparent: self.traceparent,
                tracestate: self.tracestate,
                priority: self.priority.map(priority).transpose()?.unwrap_or_default(),
            },
            due: match (self.delay, self.due_at_ms) {
                (Some(_), Some(_)) => {
                    return Err(Problem::bad_request(
                        "a message has delay or due_at_ms, not both",
                    ));
                }
                (Some(text), None) => Due::After(duration("delay", &text)?),
                (None, Some(ms)) => Due::At(Timestamp::from_unix_ms(ms)),
                (None, None) => Due::Now,
            },
            ttl: self.ttl.map(|text| duration("ttl", &text)).transpose()?,
            dedup_id: self.dedup_id,
        })
    }

    /// How a message is written.
    #[must_use]
    pub fn of(message: NewMessage) -> Self {
        let Body { body, body_base64 } = Body::of(&message.body);
        let envelope = message.envelope;
        let priority = envelope.priority;
        let (delay, due_at) = match message.due {
            Due::Now => (None, None),
            Due::After(delay) => (Some(delay), None),
            Due::At(time) => (None, Some(time)),
        };
        MessageIn {
            queue: None,
            body,
            body_base64,
            content_type: envelope.content_type,
            attributes: Attributes(envelope.attributes),
            group: envelope.group,
            delay: delay.map(|delay| delay.show()),
            due_at_ms: due_at.map(Timestamp::unix_ms),
            ttl: message.ttl.map(|ttl| ttl.show()),
            priority: (priority != Priority::DEFAULT).then(|| priority.level()),
            dedup_id: message.dedup_id,
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id.map(|id| id.to_string()),
            reply_to: envelope.reply_to.map(|queue| queue.to_string()),
            message_type: envelope.message_type,
            schema_version: envelope.schema_version,
            source: envelope.source,
            traceparent: envelope.traceparent,
            tracestate: envelope.tracestate,
        }
    }
}

/// Reads a duration that stands in `field`.
///
/// # Errors
/// When it is none.
pub fn duration(field: &str, text: &str) -> Result<Duration, Problem> {
    value::duration(text).ok_or_else(|| {
        Problem::bad_request(format!(
            "{field} {text:?} is not a duration: write a number and a unit, such as 30s, 1h 30m or 14d"
        ))
    })
}

/// Checks a priority.
///
/// # Errors
/// When it is not 0 to 9.
pub fn priority(level: u8) -> Result<Priority, Problem> {
    Priority::new(level)
        .ok_or_else(|| Problem::bad_request(format!("priority {level} is not between 0 and 9")))
}

/// Checks the name of a queue for answers.
///
/// # Errors
/// When it is none.
pub fn reply_to(name: &str) -> Result<QueueName, Problem> {
    QueueName::new(name).map_err(|error| Problem::bad_request(format!("reply_to: {error}")))
}

/// Reads the id of the message that led to another.
///
/// # Errors
/// When it is none.
pub fn causation_id(text: &str) -> Result<MessageId, Problem> {
    text.parse()
        .map_err(|error: InvalidMessageId| Problem::bad_request(format!("causation_id: {error}")))
}

/// Several messages that are sent together: all or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchIn {
    /// The messages.
    pub messages: Vec<MessageIn>,
}

impl BatchIn {
    /// The messages that are meant, all to `queue`, or each to the one that it names itself.
    ///
    /// # Errors
    /// With the first that has no meaning.
    pub fn into_outgoing(self, queue: Option<&QueueName>) -> Result<Vec<Outgoing>, Problem> {
        let messages = self.messages.into_iter().enumerate();
        let read = |(at, message): (usize, MessageIn)| {
            message.into_outgoing(queue).map_err(|problem| {
                Problem::new(problem.code, format!("messages[{at}]: {}", problem.detail))
            })
        };
        messages.map(read).collect()
    }
}

/// A message that is durable in its queue, or in each queue of its topic that gets a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sent {
    /// Its id; the first one's if this one is a duplicate.
    pub id: String,
    /// A message with the same dedup id had been accepted within the window.
    pub duplicate: bool,
    /// It is a duplicate, but its body differs from the first one's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
    /// The copies, if it was sent to a topic; `id` is that of the first, and leads to nothing if
    /// there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copies: Option<Vec<CopySent>>,
}

/// A copy of what was sent to a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopySent {
    /// The queue it is in.
    pub queue: String,
    /// Its id; the first one's if this one is a duplicate.
    pub id: String,
    /// A message with the same dedup id had been accepted within the window of the queue.
    pub duplicate: bool,
    /// It is a duplicate, but its body differs from the first one's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conflict: bool,
}

impl From<gristmill_store::Sent> for Sent {
    fn from(sent: gristmill_store::Sent) -> Self {
        let copy = |copy: TopicCopy| CopySent {
            queue: copy.queue.to_string(),
            id: copy.accepted.id.to_string(),
            duplicate: copy.accepted.duplicate,
            conflict: copy.accepted.conflict,
        };
        Sent {
            copies: sent.copies.map(|all| all.into_iter().map(copy).collect()),
            ..sent.accepted.into()
        }
    }
}

impl From<Accepted> for Sent {
    fn from(accepted: Accepted) -> Self {
        Sent {
            id: accepted.id.to_string(),
            duplicate: accepted.duplicate,
            conflict: accepted.conflict,
            copies: None,
        }
    }
}

#[cfg(test)]
mod tests;
