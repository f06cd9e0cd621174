//! What a handler sends.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::{MessageId, host};

/// A message to be sent.
///
/// ```
/// # use std::time::Duration;
/// # use gristmill_sdk::prelude::*;
/// # fn handle(_: Message) -> Result<(), Failure> {
/// Outgoing::json(&json!({ "order": 7 }))?
///     .attribute("kind", "reminder")
///     .group("customer-12")
///     .delay(Duration::from_secs(3600))
///     .send_to("reminders")?;
/// # Ok(())
/// # }
/// # let mut delivery = gristmill_sdk::testing::Delivery::new();
/// # delivery.run(handle, Message::with_text("")).unwrap();
/// # assert_eq!(delivery.sent()[0].message.group.as_deref(), Some("customer-12"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "a message is sent only by `send_to`, `send` or `Message::reply`"]
pub struct Outgoing {
    /// The payload. A queue takes at most 256 KiB unless it is configured otherwise.
    pub body: Vec<u8>,
    /// The media type of `body`.
    pub content_type: Option<String>,
    /// Names and values: at most 64, of 64 KiB together.
    pub attributes: Vec<(String, String)>,
    /// The group (ordering key).
    pub group: Option<String>,
    /// Ties this message to others.
    pub correlation_id: Option<String>,
    /// Where to send an answer.
    pub reply_to: Option<String>,
    /// What kind of message this is.
    pub message_type: Option<String>,
    /// The version of the schema that `body` follows.
    pub schema_version: Option<String>,
    /// How urgent it is, 0 to 9, higher first; 4 if `None`. Ignored inside a group.
    pub priority: Option<u8>,
    /// If the destination accepted a message with this id within its deduplication window, this
    /// one is dropped.
    pub dedup_id: Option<String>,
    /// Hold it back for this long after the ack, in whole milliseconds.
    pub delay: Option<Duration>,
    /// Let it expire this long after the ack, in whole milliseconds; longer than `delay`.
    pub ttl: Option<Duration>,
}

impl Outgoing {
    /// A message with this body and no content type.
    pub fn bytes(body: impl Into<Vec<u8>>) -> Self {
        Outgoing {
            body: body.into(),
            ..Outgoing::default()
        }
    }

    /// A message of text.
    pub fn text(text: impl Into<String>) -> Self {
        Outgoing::bytes(text.into()).content_type("text/plain; charset=utf-8")
    }

    /// A message of JSON.
    ///
    /// # Errors
    /// [`SendError::NotJson`] if the value cannot be written as JSON.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, SendError> {
        let body =
            serde_json::to_vec(value).map_err(|error| SendError::NotJson(error.to_string()))?;
        Ok(Outgoing::bytes(body).content_type("application/json"))
    }

    /// Sets the media type of the body.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Attaches an attribute, in place of an earlier one of that name. Names that start with
    /// `gristmill-` are reserved.
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.attributes.retain(|(earlier, _)| *earlier != name);
        self.attributes.push((name, value.into()));
        self
    }

    /// Puts the message into a group.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Ties the message to others.
    pub fn correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Asks for an answer to this queue.
    pub fn reply_to(mut self, queue: impl Into<String>) -> Self {
        self.reply_to = Some(queue.into());
        self
    }

    /// Says what kind of message this is.
    pub fn message_type(mut self, kind: impl Into<String>) -> Self {
        self.message_type = Some(kind.into());
        self
    }

    /// Says which version of its schema the body follows.
    pub fn schema_version(mut self, version: impl Into<String>) -> Self {
        self.schema_version = Some(version.into());
        self
    }

    /// Sets the priority, 0 to 9, higher first. Any other number is refused when the message is
    /// sent.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = Some(priority);
        self
    }

    /// Sets the deduplication id.
    pub fn dedup_id(mut self, id: impl Into<String>) -> Self {
        self.dedup_id = Some(id.into());
        self
    }

    /// Holds the message back for so long after the ack.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Lets the message expire so long after the ack.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sends the message with the ack of this delivery; see [`send`].
    ///
    /// # Errors
    /// As [`send`].
    pub fn send_to(self, queue: &str) -> Result<MessageId, SendError> {
        host::send(queue, self)
    }
}

impl From<Vec<u8>> for Outgoing {
    fn from(body: Vec<u8>) -> Self {
        Outgoing::bytes(body)
    }
}

impl From<&[u8]> for Outgoing {
    fn from(body: &[u8]) -> Self {
        Outgoing::bytes(body)
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Outgoing::text(text)
    }
}

impl From<&str> for Outgoing {
    fn from(text: &str) -> Self {
        Outgoing::text(text)
    }
}

impl From<serde_json::Value> for Outgoing {
    fn from(value: serde_json::Value) -> Self {
        Outgoing::bytes(value.to_string()).content_type("application/json")
    }
}

/// Sends a message to a queue, with the ack of this delivery: if the message in hand is not
/// acknowledged, nothing is sent.
///
/// Takes an [`Outgoing`], bytes, a text, or what [`json!`](crate::json) makes. A delivery sends at
/// most 100 messages of 4 MiB together, unless the handler is configured otherwise. Whether the
/// queue has room is seen at the ack; if it has none, the delivery is repeated later, uncounted.
///
/// ```
/// use gristmill_sdk::prelude::*;
///
/// #[handler]
/// fn handle(message: Message) -> Result<(), Failure> {
///     send("audit", json!({ "seen": message.id }))?;
///     Ok(())
/// }
/// # fn main() {
/// # let mut delivery = gristmill_sdk::testing::Delivery::new();
/// # delivery.run(handle, Message::with_text("")).unwrap();
/// # assert_eq!(delivery.sent().len(), 1);
/// # }
/// ```
///
/// # Errors
/// See [`SendError`].
pub fn send(queue: &str, message: impl Into<Outgoing>) -> Result<MessageId, SendError> {
    host::send(queue, message.into())
}

/// Sends a value as JSON; otherwise as [`send`].
///
/// # Errors
/// As [`send`], and [`SendError::NotJson`].
pub fn send_json<T: Serialize + ?Sized>(queue: &str, value: &T) -> Result<MessageId, SendError> {
    host::send(queue, Outgoing::json(value)?)
}

/// Why a message cannot be sent.
///
/// With `?` it becomes a retry, even where no repetition helps by itself: a missing grant or a
/// limit is cured in the configuration, and until then the message in hand must not be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// There is no such queue, or this handler may not send to it; the two are not told apart.
    NotPermitted {
        /// The queue; empty if it was a reply, which is forbidden to this handler.
        queue: String,
    },
    /// A reply to a message whose sender wants none, or that is not part of this delivery.
    NoRecipient,
    /// The body is too large for the queue.
    TooLarge {
        /// The most bytes that it takes.
        limit: u64,
    },
    /// The delivery has sent as many messages or bytes as it may.
    TooMany,
    /// The message is malformed in some other way; the text says which.
    Invalid(String),
    /// The value cannot be written as JSON; the text says why.
    NotJson(String),
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendError::NotPermitted { queue } if queue.is_empty() => f.write_str(
                "this handler may not reply: allow it in the configuration of the handler",
            ),
            SendError::NotPermitted { queue } => write!(
                f,
                "cannot send to {queue:?}: there is no such queue, or this handler may not send to it; grant it in the configuration of the handler"
            ),
            SendError::NoRecipient => f.write_str(
                "cannot reply: the sender named no queue for an answer, or the message is not the one in hand",
            ),
            SendError::TooLarge { limit } => write!(
                f,
                "the body is too large to send: the queue takes at most {limit} bytes"
            ),
            SendError::TooMany => f.write_str(
                "this delivery has sent as many messages or bytes as it may: raise the limit in the configuration of the handler, or leave the rest to a message sent to its own queue",
            ),
            SendError::Invalid(problem) => write!(f, "the message cannot be sent: {problem}"),
            SendError::NotJson(problem) => {
                write!(f, "the value to be sent cannot be written as JSON: {problem}")
            }
        }
    }
}

impl Error for SendError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn what_can_be_sent_brings_its_content_type() {
        let table: [(Outgoing, Option<&str>, &[u8]); 4] = [
            (vec![1u8].into(), None, &[1]),
            ("a".into(), Some("text/plain; charset=utf-8"), b"a"),
            (
                serde_json::json!([1]).into(),
                Some("application/json"),
                b"[1]",
            ),
            (
                Outgoing::bytes("x").content_type("image/png"),
                Some("image/png"),
                b"x",
            ),
        ];
        for (outgoing, content_type, body) in table {
            assert_eq!(outgoing.content_type.as_deref(), content_type);
            assert_eq!(outgoing.body, body);
        }
    }

    #[test]
    fn an_attribute_given_again_replaces_the_first() {
        let outgoing = Outgoing::text("")
            .attribute("a", "1")
            .attribute("b", "2")
            .attribute("a", "3");
        let expected = [("b", "2"), ("a", "3")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(outgoing.attributes, expected);
    }

    #[test]
    fn a_value_that_json_cannot_hold_is_an_error_and_not_a_panic() {
        let keys_are_no_strings = BTreeMap::from([((1, 2), 3)]);
        assert!(matches!(
            Outgoing::json(&keys_are_no_strings),
            Err(SendError::NotJson(_))
        ));
    }
}
