//! The record of a message: written once when it is accepted, never changed.
//!
//! ```text
//! version u8 · xxh3-64 of (queue, sequence, all that follows) u64 · length of the envelope u32 · envelope · body
//! ```
//!
//! redb does not verify what it reads, so the record carries a checksum of its own, over the key
//! too: a page that was flipped, zeroed or put in another's place is found before it is delivered.
//! It covers the queue's name, which is not in the record, so that no damage elsewhere can lead a
//! message to another queue's handler.

use bytes::Bytes;
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::message::Priority;
use gristmill_queue::{Envelope, Message, MessageId, QueueName, Timestamp};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::blob;
use crate::tlv::{self, Fields, Malformed, Writer};

const VERSION: u8 = 1;
const HEADER: usize = 1 + 8 + 4;

mod tag {
    pub const ID: u8 = 1;
    pub const ENQUEUED_AT: u8 = 2;
    pub const EXPIRES_AT: u8 = 3;
    pub const CONTENT_TYPE: u8 = 4;
    pub const ATTRIBUTE_NAME: u8 = 5;
    pub const ATTRIBUTE_VALUE: u8 = 6;
    pub const GROUP: u8 = 7;
    pub const CORRELATION_ID: u8 = 8;
    pub const CAUSATION_ID: u8 = 9;
    pub const REPLY_TO: u8 = 10;
    pub const MESSAGE_TYPE: u8 = 11;
    pub const SCHEMA_VERSION: u8 = 12;
    pub const SOURCE: u8 = 13;
    pub const TRACEPARENT: u8 = 14;
    pub const TRACESTATE: u8 = 15;
    pub const PRIORITY: u8 = 16;
    pub const BLOB: u8 = 17;
}

/// Writes the record of a message.
pub(crate) fn encode(message: &Message) -> Vec<u8> {
    let mut record = Vec::with_capacity(HEADER + 64 + message.body.len());
    record.push(VERSION);
    record.extend_from_slice(&[0; 8 + 4]);
    encode_envelope(message, &mut Writer(&mut record));
    let envelope = u32::try_from(record.len() - HEADER).unwrap_or(u32::MAX);
    record[9..13].copy_from_slice(&envelope.to_le_bytes());
    record.extend_from_slice(&message.body);
    let checksum = checksum(message.id.sequence(), &message.queue, &record);
    record[1..9].copy_from_slice(&checksum.to_le_bytes());
    record
}

fn checksum(sequence: u64, queue: &QueueName, record: &[u8]) -> u64 {
    let place = xxh3_64_with_seed(queue.as_str().as_bytes(), sequence);
    xxh3_64_with_seed(&record[9..], place)
}

fn encode_envelope(message: &Message, to: &mut Writer<'_>) {
    let envelope = &message.envelope;
    to.bytes(tag::ID, &message.id.to_bytes());
    to.number(tag::ENQUEUED_AT, message.enqueued_at.unix_ms());
    if let Some(expires) = message.expires_at {
        to.number(tag::EXPIRES_AT, expires.unix_ms());
    }
    to.text(tag::CONTENT_TYPE, envelope.content_type.as_deref());
    for (name, value) in &envelope.attributes {
        to.text(tag::ATTRIBUTE_NAME, Some(name));
        to.text(tag::ATTRIBUTE_VALUE, Some(value));
    }
    to.text(tag::GROUP, envelope.group.as_deref());
    to.text(tag::CORRELATION_ID, envelope.correlation_id.as_deref());
    if let Some(cause) = envelope.causation_id {
        to.bytes(tag::CAUSATION_ID, &cause.to_bytes());
    }
    to.text(
        tag::REPLY_TO,
        envelope.reply_to.as_ref().map(QueueName::as_str),
    );
    to.text(tag::MESSAGE_TYPE, envelope.message_type.as_deref());
    to.text(tag::SCHEMA_VERSION, envelope.schema_version.as_deref());
    to.text(tag::SOURCE, envelope.source.as_deref());
    to.text(tag::TRACEPARENT, envelope.traceparent.as_deref());
    to.text(tag::TRACESTATE, envelope.tracestate.as_deref());
    if envelope.priority != Priority::DEFAULT {
        to.number(tag::PRIORITY, u64::from(envelope.priority.level()));
    }
    if let Some(blob) = &message.blob {
        to.bytes(tag::BLOB, &blob::encode(blob));
    }
}

/// Reads and verifies the record that stands under `sequence`.
pub(crate) fn decode(sequence: u64, queue: QueueName, record: &[u8]) -> Result<Message, Malformed> {
    if record.len() < HEADER || record[0] != VERSION {
        return Err(Malformed);
    }
    let found = u64::from_le_bytes(record[1..9].try_into().map_err(|_| Malformed)?);
    if checksum(sequence, &queue, record) != found && !is_planted(Bug::NotVerified) {
        return Err(Malformed);
    }
    let length = u32::from_le_bytes(record[9..13].try_into().map_err(|_| Malformed)?);
    let length = usize::try_from(length).map_err(|_| Malformed)?;
    let (fields, body) = record[HEADER..].split_at_checked(length).ok_or(Malformed)?;
    let mut message = Message {
        id: MessageId::from_bytes([0; 16]),
        queue,
        enqueued_at: Timestamp::ZERO,
        expires_at: None,
        envelope: Envelope::default(),
        body: Bytes::copy_from_slice(body),
        blob: None,
    };
    for field in Fields(fields) {
        let (tag, value) = field?;
        decode_field(&mut message, tag, value)?;
    }
    if message.id.sequence() == sequence {
        Ok(message)
    } else {
        Err(Malformed)
    }
}

fn decode_field(message: &mut Message, tag: u8, value: &[u8]) -> Result<(), Malformed> {
    let envelope = &mut message.envelope;
    match tag {
        tag::ID => message.id = id(value)?,
        tag::ENQUEUED_AT => message.enqueued_at = Timestamp::from_unix_ms(tlv::number(value)?),
        tag::EXPIRES_AT => message.expires_at = Some(Timestamp::from_unix_ms(tlv::number(value)?)),
        tag::CONTENT_TYPE => envelope.content_type = Some(tlv::text(value)?),
        tag::ATTRIBUTE_NAME => envelope.attributes.push((tlv::text(value)?, String::new())),
        tag::ATTRIBUTE_VALUE => {
            envelope.attributes.last_mut().ok_or(Malformed)?.1 = tlv::text(value)?;
        }
        tag::GROUP => envelope.group = Some(tlv::text(value)?),
        tag::CORRELATION_ID => envelope.correlation_id = Some(tlv::text(value)?),
        tag::CAUSATION_ID => envelope.causation_id = Some(id(value)?),
        tag::REPLY_TO => {
            envelope.reply_to = Some(QueueName::new(&tlv::text(value)?).map_err(|_| Malformed)?);
        }
        tag::MESSAGE_TYPE => envelope.message_type = Some(tlv::text(value)?),
        tag::SCHEMA_VERSION => envelope.schema_version = Some(tlv::text(value)?),
        tag::SOURCE => envelope.source = Some(tlv::text(value)?),
        tag::TRACEPARENT => envelope.traceparent = Some(tlv::text(value)?),
        tag::TRACESTATE => envelope.tracestate = Some(tlv::text(value)?),
        tag::PRIORITY => envelope.priority = Priority::new(tlv::small(value)?).ok_or(Malformed)?,
        tag::BLOB => message.blob = Some(blob::decode(value)?),
        _ => {}
    }
    Ok(())
}

fn id(value: &[u8]) -> Result<MessageId, Malformed> {
    value
        .try_into()
        .map(MessageId::from_bytes)
        .map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_queue::IdSource;

    fn message() -> Message {
        let ids = IdSource::new(77, 1);
        let now = Timestamp::from_unix_ms(1_763_640_000_000);
        Message {
            id: ids.mint(now),
            queue: QueueName::new("orders").unwrap(),
            enqueued_at: now,
            expires_at: Some(Timestamp::from_unix_ms(1_763_640_000_999)),
            envelope: Envelope {
                content_type: Some("application/json".into()),
                attributes: vec![("a".into(), "1".into()), ("ü".into(), String::new())],
                group: Some("customer-7".into()),
                correlation_id: Some("c".into()),
                causation_id: Some(ids.mint(now)),
                reply_to: Some(QueueName::new("answers").unwrap()),
                message_type: Some("order.placed".into()),
                schema_version: Some("2".into()),
                source: Some("shop".into()),
                traceparent: Some("00-1-2-01".into()),
                tracestate: Some("x=y".into()),
                priority: Priority::new(9).unwrap(),
            },
            body: Bytes::from_static(b"{\"n\":1}"),
            blob: Some(gristmill_queue::BlobRef {
                name: 1,
                size: 2,
                checksum: u64::MAX,
            }),
        }
    }

    #[test]
    fn a_record_reads_back_whole() {
        let message = message();
        let record = encode(&message);
        assert_eq!(decode(77, message.queue.clone(), &record), Ok(message));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let message = message();
        let record = encode(&message);
        for i in 0..record.len() {
            for bit in 0..8 {
                let mut damaged = record.clone();
                damaged[i] ^= 1 << bit;
                assert_eq!(
                    decode(77, message.queue.clone(), &damaged),
                    Err(Malformed),
                    "bit {bit} of byte {i}"
                );
            }
            assert_eq!(
                decode(77, message.queue.clone(), &record[..i]),
                Err(Malformed),
                "cut at {i}"
            );
        }
        assert_eq!(
            decode(78, message.queue, &record),
            Err(Malformed),
            "in another's place"
        );
        assert_eq!(
            decode(77, QueueName::new("invoices").unwrap(), &record),
            Err(Malformed),
            "in another queue"
        );
    }
}
