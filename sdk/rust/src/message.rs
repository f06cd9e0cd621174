//! The message that a handler is called with.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::{Failure, Outgoing, SendError, host};

/// Identifies a message: a UUID in its hyphenated form. The same on every delivery, never reused.
pub type MessageId = String;

/// A message as it is delivered.
///
/// Delivery is at least once, so a handler may see the same `id` again. What it sends and stores
/// counts only once all the same; for what it does outside the host, `id` is the idempotency key.
///
/// In tests, messages are made with [`Message::with_json`] and its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message {
    /// Identifies the message; use it as an idempotency key.
    pub id: MessageId,
    /// The queue it came from.
    pub queue: String,
    /// The payload, exactly as it was sent; empty if it is large and the handler uses
    /// [`Message::reader`].
    pub body: Vec<u8>,
    /// In tests, a body that is large.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) large: Option<Vec<u8>>,
    /// The media type of `body`, if the sender gave one.
    pub content_type: Option<String>,
    /// What the sender attached, in the order given; names are case-sensitive and unique.
    pub attributes: Vec<(String, String)>,
    /// The group (ordering key): messages of a group are delivered in order, one at a time.
    pub group: Option<String>,
    /// Ties replies to requests.
    pub correlation_id: Option<String>,
    /// The message whose handling led to this one, if a handler sent it.
    pub causation_id: Option<MessageId>,
    /// Where the sender wants an answer; see [`Message::reply`].
    pub reply_to: Option<String>,
    /// What kind of message this is, such as `order.placed`.
    pub message_type: Option<String>,
    /// The version of the schema that `body` follows.
    pub schema_version: Option<String>,
    /// Who sent it, such as the name or URI of a service.
    pub source: Option<String>,
    /// How urgent it is, 0 to 9, higher first; 4 unless the sender said otherwise.
    pub priority: u8,
    /// Trace context, if the sender gave one.
    pub trace: Option<TraceContext>,
    /// When its queue accepted it.
    pub enqueued_at: SystemTime,
    /// When it expires, if it does. A delivery that has begun is not cut short by that.
    pub expires_at: Option<SystemTime>,
    /// Which attempt this is: 1 on the first. Attempts that are not counted do not raise it.
    pub attempt: u32,
}

/// W3C Trace Context, for handlers that pass it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The value of the `traceparent` header.
    pub traceparent: String,
    /// The value of the `tracestate` header, empty if there is none.
    pub tracestate: String,
}

impl Message {
    /// The body, read as JSON. What is read may borrow from the message.
    ///
    /// # Errors
    /// A [`Failure::Reject`] that says what is wrong and where: a body never changes, so no
    /// repetition would help.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::reject(format!(
                "the body is not the JSON that this handler reads: {error}"
            ))
        })
    }

    /// The body, read as UTF-8 text.
    ///
    /// # Errors
    /// A [`Failure::Reject`] if it is not UTF-8.
    pub fn text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.body)
            .map_err(|error| Failure::reject(format!("the body is not UTF-8 text: {error}")))
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Answers to the queue that the sender named in `reply_to`, with the ack of this message.
    ///
    /// Needs no permission to send to that queue otherwise. The answer gets the correlation id of
    /// this message, or else its id, unless it has one of its own.
    ///
    /// # Errors
    /// [`SendError::NoRecipient`] if the sender wants no answer, or as [`send`](crate::send()).
    pub fn reply(&self, answer: impl Into<Outgoing>) -> Result<MessageId, SendError> {
        host::reply(&self.id, answer.into())
    }

    /// As [`Message::reply`], with a body of JSON.
    ///
    /// # Errors
    /// As [`Message::reply`], and [`SendError::NotJson`].
    pub fn reply_json<T: Serialize + ?Sized>(&self, answer: &T) -> Result<MessageId, SendError> {
        self.reply(Outgoing::json(answer)?)
    }
}

/// Making messages, for tests. They come from a queue `test`, have an id of their own kind, and are
/// at their first attempt.
impl Message {
    /// A message with this body and no content type.
    #[must_use]
    pub fn with_body(body: impl Into<Vec<u8>>) -> Self {
        Message {
            id: "00000000-0000-7000-8000-000000000001".to_owned(),
            queue: "test".to_owned(),
            body: body.into(),
            #[cfg(not(target_family = "wasm"))]
            large: None,
            content_type: None,
            attributes: Vec::new(),
            group: None,
            correlation_id: None,
            causation_id: None,
            reply_to: None,
            message_type: None,
            schema_version: None,
            source: None,
            priority: 4,
            trace: None,
            enqueued_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            expires_at: None,
            attempt: 1,
        }
    }

    /// A message with a body that is large, so that it is found only by [`Message::reader`].
    #[cfg(not(target_family = "wasm"))]
    #[must_use]
    pub fn with_large_body(body: impl Into<Vec<u8>>) -> Self {
        let mut message = Message::with_body([]);
        message.large = Some(body.into());
        message
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn whole_body(&self) -> &[u8] {
        self.large.as_deref().unwrap_or(&self.body)
    }

    /// A message with a body of text.
    #[must_use]
    pub fn with_text(text: &str) -> Self {
        let mut message = Message::with_body(text);
        message.content_type = Some("text/plain; charset=utf-8".to_owned());
        message
    }

    /// A message with a body of JSON.
    ///
    /// # Panics
    /// When the value cannot be written as JSON: a map whose keys are no strings, or a
    /// `Serialize` that fails.
    #[must_use]
    pub fn with_json<T: Serialize + ?Sized>(value: &T) -> Self {
        let body = serde_json::to_vec(value).expect("a value of a test can be written as JSON");
        let mut message = Message::with_body(body);
        message.content_type = Some("application/json".to_owned());
        message
    }

    /// The same message with another id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<MessageId>) -> Self {
        self.id = id.into();
        self
    }

    /// The same message at another attempt; the first is 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The same message with another attribute.
    #[must_use]
    pub fn with_attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// The same message in a group.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// The same message from a sender who wants an answer there.
    #[must_use]
    pub fn with_reply_to(mut self, queue: impl Into<String>) -> Self {
        self.reply_to = Some(queue.into());
        self
    }

    /// The same message with a content type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_not_the_json_expected_is_rejected_with_the_place() {
        let failure = Message::with_text("[1, x]").json::<Vec<u8>>().unwrap_err();
        assert!(matches!(failure, Failure::Reject { .. }), "{failure}");
        assert!(failure.to_string().contains("line 1 column 5"), "{failure}");
        assert_eq!(
            Message::with_json(&[1, 2]).json::<Vec<u8>>(),
            Ok(vec![1, 2])
        );
    }

    #[test]
    fn a_body_that_is_not_text_is_rejected() {
        let failure = Message::with_body([0xff]).text().unwrap_err();
        assert!(matches!(failure, Failure::Reject { .. }), "{failure}");
        assert_eq!(Message::with_text("ö").text(), Ok("ö"));
    }

    #[test]
    fn attributes_are_found_by_their_exact_name() {
        let message = Message::with_text("").with_attribute("Kind", "a");
        assert_eq!(message.attribute("Kind"), Some("a"));
        assert_eq!(message.attribute("kind"), None);
    }
}
