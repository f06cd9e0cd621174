//! One run of a handler against the fake.

use std::io;
use std::time::Duration;

use super::held::Held;
use super::{Sent, Setup, limits};
use crate::delivery::ExtendError;
use crate::{Message, MessageId, Outgoing, SendError, body};

/// The attempt in progress.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) setup: Setup,
    pub(crate) held: Held,
    pub(crate) progress: Option<(u8, String)>,
    pub(crate) ids: u64,
    messages: Vec<Request>,
}

/// What replies, and readers of its body, need to know of a message.
#[derive(Debug)]
struct Request {
    id: MessageId,
    body: Vec<u8>,
    reply_to: Option<String>,
    correlation_id: Option<String>,
}

impl Attempt {
    pub(crate) fn new(setup: Setup, held: Held, ids: u64, messages: &[Message]) -> Self {
        Attempt {
            setup,
            held,
            progress: None,
            ids,
            messages: messages
                .iter()
                .map(|message| Request {
                    id: message.id.clone(),
                    body: message.whole_body().to_vec(),
                    reply_to: message.reply_to.clone(),
                    correlation_id: message.correlation_id.clone(),
                })
                .collect(),
        }
    }

    pub(crate) fn send(&mut self, to: &str, message: Outgoing) -> Result<MessageId, SendError> {
        let max_body = match &self.setup.queues {
            None => limits::MAX_BODY,
            Some(queues) => *queues.get(to).ok_or_else(|| SendError::NotPermitted {
                queue: to.to_owned(),
            })?,
        };
        self.hold(to, max_body, message, false)
    }

    pub(crate) fn reply(&mut self, to: &str, message: Outgoing) -> Result<MessageId, SendError> {
        let request = self.messages.iter().find(|request| request.id == to);
        let request = request.ok_or(SendError::NoRecipient)?;
        let recipient = request.reply_to.clone().ok_or(SendError::NoRecipient)?;
        let tied = request.correlation_id.clone();
        let mut message = message;
        message.correlation_id = message
            .correlation_id
            .or_else(|| Some(tied.unwrap_or_else(|| to.to_owned())));
        let max_body = self.setup.queues.as_ref().and_then(|q| q.get(&recipient));
        let max_body = max_body.copied().unwrap_or(limits::MAX_BODY);
        self.hold(&recipient, max_body, message, true)
    }

    fn hold(
        &mut self,
        to: &str,
        max_body: u64,
        message: Outgoing,
        reply: bool,
    ) -> Result<MessageId, SendError> {
        let size = message.body.len() as u64;
        if size > max_body {
            return Err(SendError::TooLarge { limit: max_body });
        }
        check(&message).map_err(SendError::Invalid)?;
        if !self.held.has_room_for(size) {
            return Err(SendError::TooMany);
        }
        self.ids += 1;
        let id = format!("00000000-0000-7000-9000-{:012x}", self.ids);
        self.held.push(Sent {
            to: to.to_owned(),
            id: id.clone(),
            message,
            reply,
        });
        Ok(id)
    }

    pub(crate) fn body(&self, of: &str) -> io::Result<&[u8]> {
        let found = self.messages.iter().find(|request| request.id == of);
        let found = found.ok_or_else(|| io::Error::other(body::NOT_DELIVERED))?;
        Ok(&found.body)
    }

    pub(crate) fn mark(&mut self) -> u32 {
        self.held.mark()
    }

    pub(crate) fn rollback_to(&mut self, mark: u32) -> bool {
        self.held.rollback_to(mark)
    }

    pub(crate) fn extend(&mut self, need: Duration) -> Result<Duration, ExtendError> {
        if self.setup.ending {
            return Err(ExtendError::Ending);
        }
        if need > self.setup.max_remaining {
            return Err(ExtendError::LimitReached);
        }
        self.setup.remaining = self.setup.remaining.max(need);
        Ok(self.setup.remaining)
    }
}

/// The rules for the envelope of a message; says which one is broken.
fn check(message: &Outgoing) -> Result<(), String> {
    for (field, value) in [
        ("content_type", &message.content_type),
        ("group", &message.group),
        ("correlation_id", &message.correlation_id),
        ("type", &message.message_type),
        ("schema_version", &message.schema_version),
        ("dedup_id", &message.dedup_id),
    ] {
        let Some(value) = value else { continue };
        if value.is_empty() || value.len() > limits::MAX_ENVELOPE_FIELD {
            let (limit, size) = (limits::MAX_ENVELOPE_FIELD, value.len());
            return Err(format!(
                "{field} must have 1 to {limit} bytes, but has {size}"
            ));
        }
        if value.chars().any(char::is_control) {
            return Err(format!("{field} must not contain control characters"));
        }
    }
    if message.priority.is_some_and(|priority| priority > 9) {
        return Err("the priority must be 0 to 9".to_owned());
    }
    if message.ttl.is_some_and(|ttl| ttl.is_zero()) {
        return Err("ttl must be at least 1 ms".to_owned());
    }
    if message
        .ttl
        .is_some_and(|ttl| ttl <= message.delay.unwrap_or_default())
    {
        return Err("the message would expire before it is due".to_owned());
    }
    check_attributes(&message.attributes)
}

fn check_attributes(attributes: &[(String, String)]) -> Result<(), String> {
    let bytes: usize = attributes.iter().map(|(n, v)| n.len() + v.len()).sum();
    if attributes.len() > limits::MAX_ATTRIBUTES || bytes > limits::MAX_ATTRIBUTE_BYTES {
        return Err("a message has at most 64 attributes of 64 KiB together".to_owned());
    }
    for (i, (name, _)) in attributes.iter().enumerate() {
        let long = name.is_empty() || name.len() > limits::MAX_ATTRIBUTE_NAME;
        if long || name.chars().any(char::is_control) {
            return Err(format!(
                "attribute name {name:?} must have 1 to 256 bytes and no control characters"
            ));
        }
        if name.starts_with(limits::RESERVED_ATTRIBUTE_PREFIX) {
            return Err(format!("attribute name {name:?} is reserved"));
        }
        if attributes[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(format!("attribute {name:?} is given twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_of_the_envelope_refuses() {
        let fine = || Outgoing::text("x");
        assert_eq!(check(&fine()), Ok(()));
        let mut twice = fine();
        twice.attributes = vec![("a".into(), "1".into()), ("a".into(), "2".into())];
        let crowd = (0..65).fold(fine(), |m, i| m.attribute(format!("a{i}"), ""));
        let second = Duration::from_secs(1);
        for (message, expected) in [
            (fine().group(""), "group must have"),
            (fine().content_type("a\nb"), "control"),
            (fine().priority(10), "0 to 9"),
            (fine().ttl(Duration::ZERO), "at least 1 ms"),
            (fine().ttl(second).delay(second), "before it is due"),
            (fine().attribute("gristmill-x", ""), "reserved"),
            (fine().attribute("", ""), "1 to 256"),
            (twice, "twice"),
            (crowd, "at most 64"),
        ] {
            let said = check(&message).unwrap_err();
            assert!(said.contains(expected), "{said} should contain {expected}");
        }
    }
}
