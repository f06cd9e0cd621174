//! A message → the headers of a request: an event of CloudEvents 1.0 in binary mode.
//!
//! It is the map of the HTTP API backwards: what was sent as an event comes as the same event, and what the
//! API takes as a header of ours comes as that header. What is known of the delivery is added.

use gristmill_queue::Message;

use super::fields::Entry;
use crate::runtime::forms::environment::time;
use crate::runtime::forms::facts::facts;
use crate::runtime::instance::Call;

/// What headers and attributes of an event begin with.
pub(super) const EVENT: &str = "ce-";
/// What headers of attributes begin with.
pub(super) const ATTRIBUTE: &str = "gristmill-attr-";
/// All attributes as JSON, where headers cannot say them.
const ATTRIBUTES: &str = "gristmill-attributes";
/// The type of an event that was sent without one.
const NO_TYPE: &str = "gristmill.message";

/// All headers of the request that `message` becomes.
pub(super) fn headers(message: &Message, call: &Call) -> Vec<Entry> {
    let mut headers = Vec::new();
    event(message, &mut headers);
    let envelope = &message.envelope;
    let mut say = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            headers.push((name.to_owned(), value.into_bytes()));
        }
    };
    say("content-type", envelope.content_type.clone());
    say("content-length", Some(message.body.len().to_string()));
    say("traceparent", envelope.traceparent.clone());
    say("tracestate", envelope.tracestate.clone());
    say("gristmill-queue", Some(message.queue.to_string()));
    for (name, value) in facts(message, call) {
        say(&name, Some(on_one_line(&value)));
    }
    attributes(&envelope.attributes, &mut headers);
    headers
}

/// What every event says of itself, and whatever else this one said when it was sent.
fn event(message: &Message, headers: &mut Vec<Entry>) {
    let envelope = &message.envelope;
    let queue = &message.queue;
    let source = envelope.source.clone();
    let needed = [
        ("specversion", "1.0".to_owned()),
        ("id", message.id.to_string()),
        (
            "source",
            source.unwrap_or_else(|| format!("urn:gristmill:queue:{queue}")),
        ),
        (
            "type",
            envelope
                .message_type
                .clone()
                .unwrap_or_else(|| NO_TYPE.to_owned()),
        ),
        ("time", time(message.enqueued_at)),
    ];
    let mut say = |name: &str, value: &str| {
        headers.push((format!("{EVENT}{name}"), escaped(value).into_bytes()));
    };
    for (name, value) in &needed {
        let given = envelope.attribute(&format!("{EVENT}{name}"));
        say(name, given.unwrap_or(value));
    }
    for (name, value) in &envelope.attributes {
        if let Some(name) = of_event(name)
            && !needed.iter().any(|(needed, _)| *needed == name)
        {
            say(name, value);
        }
    }
}

/// The name of an attribute of an event, if this attribute is one.
fn of_event(name: &str) -> Option<&str> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    name.strip_prefix(EVENT)
        .filter(|name| !name.is_empty() && name.bytes().all(plain))
}

/// Attributes that are no event's: a header for each, and JSON if that cannot say all of them as they are.
fn attributes(attributes: &[(String, String)], headers: &mut Vec<Entry>) {
    let mut all_said = true;
    for (name, value) in attributes {
        if of_event(name).is_some() {
            continue;
        }
        let header = format!("{ATTRIBUTE}{name}");
        // A header has its name in lower case, so of two names that differ in that, the first is there.
        let known = http::HeaderName::from_bytes(header.as_bytes())
            .ok()
            .map(|known| known.as_str().to_owned());
        let sayable = http::HeaderValue::from_bytes(value.as_bytes()).is_ok();
        all_said &= sayable && known.as_deref() == Some(&*header);
        if let Some(known) = known
            && sayable
            && !headers.iter().any(|(name, _)| *name == known)
        {
            headers.push((known, value.clone().into_bytes()));
        }
    }
    if !all_said {
        let object: serde_json::Map<String, serde_json::Value> = attributes
            .iter()
            .map(|(name, value)| (name.clone(), value.clone().into()))
            .collect();
        let json = ascii(&serde_json::Value::Object(object).to_string());
        headers.push((ATTRIBUTES.to_owned(), json.into_bytes()));
    }
}

/// JSON with nothing but ASCII in it.
fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            // JSON escapes the other control characters by itself.
            '\u{20}'..='\u{7e}' => plain.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    plain.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    plain
}

/// A value as the HTTP binding of CloudEvents 1.0.2 has it (3.1.3.2): `%xx` for a space, `"`, `%` and whatever
/// is not printable ASCII.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' => escaped.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// What such a value means; as it is, if it is none.
pub(super) fn unescaped(value: &str) -> String {
    let mut plain = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let [first, others @ ..] = rest {
        let code = match others {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match code {
            Some((high, low)) => {
                plain.push(high << 4 | low);
                rest = &others[2..];
            }
            None => {
                plain.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8(plain).unwrap_or_else(|_| value.to_owned())
}

fn hex(digit: u8) -> Option<u8> {
    let digit = char::from(digit).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// With a space for whatever no header may have.
fn on_one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(attributes_of_message: &[(&str, &str)]) -> Vec<(String, String)> {
        let given: Vec<(String, String)> = attributes_of_message
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut headers = Vec::new();
        attributes(&given, &mut headers);
        headers
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
            .collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn values_of_events_are_escaped_as_their_binding_says() {
        let table = [
            ("order.placed", "order.placed"),
            ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
            ("a\"b%c", "a%22b%25c"),
            ("line\nend\u{7f}", "line%0Aend%7F"),
        ];
        for (plain, expected) in table {
            assert_eq!(escaped(plain), expected);
            assert_eq!(unescaped(expected), plain);
        }
        for odd in ["100%", "%zz", "%ff"] {
            assert_eq!(unescaped(odd), odd);
        }
    }

    #[test]
    fn attributes_are_headers_and_json_only_where_headers_cannot_say_them() {
        assert_eq!(
            said(&[("tenant", "grün"), ("ce-subject", "s"), ("empty", "")]),
            [
                pair("gristmill-attr-tenant", "grün"),
                pair("gristmill-attr-empty", "")
            ]
        );
        assert_eq!(
            said(&[("Tenant", "a"), ("tenant", "b")]),
            [
                pair("gristmill-attr-tenant", "a"),
                pair(ATTRIBUTES, r#"{"Tenant":"a","tenant":"b"}"#)
            ]
        );
        assert_eq!(
            said(&[("größe", "1"), ("lines", "a\nb😀")]),
            [pair(
                ATTRIBUTES,
                r#"{"gr\u00f6\u00dfe":"1","lines":"a\nb\ud83d\ude00"}"#
            )]
        );
        // No attribute of an event has such a name.
        assert_eq!(
            said(&[("ce-two-words", "x")]),
            [pair("gristmill-attr-ce-two-words", "x")]
        );
    }

    #[test]
    fn what_failed_before_is_told_on_one_line() {
        assert_eq!(on_one_line("a\r\nb\tc\0"), "a  b c ");
    }
}
