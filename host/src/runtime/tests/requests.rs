//! Handlers of requests, in WAT.

mod guest;

use gristmill_queue::Reason;

use self::guest::{handler, handler_with};
use super::guests::PRODUCER;
use super::*;
use crate::runtime::Form;
use crate::runtime::spec::Secret;

/// Answers with a status, and `no cents`.
fn answers(status: u16, headers: &str) -> Vec<u8> {
    let body = format!(
        "(func $handle (param i32 i32)
           (call $answer (local.get 1) (i32.const {status}) {headers} (i32.const 2048) (i32.const 8)))"
    );
    handler("no cents", &body)
}

/// Answers with the value of the header that the body names; with nothing, if there is none.
fn tells() -> Vec<u8> {
    handler(
        "",
        "(func $handle (param i32 i32) (local $value i32) (local $length i32)
           (call $consume (local.get 0) (i32.const 0))
           (call $stream (i32.load (i32.const 4)) (i32.const 0))
           (call $read (i32.load (i32.const 4)) (i64.const 100) (i32.const 0))
           (if (i32.load8_u (i32.const 0)) (then unreachable))
           (call $get (call $headers (local.get 0)) (i32.load (i32.const 4)) (i32.load (i32.const 8))
             (i32.const 16))
           (if (i32.load (i32.const 20)) (then
             (local.set $value (i32.load (i32.load (i32.const 16))))
             (local.set $length (i32.load offset=4 (i32.load (i32.const 16))))))
           (call $answer (local.get 1) (i32.const 200) (call $fields) (local.get $value) (local.get $length)))",
    )
}

fn replies(spec: &mut HandlerSpec) {
    spec.grants.reply = true;
}

/// A delivery to which an answer is wanted.
fn asking(version: &HandlerVersion, envelope: Envelope) -> Delivery {
    delivery_of(
        version,
        Envelope {
            reply_to: Some(queue("answers")),
            ..envelope
        },
    )
}

#[tokio::test]
async fn the_status_of_the_response_decides() {
    let retried = |error: &str, seconds: Option<u64>| Outcome::Failed {
        reason: Reason::Retry,
        error: error.to_owned(),
        delay: seconds.map(Duration::from_secs),
    };
    let table = [
        (200, "(call $fields)", Outcome::Done),
        (204, "(call $fields)", Outcome::Done),
        (
            503,
            "(call $fields)",
            retried("answered 503 Service Unavailable: no cents", None),
        ),
        (
            429,
            "(call $again)",
            retried("answered 429 Too Many Requests: no cents", Some(7)),
        ),
        (
            422,
            "(call $again)",
            Outcome::Rejected {
                error: "answered 422 Unprocessable Entity: no cents".to_owned(),
            },
        ),
        (
            303,
            "(call $again)",
            retried(
                "answered 303 See Other: no cents; that is neither yes nor no: answer 2xx to acknowledge, 4xx \
                 to reject, 5xx to have it again",
                None,
            ),
        ),
    ];
    for (status, headers, expected) in table {
        let version = load(&answers(status, headers), |_| {});
        assert_eq!(version.form(), Form::Http);
        assert_eq!(version.guarantee(), GuaranteeClass::Atomic);
        let report = run(&version).await;
        assert_eq!(report.outcome, expected, "{status}");
        assert_eq!(report.effects.sends, []);
    }
}

#[tokio::test]
async fn the_message_is_an_event_in_binary_mode() {
    let version = load(&tells(), replies);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let envelope = Envelope {
        content_type: Some("application/json".to_owned()),
        message_type: Some("order.placed".to_owned()),
        source: Some("/shop €".to_owned()),
        group: Some("größe".to_owned()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        attributes: vec![
            pair("tenant", "ünï"),
            pair("ce-subject", "50% off"),
            pair("ce-id", "A-1"),
        ],
        ..Envelope::default()
    };
    let tell = async |name: &str, envelope: &Envelope| {
        let mut delivery = asking(&version, envelope.clone());
        Arc::get_mut(&mut delivery.message).unwrap().body = name.to_owned().into();
        let id = delivery.message.id.to_string();
        let report = version.run(delivery).await;
        assert_eq!(report.outcome, Outcome::Done, "{name}");
        let [reply] = &report.effects.sends[..] else {
            panic!("{report:?}");
        };
        assert_eq!(reply.to.as_str(), "answers");
        let value = String::from_utf8(reply.message.body.to_vec()).unwrap();
        (value, id)
    };
    let table = [
        ("ce-specversion", "1.0"),
        ("ce-id", "A-1"),
        ("ce-type", "order.placed"),
        ("ce-source", "/shop%20%E2%82%AC"),
        ("ce-time", "2025-11-20T12:00:00.000Z"),
        ("Ce-Subject", "50%25%20off"),
        ("content-type", "application/json"),
        ("content-length", "14"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
        ("tracestate", ""),
        ("gristmill-queue", "orders"),
        ("gristmill-attempt", "1"),
        ("gristmill-max-attempts", "10"),
        ("gristmill-group", "größe"),
        ("gristmill-source", "/shop €"),
        ("gristmill-reply-to", "answers"),
        ("gristmill-attr-tenant", "ünï"),
        ("gristmill-attr-ce-subject", ""),
        ("gristmill-attributes", ""),
    ];
    for (name, expected) in table {
        assert_eq!(tell(name, &envelope).await.0, expected, "{name}");
    }
    let (told, id) = tell("gristmill-id", &envelope).await;
    assert_eq!(told, id);
    // What a message does not say of itself, every event says all the same.
    let plain = Envelope::default();
    let (told, id) = tell("ce-id", &plain).await;
    assert_eq!(told, id);
    assert_eq!(tell("ce-type", &plain).await.0, "gristmill.message");
    assert_eq!(
        tell("ce-source", &plain).await.0,
        "urn:gristmill:queue:orders"
    );
}

#[tokio::test]
async fn the_body_of_a_2xx_is_the_reply_if_one_is_wanted_and_granted() {
    let version = load(&answers(200, "(call $fields)"), replies);
    let report = version.run(asking(&version, Envelope::default())).await;
    let [reply] = &report.effects.sends[..] else {
        panic!("{report:?}");
    };
    assert_eq!(&*reply.message.body, b"no cents");
    let envelope = &reply.message.envelope;
    assert_eq!(envelope.source.as_deref(), Some("orders"));
    assert!(envelope.causation_id.is_some() && envelope.correlation_id.is_some());

    let nobody_asks = run(&version).await;
    let not_granted = load(&answers(200, "(call $fields)"), |_| {});
    let not_granted = not_granted
        .run(asking(&not_granted, Envelope::default()))
        .await;
    let no_content = load(&answers(204, "(call $fields)"), replies);
    let no_content = no_content
        .run(asking(&no_content, Envelope::default()))
        .await;
    let failed = load(&answers(500, "(call $fields)"), replies);
    let failed = failed.run(asking(&failed, Envelope::default())).await;
    for report in [nobody_asks, not_granted, no_content] {
        assert_eq!(report.outcome, Outcome::Done);
        assert_eq!(report.effects.sends, []);
    }
    assert_eq!(
        (failed.effects.sends.len(), super::failed(&failed).0),
        (0, "retry")
    );
}

#[tokio::test]
async fn what_a_handler_of_requests_sends_is_sent_with_the_ack_or_not_at_all() {
    let sends = |status: u16| {
        let body = format!(
            "(func $handle (param i32 i32)
               (i32.store (i32.const 3072) (i32.const 2048))
               (i32.store (i32.const 3076) (i32.const 3))
               (i32.store (i32.const 3080) (i32.const 2051))
               (i32.store (i32.const 3084) (i32.const 5))
               (call $send (i32.const 3072) (i32.const 512))
               (if (i32.load8_u (i32.const 512)) (then unreachable))
               (call $answer (local.get 1) (i32.const {status}) (call $fields) (i32.const 0) (i32.const 0)))"
        );
        handler_with(&[PRODUCER], "outhello", &body)
    };
    let to_out = |spec: &mut HandlerSpec| {
        spec.grants.send_to = Arc::new([(queue("out"), 1000)].into());
    };
    let report = run(&load(&sends(200), to_out)).await;
    assert_eq!(report.outcome, Outcome::Done);
    let [sent] = &report.effects.sends[..] else {
        panic!("{report:?}");
    };
    assert_eq!(
        (sent.to.as_str(), &*sent.message.body),
        ("out", &b"hello"[..])
    );
    for (status, reason) in [(500, "retry"), (400, "rejected")] {
        let report = run(&load(&sends(status), to_out)).await;
        assert_ne!(report.outcome, Outcome::Done, "{reason}");
        assert_eq!(report.effects.sends, [], "{reason}");
    }
    let ungranted = runtime().load(&spec(|_| {}), &sends(200)).unwrap_err();
    let ungranted = ungranted.to_string();
    assert!(
        ungranted.contains("gristmill:queue/producer@0.1.0, but it is not granted"),
        "{ungranted}"
    );
}

#[tokio::test]
async fn whatever_is_no_response_has_its_own_words() {
    let place = "(call $set (local.get 1) (i32.const 1) (i32.const 6) (i32.const 0) (i64.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let half = "(call $body (local.tee 2 (call $response (call $fields))) (i32.const 0))
         (call $set (local.get 1) (i32.const 0) (local.get 2) (i32.const 0) (i64.const 0)
           (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let late =
        "(call $answer (local.get 1) (i32.const 200) (call $fields) (i32.const 2048) (i32.const 2))
         unreachable";
    let table = [
        ("", "trap", "returned without a response"),
        (
            place,
            "retry",
            "answered with connection-refused instead of a response",
        ),
        (half, "trap", "before the body of its response was whole"),
        (late, "trap", "unreachable"),
    ];
    for (body, reason, words) in table {
        let module = handler(
            "hi",
            &format!("(func $handle (param i32 i32) (local i32) {body})"),
        );
        let report = run(&load(&module, |_| {})).await;
        let (found, error) = failed(&report);
        assert!(
            found == reason && error.contains(words),
            "{body}: {found}: {error}"
        );
    }
    // No body at all is an empty one.
    let bare = "(func $handle (param i32 i32)
        (call $set (local.get 1) (i32.const 0) (call $response (call $fields)) (i32.const 0) (i64.const 0)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))";
    let version = load(&handler("", bare), replies);
    let report = version.run(asking(&version, Envelope::default())).await;
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(&*report.effects.sends[0].message.body, b"");
}

#[tokio::test]
async fn what_the_host_holds_for_a_handler_of_requests_is_bounded() {
    let long = |length: u32| {
        format!(
            "(func $handle (param i32 i32)
               (call $answer (local.get 1) (i32.const 200) (call $fields) (i32.const 0) (i32.const {length})))"
        )
    };
    let most = |spec: &mut HandlerSpec| spec.limits.effects.max_send_bytes = 1000;
    let fits = load(&handler("", &long(1000)), most);
    assert_eq!(run(&fits).await.outcome, Outcome::Done);
    let too_long = run(&load(&handler("", &long(1001)), most)).await;
    let (reason, error) = failed(&too_long);
    assert_eq!(reason, "output-limit");
    assert!(
        error.contains("more than 1000 bytes") && error.contains("`max_send_bytes`"),
        "{error}"
    );

    let endless =
        |what: &str| format!("(func $handle (param i32 i32) (local i32) (loop $l {what} (br $l)))");
    let headers = endless(
        "(if (i32.eqz (local.get 2)) (then (local.set 2 (call $fields))))
         (call $append (local.get 2) (i32.const 1024) (i32.const 11) (i32.const 4096) (i32.const 0) (i32.const 0))
         (if (i32.load8_u (i32.const 0)) (then unreachable))",
    );
    let report = run(&load(&handler("", &headers), |_| {})).await;
    let (reason, error) = failed(&report);
    assert!(
        reason == "output-limit" && error.contains("made headers of more than"),
        "{error}"
    );
    let kept = run(&load(
        &handler("", &endless("(drop (call $fields))")),
        |_| {},
    ))
    .await;
    assert_eq!(failed(&kept).0, "trap");
}

#[tokio::test]
async fn the_words_of_a_response_do_not_tell_secrets() {
    let version = load(&answers(500, "(call $fields)"), |spec| {
        let secret = Secret::new("no cents".to_owned());
        spec.grants.secrets.insert("key".to_owned(), secret);
    });
    let report = run(&version).await;
    assert_eq!(
        failed(&report).1,
        "answered 500 Internal Server Error: [secret]"
    );
}

#[tokio::test]
async fn instances_are_fresh_unless_the_configuration_says_otherwise() {
    let module = answers(200, "(call $fields)");
    let version = load(&module, |spec| spec.limits.max_calls = MaxCalls::Auto);
    assert_eq!(version.reuse().calls, 1);
    let version = load(&module, |spec| spec.limits.max_calls = MaxCalls::Fixed(3));
    let mut reused = Vec::new();
    for _ in 0..4 {
        let report = run(&version).await;
        assert_eq!(report.outcome, Outcome::Done);
        reused.push(report.reused);
    }
    assert_eq!(reused, [false, true, true, false]);
}
