//! A message in the form in which a guest gets it.

use gristmill_queue::{Message, Timestamp};

use super::bindings::queue::gristmill::queue::types;

/// The few fields of a message that have another form in the WIT; the rest is borrowed.
pub(super) struct WitMessage {
    id: String,
    queue: String,
    causation_id: Option<String>,
    reply_to: Option<String>,
    attempt: u32,
}

impl WitMessage {
    pub(super) fn new(message: &Message, attempt: u32) -> Self {
        let envelope = &message.envelope;
        WitMessage {
            id: message.id.to_string(),
            queue: message.queue.as_str().to_owned(),
            causation_id: envelope.causation_id.map(|id| id.to_string()),
            reply_to: envelope.reply_to.as_ref().map(ToString::to_string),
            attempt,
        }
    }

    pub(super) fn view<'a>(&'a self, message: &'a Message) -> types::Message<'a> {
        let envelope = &message.envelope;
        types::Message {
            id: &self.id,
            queue: &self.queue,
            body: &message.body,
            content_type: envelope.content_type.as_deref(),
            attributes: &envelope.attributes,
            group: envelope.group.as_deref(),
            correlation_id: envelope.correlation_id.as_deref(),
            causation_id: self.causation_id.as_ref(),
            reply_to: self.reply_to.as_ref(),
            message_type: envelope.message_type.as_deref(),
            schema_version: envelope.schema_version.as_deref(),
            source: envelope.source.as_deref(),
            priority: envelope.priority.level(),
            trace: envelope
                .traceparent
                .as_deref()
                .map(|traceparent| types::TraceContext {
                    traceparent,
                    tracestate: envelope.tracestate.as_deref().unwrap_or_default(),
                }),
            enqueued_at: message.enqueued_at.unix_ms(),
            expires_at: message.expires_at.map(Timestamp::unix_ms),
            attempt: self.attempt,
        }
    }
}
