//! Handlers that know nothing of this host, each in its own form.

use gristmill_tests::{Host, program};
use serde_json::Value;

use crate::fixture;

/// What waits in a queue, each with its body.
fn waiting(host: &Host, queue: &str) -> Vec<Value> {
    let peeked = host.json(&["peek", queue, "--limit", "100"]).unwrap();
    peeked["items"].as_array().unwrap().clone()
}

const PROGRAM: &str = r#"
[defaults.queue]
backoff = { base = "10ms", factor = 1 }

[queue.orders]
handler = "command.wasm"
max_attempts = 3

[queue.invoices]

[handler.command]
stdout_to = "invoices"
"#;

/// The same program as a core module and as a component.
#[test]
fn a_program_reads_the_message_and_its_lines_and_exit_status_count() {
    let core = std::fs::read(program().unwrap()).unwrap();
    assert_eq!(&core[..8], b"\0asm\x01\0\0\0", "a core module");
    let mut host = fixture::host(PROGRAM, &["command"]);
    orders(&host, "a component", ["exit status 1", "retry", "retry"]);
    host.stop().unwrap();

    let mut host = Host::new(PROGRAM, &[]).unwrap();
    host.install_bytes(&core, "command").unwrap();
    host.start().unwrap();
    orders(
        &host,
        "a core module",
        ["exit status 65", "rejected", "retry"],
    );
    let handlers = host.done(&["handlers"]).unwrap();
    assert!(handlers.contains("command  atomic"), "{handlers}");
}

/// `ends` is how a wrong order ends: what is said of its exit status, and why it is dead.
fn orders(host: &Host, what: &str, ends: [&str; 3]) {
    let good = host
        .done(&[
            "send",
            "orders",
            r#"{"id":"a","cents":900}"#,
            "--attr",
            "tenant=ünï",
        ])
        .unwrap();
    assert!(!good.is_empty());
    host.send("orders", r#"{"id":"b","cents":5,"unreachable":2}"#)
        .unwrap();
    let wrong = host.send("orders", "{}").unwrap();
    let panics = host
        .send("orders", r#"{"id":"c","cents":1000000}"#)
        .unwrap();
    let never = host
        .send("orders", r#"{"id":"d","cents":1,"unreachable":9}"#)
        .unwrap();
    host.wait_settled(&["orders"]).unwrap();

    let mut invoices: Vec<String> = waiting(host, "invoices")
        .iter()
        .map(|one| {
            assert_eq!(
                one["envelope"]["content_type"], "application/json",
                "{what}: {one}"
            );
            assert_eq!(one["envelope"]["source"], "command", "{what}: {one}");
            one["body"].as_str().unwrap().to_owned()
        })
        .collect();
    invoices.sort();
    let expected = [
        r#"{"order":"a","cents":900,"tenant":"ünï"}"#,
        r#"{"order":"b","cents":5,"tenant":""}"#,
    ];
    assert_eq!(invoices, expected, "{what}");

    let dead = |id: &str| {
        let letter = host.dead_letter("orders", id).unwrap();
        let text = |key: &str| letter[key].as_str().unwrap().to_owned();
        (text("reason"), text("error"))
    };
    let (reason, error) = dead(&wrong);
    assert_eq!(reason, ends[1], "{what}: {error}");
    assert!(
        error.starts_with(ends[0]) && error.contains("not an order: missing field `id`"),
        "{what}: {error}"
    );
    let (reason, error) = dead(&panics);
    assert_eq!(reason, "trap", "{what}: {error}");
    assert!(
        error.contains("nobody pays 1000000 cents"),
        "{what}: {error}"
    );
    let (reason, error) = dead(&never);
    assert_eq!(reason, ends[2], "{what}: {error}");
    assert!(
        error.contains("the warehouse is not to be reached"),
        "{what}: {error}"
    );
}

const POSTBOX: &str = r#"
[defaults.queue]
backoff = { base = "10ms", factor = 1 }

[queue.letters]
handler = "postbox.wasm"
max_attempts = 2

[queue.out]

[queue.answers]

[handler.postbox]
send_to = ["out"]
reply = true
"#;

/// A component that was built against the draft, and knows nothing of this host.
#[test]
fn a_handler_of_the_draft_acks_retries_sends_and_replies() {
    let host = fixture::host(POSTBOX, &["postbox"]);
    let send = |body: &str| {
        let args = [
            "send",
            "letters",
            body,
            "--attribute",
            "colour=red",
            "--group",
            "g",
            "--reply-to",
            "answers",
            "--type",
            "letter",
            "--content-type",
            "text/plain",
        ];
        host.done(&args).unwrap();
    };
    for body in ["ok", "send out hello", "reply thanks", "metadata out"] {
        send(body);
    }
    host.wait_settled(&["letters"]).unwrap();
    assert_eq!(host.queue("letters").unwrap().acked, 4);
    let out = waiting(&host, "out");
    assert_eq!(out.len(), 2, "{out:#?}");
    let letter = &out[0];
    assert_eq!(
        (&letter["body"], &letter["envelope"]["content_type"]),
        (&"hello".into(), &"text/plain".into())
    );
    assert_eq!(
        (&letter["envelope"]["group"], &letter["envelope"]["type"]),
        (&"g".into(), &"letter".into()),
        "{letter}"
    );
    assert_eq!(letter["envelope"]["source"], "postbox");
    assert_eq!(
        letter["envelope"]["attributes"],
        serde_json::json!({ "colour": "red", "stamp": "paid" })
    );
    let known = out[1]["body"].as_str().unwrap();
    for line in [
        "topic: letters",
        "colour: red",
        "gristmill-attempt: 1",
        "gristmill-group: g",
    ] {
        assert!(known.lines().any(|one| one == line), "{line} of\n{known}");
    }
    let [answer] = &waiting(&host, "answers")[..] else {
        panic!("one answer");
    };
    assert_eq!(answer["body"], "thanks");
    assert!(answer["envelope"]["correlation_id"].is_string(), "{answer}");

    let failing = [
        ("fail no ink", "retry", "no ink"),
        (
            "send elsewhere hello",
            "retry",
            "add it to `send_to` of [handler.postbox]",
        ),
        (
            "request out hello",
            "retry",
            "no handler waits for an answer",
        ),
        ("hoard", "output-limit", "drop those that are done with"),
    ];
    for (body, reason, error) in failing {
        let id = host.send("letters", body).unwrap();
        host.wait_settled(&["letters"]).unwrap();
        let dead = host.dead_letter("letters", &id).unwrap();
        let said = dead["error"].as_str().unwrap();
        assert_eq!(
            (&dead["reason"], &dead["counters"]["attempts"]),
            (&reason.into(), &2.into()),
            "{body}: {said}"
        );
        assert!(said.contains(error), "{body}: {said}");
    }
    assert_eq!(waiting(&host, "out").len(), 2);
}

#[test]
fn what_the_draft_imports_is_granted_as_anything_else() {
    let bare = POSTBOX.replace("send_to = [\"out\"]\nreply = true\n", "");
    let host = Host::new(&bare, &["postbox"]).unwrap();
    let refused = host.run(&["check"]).unwrap();
    for line in [
        "imports wasi:messaging/producer@0.2.0-draft, but it is not granted: add `send_to = [\"…\"]` to \
         [handler.postbox]",
        "imports wasi:messaging/request-reply@0.2.0-draft, but it is not granted: add `reply = true` to \
         [handler.postbox]",
    ] {
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(said.contains(line), "{said}");
    }
}
