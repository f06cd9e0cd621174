//! What stands in addresses and headers, as the document describes it.

use gristmill_queue::limits;
use serde_json::{Value, json};

/// What a name of a queue looks like.
const QUEUE: &str = r"^[A-Za-z0-9_-]{1,80}(\.fifo)?$";

/// A part of a path.
pub(super) fn path_parameter(name: &str) -> Value {
    let (description, schema) = match name {
        "queue" => (
            "The name of a queue or topic.",
            json!({ "type": "string", "pattern": QUEUE }),
        ),
        "id" => (
            "The id of a message.",
            json!({ "type": "string", "format": "uuid" }),
        ),
        "number" => (
            "The number of a redrive.",
            json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
        ),
        "correlation_id" => (
            "What ties the reply to its request.",
            json!({ "type": "string", "minLength": 1, "maxLength": limits::MAX_ENVELOPE_FIELD }),
        ),
        "token" => (
            "The id of a token or access key.",
            json!({ "type": "string", "minLength": 1 }),
        ),
        _ => ("The name.", json!({ "type": "string", "minLength": 1 })),
    };
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}

/// The headers that say something about a message.
const HEADERS: [(&str, &str, &str); 14] = [
    (
        "Idempotency-Key",
        "text",
        "The deduplication id: within the window of the queue, a second message with it is not made.",
    ),
    ("Gristmill-Group", "text", "The ordering key."),
    (
        "Gristmill-Delay",
        "time",
        "How long after acceptance it is due, such as `30s`.",
    ),
    (
        "Gristmill-Due",
        "date-time",
        "When it is due, instead of a delay.",
    ),
    (
        "Gristmill-Ttl",
        "time",
        "How long after acceptance it expires, such as `1h`.",
    ),
    ("Gristmill-Priority", "level", "0 to 9, higher first."),
    ("Gristmill-Type", "text", "What kind of message it is."),
    (
        "Gristmill-Schema-Version",
        "text",
        "The version of the body's schema.",
    ),
    ("Gristmill-Source", "text", "Who sent it."),
    (
        "Gristmill-Correlation-Id",
        "text",
        "Ties replies to requests.",
    ),
    (
        "Gristmill-Causation-Id",
        "uuid",
        "The message that led to this one.",
    ),
    ("Gristmill-Reply-To", "queue", "The queue for the answer."),
    ("traceparent", "any", "W3C Trace Context."),
    ("tracestate", "any", "W3C Trace Context."),
];

/// The headers that say something about a message, as parameters. Those of attributes,
/// `Gristmill-Attr-NAME`, have names of the sender's choice, which a document cannot list.
pub(super) fn message_headers() -> Vec<Value> {
    let parameter = |(name, kind, description)| {
        let schema = match kind {
            "text" => {
                json!({ "type": "string", "minLength": 1, "maxLength": limits::MAX_ENVELOPE_FIELD })
            }
            "level" => json!({ "type": "integer", "minimum": 0, "maximum": 9 }),
            "date-time" | "uuid" => json!({ "type": "string", "format": kind }),
            "queue" => json!({ "type": "string", "pattern": QUEUE }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": name, "in": "header", "description": description, "schema": schema })
    };
    HEADERS.into_iter().map(parameter).collect()
}
