//! Events of CloudEvents 1.0 over HTTP: in headers, as JSON, several as JSON → messages.
//!
//! The attributes of an event become attributes `ce-NAME` of its message, so that it can be put
//! together again; its type and source are those of the message too. An event is known by its source
//! and id, so these are its deduplication id, unless the sender gives another. The rules are those of
//! the HTTP Protocol Binding 1.0.2 and the JSON Event Format 1.0.2.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use gristmill_queue::{NewMessage, limits};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::body::media_type;
use crate::api::{Code, MAX_BATCH, Problem};

/// What the attributes of an event begin with, in headers and in messages.
pub(super) const PREFIX: &str = "ce-";
const SINGLE: &str = "application/cloudevents";
const BATCH: &str = "application/cloudevents-batch";

/// How a request carries events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// It carries none, or one in its headers.
    Body,
    /// One, as JSON.
    Structured,
    /// Several, as JSON.
    Batched,
}

/// How a request carries events, by the type of its body.
pub(super) fn mode(headers: &HeaderMap) -> Result<Mode, Problem> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|given| given.to_str().ok());
    let given = given.unwrap_or_default();
    let kind = media_type(given);
    if !kind.starts_with(SINGLE) {
        return Ok(Mode::Body);
    }
    match kind.strip_suffix("+json") {
        Some(SINGLE) => Ok(Mode::Structured),
        Some(BATCH) => Ok(Mode::Batched),
        _ => Err(Problem::new(
            Code::UnsupportedMediaType,
            format!(
                "events as {given:?} are not read: send them as {SINGLE}+json or {BATCH}+json, or one in headers"
            ),
        )),
    }
}

/// One in headers: its attributes, of which the type of the body is another header.
pub(super) fn in_headers(
    attributes: Vec<(String, String)>,
    message: &mut NewMessage,
) -> Result<(), Problem> {
    let plain = attributes
        .into_iter()
        .map(|(name, value)| Ok((name, unescaped(&value)?)));
    apply(plain.collect::<Result<_, Problem>>()?, message)
}

/// One as JSON. What `pattern` says besides goes before what the event says.
pub(super) fn structured(json: &[u8], pattern: &NewMessage) -> Result<NewMessage, Problem> {
    let event: Map<String, Value> = serde_json::from_slice(json)
        .map_err(|error| Problem::bad_request(format!("the body is no event: {error}")))?;
    from_json(event, pattern)
}

/// Several as JSON.
pub(super) fn batched(json: &[u8], pattern: &NewMessage) -> Result<Vec<NewMessage>, Problem> {
    if pattern.dedup_id.is_some() {
        return Err(Problem::bad_request(
            "Idempotency-Key would make all events of a batch one: leave it away, each has its source and id",
        ));
    }
    let events: Vec<Map<String, Value>> = serde_json::from_slice(json)
        .map_err(|error| Problem::bad_request(format!("the body is no list of events: {error}")))?;
    if events.len() > MAX_BATCH {
        let detail = format!(
            "{} events are sent together, but at most {MAX_BATCH} may be: send them in parts",
            events.len()
        );
        return Err(Problem::new(Code::TooLarge, detail));
    }
    let read = |(at, event)| {
        from_json(event, pattern).map_err(|problem| {
            Problem::new(problem.code, format!("events[{at}]: {}", problem.detail))
        })
    };
    events.into_iter().enumerate().map(read).collect()
}

fn from_json(mut event: Map<String, Value>, pattern: &NewMessage) -> Result<NewMessage, Problem> {
    let mut message = pattern.clone();
    let (data, base64) = (event.remove("data"), event.remove("data_base64"));
    let content_type = match event.remove("datacontenttype") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(_) => {
            return Err(Problem::bad_request(
                "datacontenttype of the event is no text",
            ));
        }
    };
    let is_json = content_type.as_deref().is_none_or(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        kind.ends_with("/json") || kind.ends_with("+json")
    });
    message.body = match (data, base64) {
        (Some(_), Some(_)) => {
            return Err(Problem::bad_request(
                "an event has data or data_base64, not both",
            ));
        }
        (None, None | Some(Value::Null)) => Bytes::new(),
        (None, Some(Value::String(text))) => BASE64
            .decode(&text)
            .map(Bytes::from)
            .map_err(|error| Problem::bad_request(format!("data_base64 is not base64: {error}")))?,
        (None, Some(_)) => return Err(Problem::bad_request("data_base64 of the event is no text")),
        (Some(Value::String(text)), None) if !is_json => text.into(),
        (Some(data), None) => data.to_string().into(),
    };
    message.envelope.content_type =
        Some(content_type.unwrap_or_else(|| "application/json".to_owned()));
    let mut attributes = Vec::with_capacity(event.len());
    for (name, value) in event {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Bool(flag) => flag.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Array(_) | Value::Object(_) => {
                return Err(Problem::bad_request(format!(
                    "{name} of the event is neither a text nor a number nor true nor false"
                )));
            }
        };
        attributes.push((name, text));
    }
    apply(attributes, &mut message)?;
    Ok(message)
}

/// Says of a message what an event says of itself.
fn apply(attributes: Vec<(String, String)>, message: &mut NewMessage) -> Result<(), Problem> {
    let find = |wanted: &str| {
        let found = attributes.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    };
    let needed = |name: &str| {
        find(name).ok_or_else(|| {
            Problem::bad_request(format!("the event has no {name}, which every event has"))
        })
    };
    let version = needed("specversion")?;
    if version != "1.0" {
        let detail = format!("the event is of CloudEvents {version:?}, and 1.0 is read here");
        return Err(Problem::bad_request(detail));
    }
    let (id, source, kind) = (needed("id")?, needed("source")?, needed("type")?);
    let envelope = &mut message.envelope;
    envelope.traceparent = envelope.traceparent.take().or_else(|| find("traceparent"));
    if envelope.traceparent.is_some() {
        envelope.tracestate = envelope.tracestate.take().or_else(|| find("tracestate"));
    }
    envelope.message_type.get_or_insert(kind);
    message
        .dedup_id
        .get_or_insert_with(|| dedup_id(&source, &id));
    envelope.source.get_or_insert(source);
    for (name, value) in attributes {
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            return Err(Problem::bad_request(format!(
                "{name:?} is no name of an attribute of an event: they have lower-case letters and digits"
            )));
        }
        envelope.attributes.push((format!("{PREFIX}{name}"), value));
    }
    Ok(())
}

/// What tells an event from others: a source does not use an id twice.
fn dedup_id(source: &str, id: &str) -> String {
    let both = format!("{source} {id}");
    if both.len() <= limits::MAX_ENVELOPE_FIELD {
        return both;
    }
    let hash = Sha256::digest(&both);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a header of an event means: in quotes or not, with what is no ASCII as `%xx`.
fn unescaped(value: &str) -> Result<String, Problem> {
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = quoted.unwrap_or(value).bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted.is_some() => plain.extend(bytes.next()),
            b'%' => {
                let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
                let code = digit()
                    .zip(digit())
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
                plain.push(code.ok_or_else(|| {
                    Problem::bad_request(format!(
                        "header value {value:?} of an event has a % that is not %xx"
                    ))
                })?);
            }
            byte => plain.push(byte),
        }
    }
    String::from_utf8(plain).map_err(|_| {
        Problem::bad_request(format!("header value {value:?} of an event is not UTF-8"))
    })
}

#[cfg(test)]
mod tests;
