//! A host that is asked to stop charges nobody for it.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rustix::process::Signal;

use crate::fixture;

#[test]
fn what_runs_may_finish() {
    let mut host = fixture::host(&fixture::config("", ""), &["misbehave"]);
    host.send("work", "sleep 700").unwrap();
    host.wait_until("it runs", |host| Ok(host.queue("work")?.in_flight == 1))
        .unwrap();
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    let queues = host.json(&["queues"]).unwrap();
    let work = queues["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|queue| queue["name"] == "work");
    let work = work.unwrap();
    let left: Vec<_> = ["ready", "scheduled", "in_flight", "dead"]
        .map(|key| &work[key])
        .into();
    assert_eq!(left, [0, 0, 0, 0], "{work}");
}

#[test]
fn what_does_not_finish_in_time_is_handed_back_and_nothing_is_charged() {
    let config = fixture::config("max_attempts = 2", "timeout = \"10m\"")
        .replace("shutdown_timeout = \"5s\"", "shutdown_timeout = \"100ms\"");
    let mut host = fixture::host(&config, &["misbehave"]);
    host.send("work", "sleep 600000").unwrap();
    host.send("work", "spin").unwrap();
    // More often than there are attempts.
    for _ in 0..3 {
        host.wait_until("they run", |host| Ok(host.queue("work")?.in_flight == 2))
            .unwrap();
        assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
        let waiting = host.json(&["peek", "work"]).unwrap();
        let waiting = waiting["items"].as_array().unwrap();
        assert_eq!(waiting.len(), 2, "{waiting:?}");
        for message in waiting {
            let counters = &message["counters"];
            assert_eq!(
                (&counters["attempts"], &counters["crashes"]),
                (&0.into(), &0.into())
            );
        }
        host.start().unwrap();
    }
}

/// A host that is to stop within `drain`, and what it is told by the log when.
fn draining(drain: &str) -> gristmill_tests::Host {
    let config = fixture::config("max_attempts = 2", "timeout = \"10m\"")
        .replace(
            "shutdown_timeout = \"5s\"",
            &format!("shutdown_timeout = \"{drain}\""),
        )
        .replacen("[host]\n", "[host]\nlog = \"debug\"\n", 1);
    fixture::host(&config, &["misbehave"])
}

fn nothing_is_charged(host: &gristmill_tests::Host, messages: usize) {
    let waiting = host.json(&["peek", "work"]).unwrap();
    let waiting = waiting["items"].as_array().unwrap();
    assert_eq!(waiting.len(), messages, "{waiting:?}");
    for message in waiting {
        let counters = &message["counters"];
        let charged = (&counters["attempts"], &counters["crashes"]);
        assert_eq!(charged, (&0.into(), &0.into()), "{message}");
    }
}

#[test]
fn a_second_signal_does_not_wait_for_handlers_and_charges_nobody() {
    let mut host = draining("1h");
    host.send("work", "sleep 600000").unwrap();
    host.send("work", "spin").unwrap();
    host.wait_until("they run", |host| Ok(host.queue("work")?.in_flight == 2))
        .unwrap();
    host.signal(Signal::TERM).unwrap();
    host.wait_until("it stops", |host| Ok(host.log().contains("stopping: 2")))
        .unwrap();
    let began = Instant::now();
    host.signal(Signal::INT).unwrap();
    assert_eq!(host.wait_end().unwrap(), Some(0), "{}", host.log());
    println!("it ended {:?} after the second signal", began.elapsed());
    nothing_is_charged(&host, 2);
}

#[test]
fn a_host_that_drains_ends_in_time_whoever_is_connected() {
    let mut host = draining("300ms");
    host.send("work", "spin").unwrap();
    host.wait_until("it runs", |host| Ok(host.queue("work")?.in_flight == 1))
        .unwrap();
    // Somebody waits for a reply that does not come, and somebody else sends a body that never ends.
    let data = host.data().join("gristmill.sock");
    let connect = |request: &str| {
        let mut stream = UnixStream::connect(&data).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let wait =
        "POST /v1/queues/out/request?wait=30s HTTP/1.1\r\nHost: g\r\nContent-Length: 1\r\n\r\nx";
    let mut waits = connect(wait);
    let sends = "POST /v1/queues/out/messages HTTP/1.1\r\nHost: g\r\nContent-Length: 100\r\n\r\nx";
    let _sends = connect(sends);
    host.wait_until("the request is there", |host| {
        Ok(host.queue("out")?.ready == 1)
    })
    .unwrap();
    let began = Instant::now();
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    println!("300 ms to drain; it ended after {:?}", began.elapsed());
    let mut answer = String::new();
    waits.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 202") && answer.contains("/v1/replies/"),
        "{answer}"
    );
    nothing_is_charged(&host, 1);
}

#[test]
fn a_host_that_is_asked_to_stop_while_it_starts_ends_at_once() {
    let config = fixture::config("", "");
    let mut host = gristmill_tests::Host::new(&config, &["misbehave"]).unwrap();
    // A cache of its own, so that there is something to compile.
    std::fs::remove_file(host.data().join("compiled")).unwrap();
    host.launch(&["serve"]).unwrap();
    let began = Instant::now();
    while !host.log().contains("is open") {
        assert!(began.elapsed().as_secs() < 60, "{}", host.log());
        std::thread::yield_now();
    }
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
    println!("it ended {:?} after it was started", began.elapsed());
    assert!(host.log().contains("all is durable"), "{}", host.log());
}

/// What the log says as a stop goes on.
const PHASES: [&str; 4] = [
    "stopping:",
    "did not finish in time",
    "no handler runs any more",
    "all is durable",
];

#[test]
fn a_host_that_is_killed_in_any_phase_of_a_stop_loses_nothing() {
    let mut host = draining("150ms");
    let mut sent = 0;
    for phase in PHASES {
        host.send("work", "sleep 600000").unwrap();
        host.send("out", "x").unwrap();
        sent += 1;
        host.wait_until("one runs", |host| {
            let work = host.queue("work")?;
            Ok(work.in_flight >= 1)
        })
        .unwrap();
        let before = host.log().matches(phase).count();
        host.signal(Signal::TERM).unwrap();
        let began = Instant::now();
        while host.log().matches(phase).count() == before && host.is_running() {
            assert!(began.elapsed().as_secs() < 60, "{phase}: {}", host.log());
        }
        // It may have ended meanwhile, in good order.
        let _ = host.kill();
        host.start().unwrap();
        let (work, out) = (host.queue("work").unwrap(), host.queue("out").unwrap());
        let there = work.ready + work.scheduled + work.in_flight + work.dead;
        assert_eq!(
            (there, out.ready),
            (sent, sent),
            "killed at {phase:?}: {}",
            host.log()
        );
    }
}
