use super::*;

fn with(change: impl FnOnce(&mut NewMessage)) -> Result<(), InvalidMessage> {
    let mut message = NewMessage::with_body("{}");
    change(&mut message);
    message.check(10, Timestamp::from_unix_ms(1000))
}

#[test]
fn each_limit_refuses_and_says_which() {
    assert_eq!(with(|_| ()), Ok(()));
    let far = "x".repeat(limits::MAX_ENVELOPE_FIELD + 1);
    let table: [(&str, Result<(), InvalidMessage>); 9] = [
        (
            "11 bytes",
            with(|m| m.body = Bytes::from_static(b"0123456789a")),
        ),
        (
            "content_type",
            with(|m| m.envelope.content_type = Some(String::new())),
        ),
        ("group", with(|m| m.envelope.group = Some(far.clone()))),
        ("control", with(|m| m.envelope.source = Some("a\nb".into()))),
        (
            "\"gristmill-x\" is reserved",
            with(|m| m.envelope.attributes = vec![("gristmill-x".into(), "1".into())]),
        ),
        (
            "twice",
            with(|m| {
                m.envelope.attributes = vec![("a".into(), "1".into()), ("a".into(), "2".into())]
            }),
        ),
        (
            "at most 64 attributes",
            with(|m| {
                m.envelope.attributes = (0..65).map(|i| (format!("a{i}"), String::new())).collect()
            }),
        ),
        ("ttl", with(|m| m.ttl = Some(Duration::ZERO))),
        (
            "before it is due",
            with(|m| {
                m.ttl = Some(Duration::from_secs(1));
                m.due = Due::After(Duration::from_secs(1));
            }),
        ),
    ];
    for (expected, result) in table {
        let error = result.expect_err(expected).to_string();
        assert!(
            error.contains(expected),
            "{error} should contain {expected}"
        );
    }
}

/// How a text is put into a message.
type Put = fn(&mut NewMessage, String);

/// Every field of the envelope that is a text of the sender's choice, and the dedup id.
const TEXTS: [(&str, Put); 7] = [
    ("content_type", |m, text| {
        m.envelope.content_type = Some(text)
    }),
    ("group", |m, text| m.envelope.group = Some(text)),
    ("correlation_id", |m, text| {
        m.envelope.correlation_id = Some(text)
    }),
    ("type", |m, text| m.envelope.message_type = Some(text)),
    ("schema_version", |m, text| {
        m.envelope.schema_version = Some(text)
    }),
    ("source", |m, text| m.envelope.source = Some(text)),
    ("dedup_id", |m, text| m.dedup_id = Some(text)),
];

#[test]
fn every_text_of_the_envelope_has_1_to_1024_bytes_without_control_characters() {
    let most = limits::MAX_ENVELOPE_FIELD;
    for (field, put) in TEXTS {
        for good in ["x".to_owned(), "ü".repeat(most / 2), "a b".to_owned()] {
            assert_eq!(with(|m| put(m, good.clone())), Ok(()), "{field} {good}");
        }
        for size in [0, most + 1] {
            assert_eq!(
                with(|m| put(m, "x".repeat(size))),
                Err(InvalidMessage::Field {
                    field,
                    size,
                    limit: most
                })
            );
        }
        for control in ["a\nb", "\0", "\u{85}", "\u{7f}"] {
            assert_eq!(
                with(|m| put(m, control.to_owned())),
                Err(InvalidMessage::ControlCharacter { field })
            );
        }
    }
}

#[test]
fn attributes_are_at_most_64_of_64_kib_together_with_names_of_1_to_256_bytes() {
    let attributes = |all: Vec<(String, String)>| with(|m| m.envelope.attributes = all);
    let many = |count: usize| {
        (0..count)
            .map(|i| (format!("a{i}"), String::new()))
            .collect()
    };
    let one = |name: String, value: String| vec![(name, value)];
    let of_bytes = |bytes: usize| one("a".into(), "x".repeat(bytes - 1));
    assert_eq!(attributes(many(limits::MAX_ATTRIBUTES)), Ok(()));
    assert_eq!(
        attributes(many(limits::MAX_ATTRIBUTES + 1)),
        Err(InvalidMessage::TooManyAttributes)
    );
    assert_eq!(attributes(of_bytes(limits::MAX_ATTRIBUTE_BYTES)), Ok(()));
    assert_eq!(
        attributes(of_bytes(limits::MAX_ATTRIBUTE_BYTES + 1)),
        Err(InvalidMessage::TooManyAttributes)
    );
    let longest = "n".repeat(limits::MAX_ATTRIBUTE_NAME);
    // A value is the sender's: it may have lines, or be empty.
    assert_eq!(attributes(one(longest.clone(), "a\nb\0".into())), Ok(()));
    for bad in [String::new(), longest + "n", "a\tb".into()] {
        let refused = attributes(one(bad, String::new()));
        assert!(matches!(refused, Err(InvalidMessage::AttributeName { .. })));
    }
}

#[test]
fn a_trace_context_that_is_not_of_w3c_shape_is_refused() {
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let trace = |parent: Option<&str>, state: Option<&str>| {
        with(|m| {
            m.envelope.traceparent = parent.map(str::to_owned);
            m.envelope.tracestate = state.map(str::to_owned);
        })
    };
    for state in [
        None,
        Some(""),
        Some("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
    ] {
        assert_eq!(trace(Some(PARENT), state), Ok(()));
    }
    let refused = |problem| Err(InvalidMessage::Trace(problem));
    assert_eq!(
        trace(Some("00-1-2-01"), None),
        refused(InvalidTrace::Parent)
    );
    assert_eq!(
        trace(Some(PARENT), Some("a")),
        refused(InvalidTrace::Member(1))
    );
    assert_eq!(trace(None, Some("a=1")), refused(InvalidTrace::StateAlone));
    let long = format!("{PARENT}-").replacen("00", "01", 1) + &"x".repeat(1024);
    assert!(matches!(
        trace(Some(&long), None),
        Err(InvalidMessage::Field {
            field: "traceparent",
            ..
        })
    ));
    let long = format!(
        "a={},b={},c={},d={0},e={0}",
        "1".repeat(250),
        "2".repeat(250),
        "3".repeat(250)
    );
    assert!(matches!(
        trace(Some(PARENT), Some(&long)),
        Err(InvalidMessage::Field {
            field: "tracestate",
            ..
        })
    ));
}
