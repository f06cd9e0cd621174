//! Request headers → what a sender says about its message.
//!
//! Names of headers have no case, so attributes that are given as headers have lower-case names.
//! Where that matters, the batch says everything in JSON.

use axum::http::HeaderMap;
use gristmill_queue::message::Due;
use gristmill_queue::{Envelope, NewMessage, Timestamp};

use super::events;
use crate::api::message::{causation_id, duration, priority, reply_to};
use crate::api::{MessageIn, Problem};

/// The prefix of all headers of our own.
const PREFIX: &str = "gristmill-";
/// A message as a batch has it, but for the body: names of attributes keep their case in it. What
/// other headers say besides is added, and goes before it.
const MESSAGE: &str = "gristmill-message";
/// The prefix of attributes.
const ATTRIBUTE: &str = "attr-";

/// The message that a request means, without its body.
pub fn message(headers: &HeaderMap) -> Result<NewMessage, Problem> {
    let mut message = match headers.contains_key(MESSAGE) {
        true => whole(&value(headers, MESSAGE)?)?,
        false => NewMessage::default(),
    };
    let mut event = Vec::new();
    for name in headers.keys() {
        let name = name.as_str();
        if let Some(attribute) = name.strip_prefix(events::PREFIX) {
            event.push((attribute.to_owned(), value(headers, name)?));
            continue;
        }
        let own = name.strip_prefix(PREFIX);
        let known = matches!(
            name,
            "content-type" | "idempotency-key" | "traceparent" | "tracestate"
        );
        if (own.is_none() && !known) || name == MESSAGE {
            continue;
        }
        let value = value(headers, name)?;
        match own {
            Some(own) => set_own(&mut message, own, value)?,
            None => set_known(&mut message, name, value),
        }
    }
    if !event.is_empty() {
        events::in_headers(event, &mut message)?;
    }
    Ok(message)
}

fn whole(json: &str) -> Result<NewMessage, Problem> {
    let read: MessageIn = serde_json::from_str(json).map_err(|error| {
        Problem::bad_request(format!("Gristmill-Message is not as it should be: {error}"))
    })?;
    if read.body.is_some() || read.body_base64.is_some() || read.queue.is_some() {
        return Err(Problem::bad_request(
            "Gristmill-Message says all of a message but its queue and its body: the address names the one, and the request carries the other",
        ));
    }
    read.into_message()
}

/// What a header says. `tracestate` may be cut into several, as W3C Trace Context says; of any other
/// a second one would have to win or lose in silence.
fn value(headers: &HeaderMap, name: &str) -> Result<String, Problem> {
    let mut all = String::new();
    let mut count = 0;
    for value in headers.get_all(name) {
        let value = std::str::from_utf8(value.as_bytes())
            .map_err(|_| Problem::bad_request(format!("header {name} is not UTF-8")))?;
        if count > 0 {
            all.push(',');
        }
        all.push_str(value);
        count += 1;
    }
    if count > 1 && name != "tracestate" {
        return Err(Problem::bad_request(format!(
            "header {name} is given {count} times: give it once"
        )));
    }
    Ok(all)
}

fn set_known(message: &mut NewMessage, name: &str, value: String) {
    let envelope = &mut message.envelope;
    match name {
        "content-type" => envelope.content_type = Some(value),
        "traceparent" => envelope.traceparent = Some(value),
        "tracestate" => envelope.tracestate = Some(value),
        // The key is a string of RFC 9651, in quotes; most clients leave them away.
        _ => {
            let bare = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
            message.dedup_id = Some(bare.map_or_else(|| value.clone(), str::to_owned));
        }
    }
}

fn set_own(message: &mut NewMessage, name: &str, value: String) -> Result<(), Problem> {
    let Envelope {
        attributes,
        group,
        correlation_id,
        causation_id: cause,
        reply_to: answers,
        message_type,
        schema_version,
        source,
        priority: level,
        ..
    } = &mut message.envelope;
    match name {
        "group" => *group = Some(value),
        "correlation-id" => *correlation_id = Some(value),
        "causation-id" => *cause = Some(causation_id(&value)?),
        "type" => *message_type = Some(value),
        "schema-version" => *schema_version = Some(value),
        "source" => *source = Some(value),
        "reply-to" => *answers = Some(reply_to(&value)?),
        "delay" => message.due = Due::After(duration("Gristmill-Delay", &value)?),
        "due" => {
            let time: jiff::Timestamp = value.parse().map_err(|_| {
                Problem::bad_request(format!(
                    "Gristmill-Due {value:?} is not a time: write it as 2030-01-31T12:00:00Z"
                ))
            })?;
            let ms = u64::try_from(time.as_millisecond()).unwrap_or(0);
            message.due = Due::At(Timestamp::from_unix_ms(ms));
        }
        "ttl" => message.ttl = Some(duration("Gristmill-Ttl", &value)?),
        "priority" => {
            let number = value.parse().map_err(|_| {
                Problem::bad_request(format!(
                    "Gristmill-Priority {value:?} is not between 0 and 9"
                ))
            })?;
            *level = priority(number)?;
        }
        _ => match name.strip_prefix(ATTRIBUTE) {
            Some(attribute) if !attribute.is_empty() => {
                attributes.push((attribute.to_owned(), value));
            }
            _ => {
                return Err(Problem::bad_request(format!(
                    "header Gristmill-{name} is not known: use Gristmill-Attr-<name> for attributes"
                )));
            }
        },
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<NewMessage, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        message(&headers)
    }

    #[test]
    fn headers_say_what_the_message_is() {
        let message = read(&[
            ("User-Agent", "curl"),
            ("Content-Type", "text/plain"),
            ("Gristmill-Attr-Colour", "grün"),
            ("Gristmill-Attr-Size", "3"),
            ("Gristmill-Group", "g"),
            ("Gristmill-Delay", "30s"),
            ("Gristmill-Ttl", "1h"),
            ("Gristmill-Priority", "9"),
            ("Gristmill-Correlation-Id", "c"),
            ("Gristmill-Reply-To", "answers"),
            (
                "Gristmill-Causation-Id",
                "019a9b5e-7c11-7f00-8000-000000000001",
            ),
            ("Gristmill-Type", "t"),
            ("Gristmill-Schema-Version", "2"),
            ("Gristmill-Source", "shop"),
            (
                "Traceparent",
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ),
            ("Tracestate", "a=1"),
            ("Tracestate", "b=2"),
            ("Idempotency-Key", "\"key\""),
        ])
        .unwrap();
        let envelope = &message.envelope;
        assert_eq!(envelope.content_type.as_deref(), Some("text/plain"));
        assert_eq!(envelope.attribute("colour"), Some("grün"));
        assert_eq!(envelope.attribute("size"), Some("3"));
        assert_eq!(envelope.group.as_deref(), Some("g"));
        assert_eq!(envelope.priority.level(), 9);
        assert_eq!(envelope.correlation_id.as_deref(), Some("c"));
        assert_eq!(envelope.reply_to.as_ref().unwrap().as_str(), "answers");
        assert_eq!(envelope.message_type.as_deref(), Some("t"));
        assert_eq!(envelope.schema_version.as_deref(), Some("2"));
        assert_eq!(envelope.source.as_deref(), Some("shop"));
        assert_eq!(
            envelope.causation_id.unwrap().to_string(),
            "019a9b5e-7c11-7f00-8000-000000000001"
        );
        assert!(
            envelope
                .traceparent
                .as_deref()
                .unwrap()
                .starts_with("00-4bf9")
        );
        assert_eq!(envelope.tracestate.as_deref(), Some("a=1,b=2"));
        assert_eq!(message.due, Due::After(Duration::from_secs(30)));
        assert_eq!(message.ttl, Some(Duration::from_secs(3600)));
        assert_eq!(message.dedup_id.as_deref(), Some("key"));
    }

    #[test]
    fn every_header_that_the_document_names_is_read() {
        let names = crate::api::tests::named_in(3);
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let plain = read(&[]).unwrap();
            // Whatever it says: it is taken, or refused for what it says.
            match read(&[(&name.replace("NAME", "x"), "1")]) {
                Ok(message) => assert_ne!(message, plain, "{name} is not read"),
                Err(problem) => assert!(!problem.detail.contains("is not known"), "{problem}"),
            }
        }
    }

    #[test]
    fn a_due_time_is_read() {
        let message = read(&[("Gristmill-Due", "1970-01-01T00:00:01.5Z")]).unwrap();
        assert_eq!(message.due, Due::At(Timestamp::from_unix_ms(1500)));
    }

    #[test]
    fn a_header_without_meaning_is_refused_by_name() {
        for (name, value, expected) in [
            ("Gristmill-Dealy", "30s", "Gristmill-dealy is not known"),
            ("Gristmill-Attr-", "x", "is not known"),
            ("Gristmill-Delay", "soon", "Gristmill-Delay \"soon\""),
            ("Gristmill-Due", "tomorrow", "Gristmill-Due \"tomorrow\""),
            ("Gristmill-Ttl", "5", "Gristmill-Ttl \"5\""),
            ("Gristmill-Priority", "10", "priority 10"),
            ("Gristmill-Priority", "high", "\"high\""),
            ("Gristmill-Reply-To", "a b", "queue name"),
            ("Gristmill-Causation-Id", "7", "causation_id"),
        ] {
            let problem = read(&[(name, value)]).unwrap_err();
            assert!(problem.detail.contains(expected), "{problem}");
        }
        let problem = read(&[("Gristmill-Group", "a"), ("Gristmill-Group", "b")]).unwrap_err();
        assert!(problem.detail.contains("is given 2 times"), "{problem}");
        let mut headers = HeaderMap::new();
        headers.insert("gristmill-group", HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(message(&headers).is_err());
    }
}
