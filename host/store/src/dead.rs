//! Dead letters, and the history of attempts that leads to them.

use std::time::Duration;

use gristmill_queue::outcome::{AttemptRecord, Diagnostics, Usage};
use gristmill_queue::{Counters, Message, Reason, Timestamp};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::check;
use crate::tlv::{self, Fields, Malformed, Writer};

/// A message that died, with all that is known about why.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// The message, whole.
    pub message: Message,
    /// When it died.
    pub died_at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// In words.
    pub error: String,
    /// Groups letters that died alike.
    pub fingerprint: u64,
    /// What was counted.
    pub counters: Counters,
    /// Its number in the order of acceptance, which is its place when it is redriven.
    pub ordinal: u64,
    /// The ended attempts, oldest first, at most [`MAX_HISTORY`](gristmill_queue::limits::MAX_HISTORY).
    pub attempts: Vec<AttemptRecord>,
    /// What the sandbox left behind at the last attempt.
    pub diagnostics: Diagnostics,
    /// SHA-256 of the handler's module, in hexadecimal; empty if none ran.
    pub handler: String,
    /// The fingerprint of the handler's configuration.
    pub config: String,
}

/// A dead letter in a list: enough to find the one that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadSummary {
    /// The message's place in the store, which is also in its id.
    pub sequence: u64,
    /// When it died.
    pub died_at: Timestamp,
    /// When it is forgotten.
    pub forget_at: Option<Timestamp>,
    /// Why it died.
    pub reason: Reason,
    /// Groups letters that died alike.
    pub fingerprint: u64,
    /// SHA-256 of the handler's module, in hexadecimal; empty if none ran.
    pub handler: String,
}

mod tag {
    pub const RECORD: u8 = 1;
    pub const DIED_AT: u8 = 2;
    pub const REASON: u8 = 3;
    pub const ERROR: u8 = 4;
    pub const FINGERPRINT: u8 = 5;
    pub const ATTEMPTS: u8 = 6;
    pub const POSTPONED: u8 = 7;
    pub const CRASHES: u8 = 8;
    pub const REDRIVEN: u8 = 9;
    pub const ATTEMPT: u8 = 10;
    pub const FRAME: u8 = 11;
    pub const OUTPUT: u8 = 12;
    pub const OUTPUT_DROPPED: u8 = 13;
    pub const HANDLER: u8 = 14;
    pub const CONFIG: u8 = 15;
    pub const ORDINAL: u8 = 16;

    pub const A_NUMBER: u8 = 1;
    pub const A_STARTED: u8 = 2;
    pub const A_REASON: u8 = 3;
    pub const A_ERROR: u8 = 4;
    pub const A_WALL_US: u8 = 5;
    pub const A_CPU_US: u8 = 6;
    pub const A_MEMORY: u8 = 7;
    pub const A_HANDLER: u8 = 8;
}

/// Writes a dead letter; `record` is its message's record as it stood in the store.
pub(crate) fn encode(letter: &DeadLetter, record: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 8];
    let mut to = Writer(&mut bytes);
    to.bytes(tag::RECORD, record);
    to.number(tag::DIED_AT, letter.died_at.unix_ms());
    to.text(tag::REASON, Some(letter.reason.as_str()));
    to.text(tag::ERROR, Some(&letter.error));
    to.number(tag::FINGERPRINT, letter.fingerprint);
    to.number(tag::ATTEMPTS, u64::from(letter.counters.attempts));
    to.number(tag::POSTPONED, u64::from(letter.counters.postponed));
    to.number(tag::CRASHES, u64::from(letter.counters.crashes));
    to.number(tag::REDRIVEN, u64::from(letter.counters.redriven));
    to.number(tag::ORDINAL, letter.ordinal);
    for attempt in &letter.attempts {
        to.nested(tag::ATTEMPT, |to| encode_attempt(attempt, to));
    }
    for frame in &letter.diagnostics.backtrace {
        to.text(tag::FRAME, Some(frame));
    }
    to.text(tag::OUTPUT, Some(&letter.diagnostics.output_tail));
    to.number(tag::OUTPUT_DROPPED, letter.diagnostics.output_dropped);
    to.text(tag::HANDLER, Some(&letter.handler));
    to.text(tag::CONFIG, Some(&letter.config));
    let check = xxh3_64_with_seed(&bytes[8..], letter.message.id.sequence());
    bytes[..8].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// The fields of a verified dead letter.
fn verified(sequence: u64, bytes: &[u8]) -> Result<Fields<'_>, Malformed> {
    let (check, fields) = bytes.split_at_checked(8).ok_or(Malformed)?;
    if xxh3_64_with_seed(fields, sequence).to_le_bytes() != check {
        return Err(Malformed);
    }
    Ok(Fields(fields))
}

/// The record of the message of a dead letter.
pub(crate) fn record(sequence: u64, bytes: &[u8]) -> Result<&[u8], Malformed> {
    for field in verified(sequence, bytes)? {
        if let (tag::RECORD, value) = field? {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// Reads and verifies the dead letter that stands under `sequence`; `message` was read from
/// [`record`].
pub(crate) fn decode(
    sequence: u64,
    message: Message,
    bytes: &[u8],
) -> Result<DeadLetter, Malformed> {
    let mut letter = DeadLetter {
        message,
        died_at: Timestamp::ZERO,
        reason: Reason::Retry,
        error: String::new(),
        fingerprint: 0,
        counters: Counters::default(),
        ordinal: 0,
        attempts: Vec::new(),
        diagnostics: Diagnostics::default(),
        handler: String::new(),
        config: String::new(),
    };
    for field in verified(sequence, bytes)? {
        let (tag, value) = field?;
        decode_field(&mut letter, tag, value)?;
    }
    Ok(letter)
}

fn decode_field(letter: &mut DeadLetter, tag: u8, value: &[u8]) -> Result<(), Malformed> {
    match tag {
        tag::DIED_AT => letter.died_at = Timestamp::from_unix_ms(tlv::number(value)?),
        tag::REASON => letter.reason = reason(value)?,
        tag::ERROR => letter.error = tlv::text(value)?,
        tag::FINGERPRINT => letter.fingerprint = tlv::number(value)?,
        tag::ATTEMPTS => letter.counters.attempts = tlv::small(value)?,
        tag::POSTPONED => letter.counters.postponed = tlv::small(value)?,
        tag::CRASHES => letter.counters.crashes = tlv::small(value)?,
        tag::REDRIVEN => letter.counters.redriven = tlv::small(value)?,
        tag::ORDINAL => letter.ordinal = tlv::number(value)?,
        tag::ATTEMPT => letter.attempts.push(decode_attempt(value)?),
        tag::FRAME => letter.diagnostics.backtrace.push(tlv::text(value)?),
        tag::OUTPUT => letter.diagnostics.output_tail = tlv::text(value)?,
        tag::OUTPUT_DROPPED => letter.diagnostics.output_dropped = tlv::number(value)?,
        tag::HANDLER => letter.handler = tlv::text(value)?,
        tag::CONFIG => letter.config = tlv::text(value)?,
        _ => {}
    }
    Ok(())
}

/// Writes the history of the message of that number.
pub(crate) fn encode_history(sequence: u64, attempts: &[AttemptRecord]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for attempt in attempts {
        Writer(&mut bytes).nested(tag::ATTEMPT, |to| encode_attempt(attempt, to));
    }
    check::seal(sequence, &mut bytes);
    bytes
}

/// Reads and verifies the history of the message of that number.
pub(crate) fn decode_history(sequence: u64, bytes: &[u8]) -> Result<Vec<AttemptRecord>, Malformed> {
    Fields(check::open(sequence, bytes)?)
        .map(|field| decode_attempt(field?.1))
        .collect()
}

fn encode_attempt(attempt: &AttemptRecord, to: &mut Writer<'_>) {
    to.number(tag::A_NUMBER, u64::from(attempt.attempt));
    to.number(tag::A_STARTED, attempt.started_at.unix_ms());
    to.text(tag::A_REASON, Some(attempt.reason.as_str()));
    to.text(tag::A_ERROR, Some(&attempt.error));
    to.number(tag::A_WALL_US, micros(attempt.usage.wall));
    to.number(tag::A_CPU_US, micros(attempt.usage.cpu));
    to.number(tag::A_MEMORY, attempt.usage.peak_memory);
    to.text(tag::A_HANDLER, Some(&attempt.handler));
}

fn decode_attempt(bytes: &[u8]) -> Result<AttemptRecord, Malformed> {
    let mut attempt = AttemptRecord {
        attempt: 0,
        started_at: Timestamp::ZERO,
        reason: Reason::Retry,
        error: String::new(),
        usage: Usage::default(),
        handler: String::new(),
    };
    for field in Fields(bytes) {
        let (tag, value) = field?;
        match tag {
            tag::A_NUMBER => attempt.attempt = tlv::small(value)?,
            tag::A_STARTED => attempt.started_at = Timestamp::from_unix_ms(tlv::number(value)?),
            tag::A_REASON => attempt.reason = reason(value)?,
            tag::A_ERROR => attempt.error = tlv::text(value)?,
            tag::A_WALL_US => attempt.usage.wall = Duration::from_micros(tlv::number(value)?),
            tag::A_CPU_US => attempt.usage.cpu = Duration::from_micros(tlv::number(value)?),
            tag::A_MEMORY => attempt.usage.peak_memory = tlv::number(value)?,
            tag::A_HANDLER => attempt.handler = tlv::text(value)?,
            _ => {}
        }
    }
    Ok(attempt)
}

fn reason(value: &[u8]) -> Result<Reason, Malformed> {
    Reason::from_code(&tlv::text(value)?).ok_or(Malformed)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const NEVER: u64 = u64::MAX;

/// Writes a row of `dead_index`.
pub(crate) fn encode_summary(summary: &DeadSummary) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(112);
    bytes.extend_from_slice(&summary.died_at.unix_ms().to_le_bytes());
    bytes.extend_from_slice(
        &summary
            .forget_at
            .map_or(NEVER, Timestamp::unix_ms)
            .to_le_bytes(),
    );
    bytes.extend_from_slice(&summary.fingerprint.to_le_bytes());
    bytes.extend_from_slice(summary.reason.as_str().as_bytes());
    // No code of a reason has this byte, and no module's name.
    bytes.push(0);
    bytes.extend_from_slice(summary.handler.as_bytes());
    check::seal(summary.sequence, &mut bytes);
    bytes
}

/// Reads and verifies a row of `dead_index`.
pub(crate) fn decode_summary(sequence: u64, bytes: &[u8]) -> Result<DeadSummary, Malformed> {
    let row = check::open(sequence, bytes)?;
    let (numbers, texts) = row.split_at_checked(24).ok_or(Malformed)?;
    let end = texts.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
    let number = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&numbers[at..at + 8]);
        u64::from_le_bytes(word)
    };
    Ok(DeadSummary {
        sequence,
        died_at: Timestamp::from_unix_ms(number(0)),
        forget_at: (number(8) != NEVER).then(|| Timestamp::from_unix_ms(number(8))),
        fingerprint: number(16),
        reason: reason(&texts[..end])?,
        handler: tlv::text(&texts[end + 1..])?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_queue::{IdSource, NewMessage, QueueName};

    #[test]
    fn a_letter_reads_back_whole_and_damage_is_found() {
        let now = Timestamp::from_unix_ms(5);
        let id = IdSource::new(4, 0).mint(now);
        let message = Message {
            id,
            queue: QueueName::new("q").unwrap(),
            enqueued_at: now,
            expires_at: None,
            envelope: NewMessage::default().envelope,
            body: "body".into(),
            blob: None,
        };
        let attempt = AttemptRecord {
            attempt: 1,
            started_at: now,
            reason: Reason::Trap,
            error: "boom".into(),
            usage: Usage {
                wall: Duration::from_micros(7),
                cpu: Duration::ZERO,
                peak_memory: 9,
            },
            handler: "abc".into(),
        };
        let letter = DeadLetter {
            message: message.clone(),
            died_at: now,
            reason: Reason::Trap,
            error: "boom".into(),
            fingerprint: u64::MAX,
            counters: Counters {
                attempts: 1,
                postponed: 2,
                crashes: 3,
                redriven: 4,
            },
            ordinal: 5,
            attempts: vec![attempt.clone(), attempt],
            diagnostics: Diagnostics {
                backtrace: vec!["a".into(), "b".into()],
                output_tail: "out".into(),
                output_dropped: 3,
            },
            handler: "abc".into(),
            config: "def".into(),
        };
        let bytes = encode(&letter, b"record");
        assert_eq!(record(4, &bytes), Ok(b"record".as_slice()));
        assert_eq!(decode(4, message.clone(), &bytes), Ok(letter.clone()));
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 4;
            assert_eq!(decode(4, message.clone(), &damaged), Err(Malformed));
        }
        assert_eq!(
            decode_history(4, &encode_history(4, &letter.attempts)),
            Ok(letter.attempts)
        );
    }
}
