//! A handler of requests that was built against the published interface, and knows nothing of this host.

use gristmill_tests::{Host, guests};
use serde_json::{Value, json};

use crate::fixture;

const WEBHOOK: &str = r#"
[defaults.queue]
backoff = { base = "10ms", factor = 1 }

[queue.calls]
handler = "webhook.wasm"
max_attempts = 2

[queue.answers]

[handler.webhook]
reply = true
"#;

fn waiting(host: &Host, queue: &str) -> Vec<Value> {
    let peeked = host.json(&["peek", queue, "--limit", "100"]).unwrap();
    peeked["items"].as_array().unwrap().clone()
}

/// How the message with this body ends: its reason, what is said, and how many attempts it took.
fn dead(host: &Host, body: &str) -> (String, String, u64) {
    let id = host.send("calls", body).unwrap();
    host.wait_settled(&["calls"]).unwrap();
    let letter = host.dead_letter("calls", &id).unwrap();
    let text = |key: &str| letter[key].as_str().unwrap().to_owned();
    let attempts = letter["counters"]["attempts"].as_u64().unwrap();
    (text("reason"), text("error"), attempts)
}

#[test]
fn a_handler_of_requests_acks_retries_and_rejects_by_the_status() {
    let host = fixture::host(WEBHOOK, &["webhook"]);
    for body in ["answer 200 thanks", "answer 204", "print hello"] {
        host.send("calls", body).unwrap();
    }
    host.wait_settled(&["calls"]).unwrap();
    assert_eq!(host.queue("calls").unwrap().acked, 3);
    assert_eq!(waiting(&host, "answers").len(), 0, "nobody asked");
    host.wait_until("what it printed is in the log", |host| {
        Ok(host.log().matches("hello").count() >= 2)
    })
    .unwrap();

    let table = [
        (
            "answer 422 no cents",
            "rejected",
            1,
            "answered 422 Unprocessable Entity: no cents",
        ),
        ("answer 404", "rejected", 1, "answered 404 Not Found"),
        (
            "answer 503 the till is shut",
            "retry",
            2,
            "answered 503 Service Unavailable: the till is shut",
        ),
        ("answer 429", "retry", 2, "answered 429 Too Many Requests"),
        ("answer 302", "retry", 2, "that is neither yes nor no"),
        ("later 0 soon", "retry", 2, "answered 503"),
        (
            "refuse no ink",
            "retry",
            2,
            "answered with internal-error: no ink",
        ),
        ("nothing", "trap", 2, "returned without a response"),
        (
            "half",
            "trap",
            2,
            "before the body of its response was whole",
        ),
        ("trap", "trap", 2, "too late"),
        ("flood", "output-limit", 2, "raise `max_send_bytes`"),
        ("hoard", "output-limit", 2, "drop those that are done with"),
        (
            "fetch",
            "retry",
            2,
            "no answer: ErrorCode::HttpRequestDenied; it asked for an answer from elsewhere \
             (wasi:http/outgoing-handler), and no handler has any: let it send to a queue, and have a program \
             outside receive from that",
        ),
    ];
    for (body, reason, attempts, words) in table {
        let (found, error, counted) = dead(&host, body);
        assert_eq!((&*found, counted), (reason, attempts), "{body}: {error}");
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[test]
fn an_event_that_is_sent_over_http_comes_to_the_handler_as_it_was_sent() {
    let host = fixture::host(WEBHOOK, &["webhook"]);
    let event = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("ce-specversion", "1.0"),
        ("ce-id", "A-1"),
        ("ce-source", "/shop/7"),
        ("ce-type", "order.placed"),
        ("ce-time", "2026-01-01T00:00:00Z"),
        ("ce-subject", "gr%C3%BCn%20%25"),
        ("ce-count", "3"),
        ("Gristmill-Attr-Tenant", "a"),
        ("Gristmill-Group", "g"),
        ("Gristmill-Reply-To", "answers"),
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ),
    ];
    let path = "/v1/queues/calls/messages";
    let sent = host.socket().post(path, &event, b"headers").unwrap();
    assert!(sent.status < 300, "{}", sent.text);
    host.wait_settled(&["calls"]).unwrap();
    let [answer] = &waiting(&host, "answers")[..] else {
        panic!("one answer");
    };
    let envelope = &answer["envelope"];
    assert_eq!(
        (&envelope["type"], &envelope["content_type"]),
        (&json!("seen"), &json!("text/plain")),
        "{answer}"
    );
    assert_eq!(envelope["attributes"], json!({ "kind": "headers" }));
    assert_eq!(envelope["source"], "webhook");
    let seen = answer["body"].as_str().unwrap();
    assert!(
        seen.starts_with("Method::Post Scheme::Http localhost /\n"),
        "{seen}"
    );
    for (name, value) in event {
        let line = format!("{}: {value}", name.to_lowercase());
        assert!(seen.lines().any(|one| one == line), "{line} of\n{seen}");
    }
    for line in [
        "gristmill-queue: calls",
        "gristmill-attempt: 1",
        "gristmill-max-attempts: 2",
        "content-length: 7",
    ] {
        assert!(seen.lines().any(|one| one == line), "{line} of\n{seen}");
    }
    let names = seen
        .lines()
        .skip(1)
        .map(|line| line.split(':').next().unwrap());
    let mut names: Vec<_> = names.collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "each header is there once:\n{seen}");
}

#[test]
fn who_asks_a_handler_of_requests_gets_the_body_of_its_response() {
    let host = fixture::host(WEBHOOK, &["webhook"]);
    let asked = host
        .done(&["request", "calls", "answer 200 forty-two"])
        .unwrap();
    assert_eq!(asked.trim(), "forty-two");

    let deaf = WEBHOOK.replace("reply = true\n", "");
    let host = fixture::host(&deaf, &["webhook"]);
    let args = ["send", "calls", "answer 200 x", "--reply-to", "answers"];
    host.done(&args).unwrap();
    host.wait_settled(&["calls"]).unwrap();
    assert_eq!(host.queue("calls").unwrap().acked, 1);
    assert_eq!(waiting(&host, "answers").len(), 0);
    host.wait_until("the log says why", |host| {
        Ok(host
            .log()
            .contains("add `reply = true` to [handler.webhook]"))
    })
    .unwrap();
}

#[test]
fn a_person_sees_what_a_handler_of_requests_is_and_would_do() {
    let host = Host::new(WEBHOOK, &["webhook"]).unwrap();
    let module = guests().unwrap().path("webhook");
    let module = module.to_str().unwrap();
    let inspect = [
        "handlers",
        "inspect",
        module,
        "--reply-to",
        "answers",
        "--call",
    ];
    let shown = host
        .done(&[&inspect[..], &["answer 200 forty-two"]].concat())
        .unwrap();
    for expected in [
        "form         http\n",
        "guarantee    atomic: ",
        "requests to elsewhere: libraries of its language do; whatever it tries with them fails",
        "  wasi:http/incoming-handler@0.2.12\n",
        "  outcome      done\n",
        "  to answers (the answer): forty-two\n",
        "  reply = true\n",
    ] {
        assert!(
            shown.contains(expected),
            "{expected:?} is missing in\n{shown}"
        );
    }
    let refused = host
        .run(&[&inspect[..], &["answer 422 no cents"]].concat())
        .unwrap();
    assert_eq!(refused.code, Some(1));
    for expected in [
        "  outcome      rejected\n",
        "answered 422 Unprocessable Entity: no cents",
    ] {
        assert!(refused.stdout.contains(expected), "{}", refused.stdout);
    }
    let checked = host.done(&["check", "--strict"]).unwrap();
    assert!(!checked.contains("refused"), "{checked}");
}
