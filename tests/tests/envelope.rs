//! What a sender says about a message is kept, shown, and carried on by what handlers send.

use serde_json::{Value, json};

use crate::fixture;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const CAUSE: &str = "019a9b5e-7c11-7f00-8000-000000000001";

/// Every option about a message that `peek` and `dead show` can show again.
const OPTIONS: [(&str, &str, &str); 11] = [
    ("--content-type", "text/x-verb", "content_type"),
    ("--group", "g-7", "group"),
    ("--correlation-id", "c-7", "correlation_id"),
    ("--causation-id", CAUSE, "causation_id"),
    ("--reply-to", "out", "reply_to"),
    ("--type", "order.placed", "type"),
    ("--schema-version", "2.1", "schema_version"),
    ("--source", "shop", "source"),
    ("--traceparent", PARENT, "traceparent"),
    ("--tracestate", "rojo=1,congo=2", "tracestate"),
    ("--attribute", "Tenant=a b", "attributes"),
];

fn sent(host: &gristmill_tests::Host, queue: &str, body: &str) -> String {
    let mut args = vec!["send", queue, body, "--priority", "7"];
    for (option, value, _) in OPTIONS {
        args.extend([option, value]);
    }
    host.done(&args).unwrap().trim().to_owned()
}

fn is_whole(envelope: &Value) {
    assert_eq!(envelope["priority"], 7);
    for (_, value, field) in OPTIONS {
        let expected = match field {
            "attributes" => json!({ "Tenant": "a b" }),
            _ => json!(value),
        };
        assert_eq!(envelope[field], expected, "{field} of {envelope}");
    }
}

#[test]
fn every_field_that_is_sent_is_shown_while_it_waits_and_when_it_is_dead() {
    let host = fixture::host(&fixture::config("max_attempts = 1", ""), &["misbehave"]);
    let waiting = sent(&host, "out", "hello");
    let peeked = host.json(&["peek", "out"]).unwrap();
    assert_eq!(peeked["items"][0]["id"], json!(waiting));
    is_whole(&peeked["items"][0]["envelope"]);
    let dead = sent(&host, "work", "reject why");
    host.wait_settled(&["work"]).unwrap();
    is_whole(&host.dead_letter("work", &dead).unwrap()["envelope"]);
    let shown = [
        host.done(&["peek", "out", "--full"]).unwrap(),
        host.done(&["dead", "show", "work", &dead]).unwrap(),
    ];
    for text in shown {
        for (option, value, _) in OPTIONS {
            let value = value.replace('=', if option == "--attribute" { " = " } else { "=" });
            assert!(text.contains(&value), "{option} {value} is not in\n{text}");
        }
    }
    let refused = ["send", "out", "x", "--traceparent", "00-1-2-01"];
    let refused = host.run(&refused).unwrap();
    assert!(
        refused.code != Some(0) && refused.stderr.contains("W3C Trace Context"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_a_handler_sends_is_a_child_of_its_message_and_belongs_to_its_trace() {
    let host = fixture::host(&fixture::config("", ""), &["misbehave"]);
    let asked = [
        sent(&host, "work", "reply yes"),
        sent(&host, "work", "echo"),
    ];
    host.wait_settled(&["work"]).unwrap();
    let peeked = host.json(&["peek", "out"]).unwrap();
    let items = peeked["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{peeked}");
    for item in items {
        let envelope = &item["envelope"];
        assert!(asked.iter().any(|id| envelope["causation_id"] == json!(id)));
        assert_eq!(envelope["source"], "misbehave");
        assert_eq!(envelope["traceparent"], PARENT);
        assert_eq!(envelope["tracestate"], "rojo=1,congo=2");
    }
    let reply = items.iter().find(|item| item["body"] == "yes").unwrap();
    assert_eq!(reply["envelope"]["correlation_id"], "c-7");
}
