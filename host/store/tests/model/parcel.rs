//! A message of a script on its way into the store, and as the store is sent it.

use std::time::Duration;

use gristmill_queue::message::{Due, Priority};
use gristmill_queue::{Envelope, MessageId, NewMessage};
use gristmill_store::Outgoing;

use super::rig::name;
use super::script::{NOWHERE, QUEUES, Sending, TOPICS};

/// The attribute by which a script tells its messages apart; copies have it in common.
pub const SERIAL: &str = "serial";

/// What is sent, and where to.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// A queue or a topic.
    pub to: String,
    pub sending: Sending,
    pub body: Vec<u8>,
    pub serial: u64,
    pub correlation: Option<String>,
    /// The tick that it is sent for.
    pub tick: Option<u64>,
}

/// A parcel that a handler has sent, and that nobody sees before the ack.
#[derive(Clone, Debug)]
pub struct Held {
    pub id: MessageId,
    pub parcel: Parcel,
}

impl Parcel {
    pub fn new(sending: &Sending, serial: u64) -> Self {
        Parcel {
            to: destination(sending).to_owned(),
            body: body(sending, serial),
            sending: sending.clone(),
            serial,
            correlation: None,
            tick: None,
        }
    }

    /// The media type, which is a part of the content.
    pub fn content_type(&self) -> Option<String> {
        let other = self.sending.same.is_some_and(|same| same & 2 != 0);
        other.then(|| "text/plain".to_owned())
    }

    pub fn message(&self) -> NewMessage {
        let sending = &self.sending;
        let tenant = key_of(sending).map(|key| ("tenant".to_owned(), key));
        let serial = (SERIAL.to_owned(), self.serial.to_string());
        NewMessage {
            body: self.body.clone().into(),
            blob: None,
            envelope: Envelope {
                group: sending.group.map(|group| format!("g{group}")),
                attributes: tenant.into_iter().chain([serial]).collect(),
                priority: Priority::new(sending.priority).unwrap(),
                correlation_id: self.correlation.clone(),
                content_type: self.content_type(),
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

    pub fn outgoing(&self) -> Outgoing {
        Outgoing {
            queue: name(&self.to),
            message: self.message(),
        }
    }
}

/// The value of the attribute that some queues have as their key.
pub fn key_of(sending: &Sending) -> Option<String> {
    sending.key.map(|key| format!("t{key}"))
}

fn destination(sending: &Sending) -> &'static str {
    let mut all = QUEUES.iter().chain(&TOPICS);
    all.nth(sending.to).unwrap_or(&NOWHERE)
}

/// Bodies are told apart, unless they are to be the same, or are sent with a dedup id: then a repeat
/// may have the same.
fn body(sending: &Sending, serial: u64) -> Vec<u8> {
    let (text, size) = match (sending.same, sending.dedup) {
        // One that is short and one that is large.
        (Some(same), _) => (format!("s{}", same & 1), usize::from(same & 1) * 15),
        (None, Some(key)) => (format!("d{key}"), sending.size),
        (None, None) => (format!("{serial}"), sending.size),
    };
    let mut body = text.into_bytes();
    body.resize(body.len().max(size), b'.');
    body
}
