use axum::http::HeaderName;

use super::*;
use crate::http::headers;

fn binary(pairs: &[(&str, &str)]) -> Result<NewMessage, Problem> {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let name: HeaderName = name.parse().unwrap();
        map.append(name, value.parse().unwrap());
    }
    headers::message(&map)
}

const EVENT: &str = r#"{
    "specversion": "1.0", "id": "A-1", "source": "/shop", "type": "order.placed",
    "time": "2026-01-01T00:00:00Z", "subject": "grün", "count": 3, "late": false, "nothing": null,
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "data": {"cents": 5}
}"#;

fn one(json: &str) -> Result<NewMessage, Problem> {
    structured(json.as_bytes(), &NewMessage::default())
}

#[test]
fn an_event_is_the_same_message_in_headers_and_as_json() {
    let json = one(EVENT).unwrap();
    let mut headers = binary(&[
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "A-1"),
        ("ce-source", "/shop"),
        ("ce-type", "order.placed"),
        ("ce-time", "2026-01-01T00:00:00Z"),
        ("ce-subject", "gr%C3%BCn"),
        ("ce-count", "3"),
        ("ce-late", "false"),
        (
            "ce-traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ])
    .unwrap();
    headers.body = Bytes::from_static(br#"{"cents":5}"#);
    let sorted = |mut message: NewMessage| {
        message.envelope.attributes.sort();
        message
    };
    let message = sorted(json);
    assert_eq!(message, sorted(headers));
    let envelope = &message.envelope;
    assert_eq!(envelope.message_type.as_deref(), Some("order.placed"));
    assert_eq!(envelope.source.as_deref(), Some("/shop"));
    assert_eq!(envelope.content_type.as_deref(), Some("application/json"));
    assert_eq!(envelope.attribute("ce-subject"), Some("grün"));
    assert_eq!(envelope.attribute("ce-specversion"), Some("1.0"));
    assert!(envelope.traceparent.is_some() && envelope.attribute("ce-nothing").is_none());
    assert_eq!(message.dedup_id.as_deref(), Some("/shop A-1"));
}

#[test]
fn what_the_sender_says_besides_goes_before_the_event() {
    let message = binary(&[
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "s"),
        ("ce-type", "t"),
        ("idempotency-key", "mine"),
        ("gristmill-type", "other"),
        ("gristmill-group", "g"),
    ])
    .unwrap();
    assert_eq!(message.dedup_id.as_deref(), Some("mine"));
    assert_eq!(message.envelope.message_type.as_deref(), Some("other"));
    assert_eq!(message.envelope.group.as_deref(), Some("g"));
    let long = "s".repeat(limits::MAX_ENVELOPE_FIELD);
    assert_eq!(dedup_id(&long, "1").len(), 64);
    assert_ne!(dedup_id(&long, "1"), dedup_id(&long, "2"));
}

#[test]
fn data_of_any_type_is_the_body() {
    let event = |rest: &str| {
        let head = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
        let read = one(&format!("{{{head}{rest}}}")).unwrap();
        (read.envelope.content_type.unwrap(), read.body)
    };
    for (rest, kind, body) in [
        ("", "application/json", &b""[..]),
        (r#","data":"x""#, "application/json", b"\"x\""),
        (r#","data":null"#, "application/json", b"null"),
        (
            r#","datacontenttype":"text/plain","data":"x""#,
            "text/plain",
            b"x",
        ),
        (
            r#","datacontenttype":"application/x+json","data":"x""#,
            "application/x+json",
            b"\"x\"",
        ),
        (
            r#","datacontenttype":"image/png","data_base64":"/wA=""#,
            "image/png",
            b"\xff\x00",
        ),
    ] {
        assert_eq!(
            event(rest),
            (kind.to_owned(), Bytes::from_static(body)),
            "{rest}"
        );
    }
}

#[test]
fn what_is_no_event_is_refused_with_what_is_missing() {
    let head = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
    for (json, words) in [
        ("[]".to_owned(), "no event"),
        ("{}".to_owned(), "specversion"),
        (format!("{{{}}}", head.replace("1.0", "0.3")), "\"0.3\""),
        (
            format!("{{{}}}", head.replace("\"id\":\"1\"", "\"id\":\"\"")),
            "no id",
        ),
        (format!("{{{head},\"a b\":1}}"), "\"a b\""),
        (format!("{{{head},\"x\":{{}}}}"), "x of the event"),
        (
            format!("{{{head},\"data\":1,\"data_base64\":\"\"}}"),
            "not both",
        ),
        (format!("{{{head},\"data_base64\":\"?\"}}"), "base64"),
        (
            format!("{{{head},\"datacontenttype\":7}}"),
            "datacontenttype",
        ),
    ] {
        let problem = one(&json).unwrap_err();
        assert_eq!(problem.code, Code::BadRequest);
        assert!(problem.detail.contains(words), "{json}: {problem}");
    }
    for (headers, words) in [
        (&[("ce-id", "1")][..], "specversion"),
        (&[("ce-specversion", "1.0"), ("ce-id", "%z")], "%xx"),
        (&[("ce-specversion", "1.0"), ("ce-id", "%ff")], "UTF-8"),
    ] {
        let problem = binary(headers).unwrap_err();
        assert!(problem.detail.contains(words), "{problem}");
    }
    let list = format!("[{{{head}}},{{}}]");
    let problem = batched(list.as_bytes(), &NewMessage::default()).unwrap_err();
    assert!(problem.detail.starts_with("events[1]: "), "{problem}");
    let keyed = NewMessage {
        dedup_id: Some("k".to_owned()),
        ..NewMessage::default()
    };
    assert!(batched(b"[]", &keyed).is_err());
}

#[test]
fn the_mode_is_told_by_the_type_of_the_body() {
    let of = |kind: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        mode(&headers).map_err(|problem| problem.code)
    };
    assert_eq!(mode(&HeaderMap::new()), Ok(Mode::Body));
    assert_eq!(of("application/json"), Ok(Mode::Body));
    assert_eq!(
        of("application/cloudevents+json; charset=UTF-8"),
        Ok(Mode::Structured)
    );
    assert_eq!(of("Application/CloudEvents-Batch+JSON"), Ok(Mode::Batched));
    assert_eq!(
        of("application/cloudevents+avro"),
        Err(Code::UnsupportedMediaType)
    );
}
