use proptest::prelude::*;

use super::*;

#[test]
fn a_message_is_read_from_json() {
    let text = r#"{"body":"hi","attributes":{"b":"1","a":"2"},"delay":"30s","ttl":"1h",
                   "priority":9,"reply_to":"answers","type":"greeting"}"#;
    let message: MessageIn = serde_json::from_str(text).unwrap();
    let message = message.into_message().unwrap();
    assert_eq!(message.body, "hi");
    assert_eq!(message.due, Due::After(Duration::from_secs(30)));
    assert_eq!(message.ttl, Some(Duration::from_secs(3600)));
    assert_eq!(message.envelope.priority.level(), 9);
    let names: Vec<&str> = message
        .envelope
        .attributes
        .iter()
        .map(|(n, _)| n.as_str())
        .collect();
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn what_has_no_meaning_is_refused_with_a_reason() {
    for (text, expected) in [
        (r#"{"body":"a","body_base64":"YQ=="}"#, "not both"),
        (r#"{"body_base64":"?"}"#, "not base64"),
        (r#"{"delay":"soon"}"#, "delay \"soon\" is not a duration"),
        (r#"{"delay":"1s","due_at_ms":1}"#, "not both"),
        (r#"{"ttl":"5"}"#, "ttl \"5\" is not a duration"),
        (r#"{"priority":10}"#, "priority 10"),
        (r#"{"reply_to":"a/b"}"#, "reply_to"),
        (r#"{"causation_id":"7"}"#, "causation_id"),
    ] {
        let message: MessageIn = serde_json::from_str(text).unwrap();
        let problem = message.into_message().unwrap_err();
        assert!(problem.detail.contains(expected), "{problem}");
    }
    assert!(serde_json::from_str::<MessageIn>(r#"{"dealy":"1s"}"#).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(body: Vec<u8>, text in "[a-z ü\"]{1,8}", level in 0u8..10, ms in 0u64..1_000_000_000) {
        let message = NewMessage {
            body: body.into(),
            blob: None,
            // Every field, so that one that is added has to be added here.
            envelope: Envelope {
                content_type: Some(format!("{text}-1")),
                attributes: vec![(text.clone(), text.clone()), ("z".into(), String::new())],
                group: Some(format!("{text}-2")),
                correlation_id: Some(format!("{text}-3")),
                causation_id: Some(MessageId::from_bytes([level; 16])),
                reply_to: Some(QueueName::new("answers").unwrap()),
                message_type: Some(format!("{text}-4")),
                schema_version: Some(format!("{text}-5")),
                source: Some(format!("{text}-6")),
                traceparent: Some(format!("{text}-7")),
                tracestate: Some(format!("{text}-8")),
                priority: Priority::new(level).unwrap(),
            },
            due: [Due::Now, Due::After(Duration::from_millis(ms)), Due::At(Timestamp::from_unix_ms(ms))][usize::from(level) % 3],
            ttl: Some(Duration::from_millis(ms)),
            dedup_id: Some("d".into()),
        };
        let json = serde_json::to_vec(&MessageIn::of(message.clone())).unwrap();
        let read: MessageIn = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(read.into_message().unwrap(), message);
    }
}
