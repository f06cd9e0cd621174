//! Modules and configurations that change under a running host.

use std::sync::atomic::{AtomicBool, Ordering};

use gristmill_tests::{Host, guests};
use rustix::process::Signal;
use serde_json::Value;

use crate::fixture;

fn handler(host: &Host) -> anyhow::Result<Value> {
    let handlers = host.socket().get("/v1/handlers")?.json();
    Ok(handlers["items"][0].clone())
}

fn hash(host: &Host) -> anyhow::Result<String> {
    Ok(handler(host)?["version"]["hash"]
        .as_str()
        .unwrap_or_default()
        .to_owned())
}

#[test]
fn a_module_is_replaced_while_messages_flow_and_no_attempt_fails() {
    let host = fixture::host(&fixture::config("", ""), &["misbehave"]);
    let module = std::fs::read(guests().unwrap().path("misbehave")).unwrap();
    let replaced = AtomicBool::new(false);
    let sent = std::thread::scope(|threads| {
        let producer = threads.spawn(|| {
            let mut sent = 0u64;
            while !replaced.load(Ordering::Relaxed) {
                host.send("work", "echo me").unwrap();
                sent += 1;
            }
            sent
        });
        for round in 0..3 {
            let before = hash(&host).unwrap();
            host.install_bytes(&fixture::variant(&module, &format!("{round}")), "misbehave")
                .unwrap();
            host.wait_until("the new version serves", |host| Ok(hash(host)? != before))
                .unwrap();
        }
        replaced.store(true, Ordering::Relaxed);
        producer.join().unwrap()
    });
    host.wait_settled(&["work"]).unwrap();
    let work = host.queue("work").unwrap();
    assert_eq!((work.acked, work.failed, work.dead), (sent, 0, 0));
    assert_eq!(host.queue("out").unwrap().ready, sent);
}

#[test]
fn messages_wait_for_a_module_that_is_gone_and_a_bad_one_changes_nothing() {
    let host = fixture::host(&fixture::config("max_attempts = 1", ""), &["misbehave"]);
    let status = |host: &Host, expected: &str| Ok(handler(host)?["status"] == expected);

    std::fs::remove_file(host.module("misbehave")).unwrap();
    host.wait_until("it is missing", |host| status(host, "missing"))
        .unwrap();
    for _ in 0..3 {
        host.send("work", "ok").unwrap();
    }
    let work = host.queue("work").unwrap();
    assert_eq!(
        (work.ready, work.failed, work.gate.as_deref()),
        (3, 0, Some("no-handler"))
    );
    assert!(work.gate_detail.unwrap().contains("misbehave.wasm"));

    host.install("misbehave", "misbehave").unwrap();
    host.wait_until("it serves", |host| Ok(host.queue("work")?.acked == 3))
        .unwrap();

    let before = hash(&host).unwrap();
    host.install_bytes(b"no module at all", "misbehave")
        .unwrap();
    host.wait_until("it is refused", |host| {
        let handler = handler(host)?;
        Ok(handler["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("not WebAssembly")))
    })
    .unwrap();
    assert_eq!(hash(&host).unwrap(), before);
    assert!(status(&host, "serving").unwrap());
    host.send("work", "ok").unwrap();
    host.wait_until("the old one serves", |host| {
        Ok(host.queue("work")?.acked == 4)
    })
    .unwrap();
    let shown = host.done(&["handlers"]).unwrap();
    assert!(
        shown.contains("misbehave.wasm is not WebAssembly"),
        "{shown}"
    );
}

#[test]
fn a_broken_configuration_changes_nothing_and_a_whole_one_is_applied() {
    let good = fixture::config("", "");
    let host = fixture::host(&good, &["misbehave"]);
    host.configure(&format!(
        "{good}\n[queue.more]\n[queue.work2]\nhandlr = \"x.wasm\"\n"
    ))
    .unwrap();
    host.signal(Signal::HUP).unwrap();
    host.wait_until("it is refused", |host| {
        Ok(host.log().contains("the old configuration stays"))
    })
    .unwrap();
    assert!(host.log().contains("handlr"), "{}", host.log());
    assert!(host.queue("more").is_err());
    host.send("work", "ok").unwrap();
    host.wait_until("the old one holds", |host| {
        Ok(host.queue("work")?.acked == 1)
    })
    .unwrap();

    host.configure(&format!(
        "{good}\n[queue.more]\nhandler = \"misbehave.wasm\"\n"
    ))
    .unwrap();
    host.signal(Signal::HUP).unwrap();
    host.wait_until("the new queue is there", |host| {
        Ok(host.queue("more").is_ok())
    })
    .unwrap();
    host.send("more", "ok").unwrap();
    host.wait_until("and delivers", |host| Ok(host.queue("more")?.acked == 1))
        .unwrap();
}
