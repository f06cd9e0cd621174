//! Messages as they are shown: what was said, counted and tried.

use std::time::Duration;

use gristmill_queue::outcome::AttemptRecord;
use gristmill_queue::{Counters, Envelope, Timestamp};
use gristmill_store::Peeked;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::{Attributes, Body};

/// What its sender said about a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvelopeView {
    /// The media type of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Names and values.
    pub attributes: Attributes,
    /// The ordering key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Ties replies to requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// The message whose handling led to this one.
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
    /// 0 to 9, higher first.
    pub priority: u8,
}

impl From<Envelope> for EnvelopeView {
    fn from(envelope: Envelope) -> Self {
        EnvelopeView {
            content_type: envelope.content_type,
            attributes: Attributes(envelope.attributes),
            group: envelope.group,
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id.map(|id| id.to_string()),
            reply_to: envelope.reply_to.map(|queue| queue.to_string()),
            message_type: envelope.message_type,
            schema_version: envelope.schema_version,
            source: envelope.source,
            traceparent: envelope.traceparent,
            tracestate: envelope.tracestate,
            priority: envelope.priority.level(),
        }
    }
}

/// What is counted about a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CountersView {
    /// Attempts that ended and counted.
    pub attempts: u32,
    /// How often a handler postponed it.
    pub postponed: u32,
    /// How often the host died during an attempt.
    pub crashes: u32,
    /// How often it was taken back from the dead.
    pub redriven: u32,
}

impl From<Counters> for CountersView {
    fn from(counters: Counters) -> Self {
        CountersView {
            attempts: counters.attempts,
            postponed: counters.postponed,
            crashes: counters.crashes,
            redriven: counters.redriven,
        }
    }
}

/// One ended attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptView {
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// When it began.
    pub started_at_ms: u64,
    /// Why it failed.
    pub reason: String,
    /// In words.
    pub error: String,
    /// From entering the guest to leaving it.
    pub wall_us: u64,
    /// CPU time of the guest.
    pub cpu_us: u64,
    /// The most bytes of linear memory.
    pub peak_memory_bytes: u64,
    /// The beginning of the SHA-256 of the handler's module; empty if none ran.
    pub module: String,
}

impl From<AttemptRecord> for AttemptView {
    fn from(record: AttemptRecord) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        AttemptView {
            attempt: record.attempt,
            started_at_ms: record.started_at.unix_ms(),
            reason: record.reason.to_string(),
            error: record.error,
            wall_us: micros(record.usage.wall),
            cpu_us: micros(record.usage.cpu),
            peak_memory_bytes: record.usage.peak_memory,
            module: record.handler,
        }
    }
}

/// A waiting message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaitingView {
    /// Its id.
    pub id: String,
    /// `ready` or `scheduled`.
    pub state: String,
    /// When it is due.
    pub due_at_ms: u64,
    /// When it was accepted.
    pub enqueued_at_ms: u64,
    /// When it expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// What is counted.
    pub counters: CountersView,
    /// The host died while it was being handled.
    pub suspect: bool,
    /// What its sender said.
    pub envelope: EnvelopeView,
    /// Bytes of its body.
    pub size: usize,
    /// Its body is large, stored aside, and left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub body_omitted: bool,
    /// Its body.
    #[serde(flatten)]
    pub body: Body,
    /// Its ended attempts, oldest first.
    pub history: Vec<AttemptView>,
}

impl WaitingView {
    /// A waiting message as it is shown at `now`.
    #[must_use]
    pub fn of(peeked: Peeked, now: Timestamp) -> Self {
        let Peeked {
            message,
            due,
            row,
            attempts,
        } = peeked;
        let state = if due > now { "scheduled" } else { "ready" };
        WaitingView {
            id: message.id.to_string(),
            state: state.to_owned(),
            due_at_ms: due.unix_ms(),
            enqueued_at_ms: message.enqueued_at.unix_ms(),
            expires_at_ms: message.expires_at.map(Timestamp::unix_ms),
            counters: row.counters.into(),
            suspect: row.suspect,
            size: usize::try_from(message.size()).unwrap_or(usize::MAX),
            body_omitted: message.blob.is_some(),
            body: Body::inline(&message),
            envelope: message.envelope.into(),
            history: attempts.into_iter().map(AttemptView::from).collect(),
        }
    }
}
