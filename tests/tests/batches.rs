//! A handler of batches, from the configuration to the commit.

use gristmill_tests::Host;

use crate::fixture;

const CONFIG: &str = r#"
[queue.payments]
handler = "totals.wasm"
batch_size = 10
batch_wait = "10ms"
max_attempts = 2
backoff = { base = "10ms", factor = 1 }

[queue.summaries]

[handler.totals]
send_to = ["summaries"]
state = true
"#;

/// Sends all while the queue is paused, so that they are there together.
fn send_together(host: &Host, bodies: &[&str]) {
    let bodies: Vec<String> = bodies.iter().map(ToString::to_string).collect();
    host.done(&["pause", "payments"]).unwrap();
    host.send_all("payments", &bodies).unwrap();
    host.done(&["resume", "payments"]).unwrap();
    host.wait_settled(&["payments"]).unwrap();
}

#[test]
fn a_batch_is_one_commit_and_a_poisoned_message_in_it_costs_its_neighbours_no_attempt() {
    let host = fixture::host(CONFIG, &["totals"]);
    let good = r#"{"account":"a","cents":5}"#;
    send_together(&host, &[good, good, "nothing", good]);
    let payments = host.queue("payments").unwrap();
    assert_eq!(
        (payments.acked, payments.dead, payments.handed_back),
        (3, 1, 0)
    );
    let summaries = host.done(&["peek", "summaries"]).unwrap();
    assert!(
        summaries.contains(r#"{"payments":3,"cents":15}"#),
        "{summaries}"
    );
    assert_eq!(host.queue("summaries").unwrap().ready, 1);
    let handlers = host.done(&["handlers"]).unwrap();
    assert!(handlers.contains("4.0 on average"), "{handlers}");

    let poison = r#"{"account":"poison","cents":1}"#;
    send_together(&host, &[good, poison, good]);
    let payments = host.queue("payments").unwrap();
    // The whole batch once; then only the poisoned one fails, twice and by itself.
    assert_eq!((payments.acked, payments.dead), (5, 2));
    assert_eq!(payments.handed_back, 3);
    let dead = host.dead("payments").unwrap();
    let poisoned = dead.iter().find(|dead| dead["reason"] == "trap").unwrap();
    assert_eq!(poisoned["attempts"], 2);
    assert_eq!(host.queue("summaries").unwrap().ready, 3);
}

#[test]
fn a_module_that_takes_no_batches_is_refused_and_its_queue_waits() {
    let config = CONFIG.replace("totals", "sink");
    let mut host = Host::new(&config, &["sink"]).unwrap();
    host.start().unwrap();
    host.send("payments", "{}").unwrap();
    host.wait_until("it is refused", |host| {
        Ok(host.done(&["handlers"])?.contains("does not take batches"))
    })
    .unwrap();
    assert_eq!(host.queue("payments").unwrap().ready, 1);
    host.configure(&config.replace("batch_size = 10\nbatch_wait = \"10ms\"\n", ""))
        .unwrap();
    host.wait_settled(&["payments"]).unwrap();
}
