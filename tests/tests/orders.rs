//! The example of ordinary work, with the numbers that its own tests know.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_tests::workspace;

use crate::fixture;

const CONFIG: &str = r#"
[defaults.queue]
backoff = { base = "10ms", factor = 1 }

[queue.orders]
handler = "orders.wasm"

[queue.invoices]

[queue.notifications]
handler = "sink.wasm"

[handler.orders]
send_to = ["invoices", "notifications"]
state = true
"#;

#[test]
fn every_order_ends_as_it_should_and_all_is_there_after_a_restart() {
    let mut host = fixture::host(CONFIG, &["orders", "sink"]);
    let samples = workspace().join("handlers/orders/samples/orders.jsonl");
    let samples = samples.to_str().unwrap();
    let said = host
        .done(&["send", "orders", "--lines", "--file", samples])
        .unwrap();
    assert_eq!(said, "300 sent, 0 refused\n");
    host.wait_settled(&["orders", "notifications"]).unwrap();

    let queue = |name: &str| host.queue(name).unwrap();
    let orders = queue("orders");
    assert_eq!((orders.sent, orders.acked, orders.dead), (300, 286, 14));
    assert_eq!(queue("invoices").ready, 286);
    assert_eq!(queue("notifications").acked, 286);

    let mut reasons: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for letter in host.dead("orders").unwrap() {
        let text = |key: &str| letter[key].as_str().unwrap().to_owned();
        reasons
            .entry(text("reason"))
            .or_default()
            .push(text("error"));
        let attempts = if letter["reason"] == "retry" { 10 } else { 1 };
        assert_eq!(letter["attempts"], attempts, "{letter}");
    }
    let counts: Vec<_> = reasons
        .iter()
        .map(|(reason, all)| (reason.as_str(), all.len()))
        .collect();
    assert_eq!(counts, [("rejected", 12), ("retry", 2)]);
    let distinct: BTreeSet<&String> = reasons["rejected"].iter().collect();
    assert_eq!(distinct.len(), 12, "each is wrong in a way of its own");
    assert!(
        reasons["retry"]
            .iter()
            .all(|error| error.contains("503 Service Unavailable"))
    );

    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    host.start().unwrap();
    let after = |name: &str| host.queue(name).unwrap();
    assert_eq!((after("orders").dead, after("invoices").ready), (14, 286));
    let back = host
        .done(&["dead", "redrive", "orders", "--reason", "rejected", "--yes"])
        .unwrap();
    assert_eq!(back, "12 dead letters went back to orders\n");
    host.wait_until(
        "they die again",
        |host| Ok(host.queue("orders")?.dead == 14),
    )
    .unwrap();
}

#[test]
fn pictures_become_thumbnails() {
    let config = "[queue.images]\nhandler = \"thumbnail.wasm\"\n[queue.thumbnails]\n\
                  [handler.thumbnail]\nsend_to = [\"thumbnails\"]\n";
    let host = fixture::host(config, &["thumbnail"]);
    let samples = std::fs::read_dir(workspace().join("handlers/thumbnail/samples")).unwrap();
    let samples: Vec<_> = samples.map(|entry| entry.unwrap().path()).collect();
    for sample in &samples {
        host.done(&["send", "images", "--file", sample.to_str().unwrap()])
            .unwrap();
    }
    host.wait_settled(&["images"]).unwrap();
    let dead = host.dead("images").unwrap();
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0]["reason"], "rejected");
    let waiting = host.json(&["peek", "thumbnails"]).unwrap();
    let waiting = waiting["items"].as_array().unwrap();
    assert_eq!(waiting.len(), samples.len() - 1);
    for thumbnail in waiting {
        let size = thumbnail["envelope"]["attributes"]["size"]
            .as_str()
            .unwrap();
        let (width, height) = size.split_once('x').unwrap();
        let longer = width.parse::<u32>().unwrap().max(height.parse().unwrap());
        assert!(longer <= 128, "{size}");
    }
}
