//! What is known of a message and its delivery beside body, queue and attributes: by the names that it has
//! in the forms that take it as headers or metadata.

use gristmill_queue::Message;

use super::environment::time;
use crate::runtime::instance::Call;

/// What those names begin with. No attribute's does.
pub(super) const OWN: &str = "gristmill-";

/// All that is known, with its names.
pub(super) fn facts(message: &Message, call: &Call) -> impl Iterator<Item = (String, String)> {
    let envelope = &message.envelope;
    let facts = [
        ("id", Some(message.id.to_string())),
        ("attempt", Some(call.attempt.to_string())),
        (
            "max-attempts",
            call.max_attempts.map(|most| most.to_string()),
        ),
        ("previous-failure", call.previous_failure.clone()),
        ("type", envelope.message_type.clone()),
        ("schema-version", envelope.schema_version.clone()),
        ("source", envelope.source.clone()),
        ("group", envelope.group.clone()),
        ("priority", Some(envelope.priority.level().to_string())),
        ("correlation-id", envelope.correlation_id.clone()),
        (
            "causation-id",
            envelope.causation_id.map(|id| id.to_string()),
        ),
        (
            "reply-to",
            envelope.reply_to.as_ref().map(ToString::to_string),
        ),
        ("enqueued-at", Some(time(message.enqueued_at))),
        ("expires-at", message.expires_at.map(time)),
    ];
    facts
        .into_iter()
        .filter_map(|(name, value)| Some((format!("{OWN}{name}"), value?)))
}
