//! A message of a script as the store is sent it.

use std::time::Duration;

use gristmill_queue::message::{Due, Priority};
use gristmill_queue::{Envelope, NewMessage};

use super::script::{NOWHERE, QUEUES, Sending};

pub fn new_message(sending: &Sending, body: &[u8]) -> NewMessage {
    NewMessage {
        body: body.to_vec().into(),
        blob: None,
        envelope: Envelope {
            group: sending.group.map(|group| format!("g{group}")),
            attributes: key_of(sending)
                .map(|key| ("tenant".to_owned(), key))
                .into_iter()
                .collect(),
            priority: Priority::new(sending.priority).unwrap(),
            ..Envelope::default()
        },
        due: match sending.delay_ms {
            0 => Due::Now,
            delay => Due::After(Duration::from_millis(delay)),
        },
        ttl: sending.ttl_ms.map(Duration::from_millis),
        dedup_id: sending.dedup.map(|key| format!("key {key}")),
    }
}

/// The value of the attribute that some queues have as their key.
pub fn key_of(sending: &Sending) -> Option<String> {
    sending.key.map(|key| format!("t{key}"))
}

pub fn queue_of(sending: &Sending) -> &'static str {
    QUEUES.get(sending.queue).unwrap_or(&NOWHERE)
}
