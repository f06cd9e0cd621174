//! Topics and requests, from the configuration to the command line.

use crate::fixture;

const ROUTED: &str = r#"
[queue.work]
handler = "misbehave.wasm"
max_attempts = 1

[queue.audit]
[queue.large]

[topic.events]
queues = ["audit"]

[topic.events.filter.large]
attributes.cents = { min = 1000 }

[topic.orders]
unmatched = "refuse"

[topic.orders.filter.large]
type = "order.placed"

[handler.misbehave]
send_to = ["events"]
reply = true
state = true
secrets = { none = { file = "gristmill.toml" } }
"#;

#[test]
fn a_topic_copies_by_its_filters_and_counts_what_matched_nothing() {
    let host = fixture::host(ROUTED, &["misbehave"]);
    let ready = |queue: &str| host.queue(queue).unwrap().ready;
    host.done(&["send", "events", "a", "--attribute", "cents=999"])
        .unwrap();
    assert_eq!((ready("audit"), ready("large")), (1, 0));
    host.done(&["send", "events", "b", "--attribute", "cents=1000"])
        .unwrap();
    assert_eq!((ready("audit"), ready("large")), (2, 1));
    let refused = host.run(&["send", "orders", "c"]).unwrap();
    assert_eq!(refused.code, Some(6), "{refused:?}");
    let shown = host.done(&["topics"]).unwrap();
    assert!(shown.contains("attributes.cents >= 1000"), "{shown}");
    // Of a batch to several queues and topics all is sent, or nothing.
    let batch = host.folder().join("batch.jsonl");
    std::fs::write(
        &batch,
        "{\"queue\":\"audit\",\"body\":\"1\"}\n{\"queue\":\"nowhere\",\"body\":\"2\"}\n",
    )
    .unwrap();
    let sent = host.run(&["send-batch", batch.to_str().unwrap()]).unwrap();
    assert!(sent.code == Some(4));
    let said = sent.stderr;
    assert!(
        said.contains("messages[1]") && said.contains("nowhere"),
        "{said}"
    );
    assert_eq!(ready("audit"), 2);
    std::fs::write(
        &batch,
        "{\"queue\":\"audit\",\"body\":\"1\"}\n{\"queue\":\"events\",\"body\":\"2\"}\n",
    )
    .unwrap();
    host.done(&["send-batch", batch.to_str().unwrap()]).unwrap();
    assert_eq!((ready("audit"), ready("large")), (4, 1));
}

#[test]
fn a_request_is_answered_or_told_that_it_died_or_that_nothing_came() {
    let host = fixture::host(ROUTED, &["misbehave"]);
    let reply = host.done(&["request", "work", "reply hello"]).unwrap();
    assert_eq!(reply.trim(), "hello");
    let died = host.run(&["request", "work", "reject no"]).unwrap();
    assert_eq!(died.code, Some(1));
    let said = died.stderr;
    assert!(
        said.contains("rejected") && said.contains("gristmill show"),
        "{said}"
    );
    // Nobody handles what is sent here.
    let none = host
        .run(&["request", "audit", "x", "--timeout", "10ms"])
        .unwrap();
    assert_eq!(none.code, Some(6));
    let said = none.stderr;
    assert!(said.contains("gristmill reply"), "{said}");
}
