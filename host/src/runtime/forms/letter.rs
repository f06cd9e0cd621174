//! A message as `wasi:messaging` has it: a resource with a body and metadata.
//!
//! What the draft has no field for is metadata whose name begins with `gristmill-`, in both directions.

use std::collections::HashMap;

use bytes::Bytes;
use gristmill_queue::message::Priority;
use gristmill_queue::{Message, MessageId, NewMessage, QueueName};

use super::facts::{OWN, facts};
use crate::runtime::instance::Call;

/// What is known of a message that came, and means nothing for one that is sent: it may be the same.
const OF_A_DELIVERY: [&str; 9] = [
    "id",
    "queue",
    "attempt",
    "max-attempts",
    "previous-failure",
    "source",
    "causation-id",
    "enqueued-at",
    "expires-at",
];

/// Bytes that the host holds for each value of metadata, beside its name and itself.
const ENTRY: usize = 96;

/// A message in the guest's hands.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// The queue that it came from.
    pub(super) topic: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) body: Bytes,
    pub(super) metadata: Vec<(String, String)>,
    /// The message of the delivery that it is.
    pub(super) of: Option<MessageId>,
}

impl Letter {
    /// The one that came.
    pub(super) fn received(call: &Call) -> Self {
        let [message, ..] = call.messages.all() else {
            return Letter::default();
        };
        Letter {
            topic: Some(message.queue.to_string()),
            content_type: message.envelope.content_type.clone(),
            body: message.body.clone(),
            metadata: metadata(message, call),
            of: Some(message.id),
        }
    }

    /// Bytes of it that the host holds.
    pub(super) fn size(&self) -> u64 {
        let metadata = self.metadata.iter();
        let metadata: usize = metadata
            .map(|(name, value)| ENTRY + name.len() + value.len())
            .sum();
        let kind = self.content_type.as_ref().map_or(0, String::len);
        (self.body.len() + metadata + kind) as u64
    }

    /// Sets a value, also if there is one already.
    pub(super) fn set(&mut self, name: String, value: String) {
        match self.metadata.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.metadata.push((name, value)),
        }
    }

    /// Sets all values, of names that occur twice the last one. A guest may name very many in one call,
    /// which nothing interrupts, so none is looked for among the others.
    pub(super) fn set_all(&mut self, all: Vec<(String, String)>) {
        let mut places: HashMap<String, usize> = HashMap::with_capacity(all.len());
        self.metadata.clear();
        for (name, value) in all {
            match places.get(&name) {
                Some(&place) => self.metadata[place].1 = value,
                None => {
                    places.insert(name.clone(), self.metadata.len());
                    self.metadata.push((name, value));
                }
            }
        }
    }

    /// The message that it means when it is sent.
    pub(super) fn into_message(self) -> Result<NewMessage, String> {
        let mut message = NewMessage {
            body: self.body,
            ..NewMessage::default()
        };
        message.envelope.content_type = self.content_type;
        for (name, value) in self.metadata {
            match name.strip_prefix(OWN) {
                Some(own) => set_own(&mut message, own, value)?,
                None => message.envelope.attributes.push((name, value)),
            }
        }
        Ok(message)
    }
}

fn metadata(message: &Message, call: &Call) -> Vec<(String, String)> {
    let attributes = message.envelope.attributes.iter().cloned();
    attributes.chain(facts(message, call)).collect()
}

fn set_own(message: &mut NewMessage, name: &str, value: String) -> Result<(), String> {
    let envelope = &mut message.envelope;
    match name {
        "type" => envelope.message_type = Some(value),
        "schema-version" => envelope.schema_version = Some(value),
        "group" => envelope.group = Some(value),
        "correlation-id" => envelope.correlation_id = Some(value),
        "dedup-id" => message.dedup_id = Some(value),
        "reply-to" => {
            let queue =
                QueueName::new(&value).map_err(|error| format!("gristmill-reply-to: {error}"))?;
            envelope.reply_to = Some(queue);
        }
        "priority" => {
            let level = value.parse().ok().and_then(Priority::new);
            envelope.priority = level
                .ok_or_else(|| format!("gristmill-priority must be 0 to 9, but is {value:?}"))?;
        }
        _ if OF_A_DELIVERY.contains(&name) => {}
        _ => {
            return Err(format!(
                "metadata {OWN}{name} means nothing to this host: other names are attributes"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_name_that_is_set_twice_the_last_value_counts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut letter = Letter::default();
        letter.set("old".to_owned(), "gone".to_owned());
        letter.set_all(vec![pair("a", "1"), pair("b", "2"), pair("a", "3")]);
        assert_eq!(letter.metadata, [pair("a", "3"), pair("b", "2")]);
    }

    #[test]
    fn what_the_host_holds_for_each_value_counts_too() {
        let mut letter = Letter::default();
        letter.set_all((0..1000).map(|n| (n.to_string(), String::new())).collect());
        assert!(letter.size() > 1000 * 90, "{}", letter.size());
    }

    #[test]
    fn metadata_is_attributes_and_what_the_draft_has_no_field_for() {
        let mut letter = Letter::default();
        for (name, value) in [
            ("colour", "red"),
            ("gristmill-group", "g"),
            ("gristmill-priority", "9"),
            ("gristmill-attempt", "3"),
            ("gristmill-reply-to", "answers"),
            ("colour", "green"),
        ] {
            letter.set(name.to_owned(), value.to_owned());
        }
        let message = letter.clone().into_message().unwrap();
        assert_eq!(
            message.envelope.attributes,
            [("colour".to_owned(), "green".to_owned())]
        );
        assert_eq!(message.envelope.group.as_deref(), Some("g"));
        assert_eq!(message.envelope.priority.level(), 9);
        assert_eq!(message.envelope.reply_to.unwrap().as_str(), "answers");
        for (name, value, complaint) in [
            ("gristmill-priority", "10", "must be 0 to 9"),
            ("gristmill-reply-to", "a b", "gristmill-reply-to"),
            ("gristmill-colour", "red", "means nothing"),
        ] {
            let mut letter = letter.clone();
            letter.set(name.to_owned(), value.to_owned());
            assert!(letter.into_message().unwrap_err().contains(complaint));
        }
    }
}
