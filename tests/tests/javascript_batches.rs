//! Plain JavaScript files that take several messages at once.

use std::fs;

use gristmill_tests::Host;

use crate::javascript::{bodies, wait_serving};

const BATCHES: &str = r#"[queue.payments]
handler = "sums.js"
batch_size = 10
batch_wait = "10ms"
max_attempts = 2
backoff = { base = "10ms", factor = 1 }
[queue.summaries]
[handler.sums]
send_to = ["summaries"]
"#;

/// Two of these may be in one batch: each is then done by itself.
const SUMS: &str = r#"import { send, reject } from "gristmill";

export function handleBatch(messages) {
  const payments = messages.map((message) => message.json());
  if (payments.some(({ cents }) => cents < 0)) throw new RangeError("it was robbed");
  const good = payments.filter(({ cents }) => cents > 0);
  send("summaries", { of: messages.length, cents: good.reduce((sum, { cents }) => sum + cents, 0) });
  return payments.map(({ cents }) => (cents > 0 ? undefined : reject("it is nothing")));
}
"#;

/// Sends all while the queue is paused, so that they are there together.
fn send_together(host: &Host, cents: &[i32]) {
    let bodies: Vec<String> = cents
        .iter()
        .map(|cents| format!("{{\"cents\":{cents}}}"))
        .collect();
    host.done(&["pause", "payments"]).unwrap();
    host.send_all("payments", &bodies).unwrap();
    host.done(&["resume", "payments"]).unwrap();
    host.wait_settled(&["payments"]).unwrap();
}

#[test]
fn a_file_takes_batches_with_an_outcome_for_each_and_one_that_throws_is_found_alone() {
    let mut host = Host::new(BATCHES, &[]).unwrap();
    fs::write(host.folder().join("handlers/sums.js"), SUMS).unwrap();
    host.start().unwrap();
    wait_serving(&host);
    send_together(&host, &[5, 0, 7]);
    let payments = host.queue("payments").unwrap();
    assert_eq!((payments.acked, payments.dead), (2, 1));
    assert_eq!(bodies(&host, "summaries"), [r#"{"of":3,"cents":12}"#]);

    send_together(&host, &[1, -1, 2]);
    let payments = host.queue("payments").unwrap();
    assert_eq!((payments.acked, payments.dead), (4, 2));
    assert_eq!(payments.handed_back, 3, "the batch, held against nobody");
    let mut alone = bodies(&host, "summaries").split_off(1);
    alone.sort();
    assert_eq!(
        alone,
        [r#"{"of":1,"cents":1}"#, r#"{"of":1,"cents":2}"#],
        "nothing of the batch counts"
    );
    let dead = host.dead("payments").unwrap();
    let errors: Vec<&str> = dead
        .iter()
        .filter_map(|dead| dead["error"].as_str())
        .collect();
    assert!(
        errors
            .iter()
            .any(|error| error.starts_with("RangeError: it was robbed\n")
                && error.contains("handleBatch (sums.js:5:")),
        "{errors:?}"
    );
}

#[test]
fn a_file_that_takes_single_messages_is_refused_for_a_queue_of_batches() {
    let mut host = Host::new(BATCHES, &[]).unwrap();
    let single = "export function handle(message) {}\n";
    fs::write(host.folder().join("handlers/sums.js"), single).unwrap();
    host.start().unwrap();
    host.wait_until("it is refused", |host| {
        Ok(host.done(&["handlers"])?.contains("does not take batches"))
    })
    .unwrap();
}
