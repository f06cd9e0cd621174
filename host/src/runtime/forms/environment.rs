//! What is known about a message, as environment variables of a program.

use gristmill_queue::{Message, Timestamp};

use crate::runtime::instance::Call;

/// What all of them begin with.
const PREFIX: &str = "GRISTMILL_";

/// The variables, in the order in which they are listed. What the message does not have is left out.
pub(super) fn of(message: &Message, call: &Call) -> Vec<(String, String)> {
    let envelope = &message.envelope;
    let text = |id: Option<&dyn ToString>| id.map(ToString::to_string);
    let fields = [
        ("ID", Some(message.id.to_string())),
        ("QUEUE", Some(message.queue.to_string())),
        ("ATTEMPT", Some(call.attempt.to_string())),
        (
            "MAX_ATTEMPTS",
            call.max_attempts.map(|most| most.to_string()),
        ),
        ("PREVIOUS_FAILURE", call.previous_failure.clone()),
        ("CONTENT_TYPE", envelope.content_type.clone()),
        ("TYPE", envelope.message_type.clone()),
        ("SCHEMA_VERSION", envelope.schema_version.clone()),
        ("SOURCE", envelope.source.clone()),
        ("GROUP", envelope.group.clone()),
        ("PRIORITY", Some(envelope.priority.level().to_string())),
        ("CORRELATION_ID", envelope.correlation_id.clone()),
        (
            "CAUSATION_ID",
            text(envelope.causation_id.as_ref().map(|id| id as _)),
        ),
        (
            "REPLY_TO",
            text(envelope.reply_to.as_ref().map(|name| name as _)),
        ),
        ("TRACEPARENT", envelope.traceparent.clone()),
        ("TRACESTATE", envelope.tracestate.clone()),
        ("ENQUEUED_AT", Some(time(message.enqueued_at))),
        ("EXPIRES_AT", message.expires_at.map(time)),
        ("ATTRIBUTES", Some(as_json(&envelope.attributes))),
    ];
    let mut variables: Vec<(String, String)> = fields
        .into_iter()
        .filter_map(|(name, value)| Some((format!("{PREFIX}{name}"), value?)))
        .collect();
    for (name, value) in &envelope.attributes {
        let name = format!("{PREFIX}ATTR_{}", variable(name));
        if !variables.iter().any(|(other, _)| *other == name) {
            variables.push((name, value.clone()));
        }
    }
    // A C string ends there, so the rest would be lost in silence; the JSON has all of it.
    variables.retain(|(_, value)| !value.contains('\0'));
    variables
}

/// An attribute's name as that of a variable: capitals, digits and `_`.
fn variable(name: &str) -> String {
    name.chars()
        .map(|c| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_uppercase(),
            false => '_',
        })
        .collect()
}

fn as_json(attributes: &[(String, String)]) -> String {
    let object: serde_json::Map<String, serde_json::Value> = attributes
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    serde_json::Value::Object(object).to_string()
}

/// A time as RFC 3339 has it, to the millisecond.
pub(in crate::runtime) fn time(at: Timestamp) -> String {
    let ms = i64::try_from(at.unix_ms()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_attributes_become_names_of_variables() {
        assert_eq!(variable("tenant"), "TENANT");
        assert_eq!(variable("x-größe.2"), "X_GR__E_2");
    }

    #[test]
    fn times_are_written_as_everywhere() {
        assert_eq!(
            time(Timestamp::from_unix_ms(1_763_640_000_007)),
            "2025-11-20T12:00:00.007Z"
        );
    }
}
