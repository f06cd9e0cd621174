//! What a sender said about a message, as a person can read it.

use super::text;
use crate::api::view::EnvelopeView;

/// One fact on each line, as far as there are any.
pub fn facts(envelope: &EnvelopeView) -> Vec<(&'static str, String)> {
    let given = |value: &Option<String>| value.as_deref().map(text::line);
    let rows = [
        ("type", given(&envelope.message_type)),
        ("content type", given(&envelope.content_type)),
        ("schema", given(&envelope.schema_version)),
        ("source", given(&envelope.source)),
        ("group", given(&envelope.group)),
        ("correlation", given(&envelope.correlation_id)),
        ("causation", given(&envelope.causation_id)),
        ("reply to", given(&envelope.reply_to)),
        ("traceparent", given(&envelope.traceparent)),
        ("tracestate", given(&envelope.tracestate)),
        ("priority", Some(envelope.priority.to_string())),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let attributes = envelope.attributes.0.iter().map(|(name, value)| {
        (
            "attribute",
            format!("{} = {}", text::line(name), text::line(value)),
        )
    });
    rows.chain(attributes).collect()
}
