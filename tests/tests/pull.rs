//! Pull consumers, from the command line and over the socket, with a host that is killed in between.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gristmill_tests::{Host, Rng, Socket};
use serde_json::{Value, json};

const CONFIG: &str = "[queue.work]\nvisibility_timeout = \"5m\"\nmax_attempts = 1000\n\n[queue.short]\nmax_attempts = 2\n";

fn ask(socket: &Socket, path: &str, order: &Value) -> Option<Value> {
    let headers = [("Content-Type", "application/json")];
    let answer = socket.post(path, &headers, order.to_string().as_bytes());
    let answer = answer.ok().filter(|answer| answer.status == 200)?;
    Some(answer.json()["items"].clone())
}

fn receive(socket: &Socket, queue: &str, order: &Value) -> Option<Vec<Value>> {
    let path = format!("/v1/queues/{queue}/leases");
    ask(socket, &path, order)?.as_array().cloned()
}

fn settle(socket: &Socket, queue: &str, order: &Value) -> Option<Vec<Value>> {
    let path = format!("/v1/queues/{queue}/settlements");
    ask(socket, &path, order)?.as_array().cloned()
}

fn receipts(leases: &[Value]) -> Vec<&str> {
    leases
        .iter()
        .map(|one| one["receipt"].as_str().unwrap())
        .collect()
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[test]
fn a_consumer_outside_takes_messages_and_settles_them_from_the_command_line() {
    let mut host = Host::new(CONFIG, &[]).unwrap();
    for body in ["one", "two"] {
        host.done(&["send", "work", body]).unwrap();
    }
    let first = host.json(&["receive", "work"]).unwrap();
    let receipt = first["items"][0]["receipt"].as_str().unwrap().to_owned();
    host.start().unwrap();
    let second = host.done(&["receive", "work", "-n", "10"]).unwrap();
    assert!(
        second.contains("two") && !second.contains("one"),
        "{second}"
    );
    let extended = host.done(&["extend", "work", &receipt, "--visibility", "10m"]);
    assert!(extended.unwrap().contains("extended"));
    host.done(&["nack", "work", &receipt, "--delay", "0s", "--error", "busy"])
        .unwrap();
    let stale = host.run(&["ack", "work", &receipt]).unwrap();
    assert_eq!(stale.code, Some(6), "{stale:?}");
    assert!(stale.stderr.contains("lease is lost"), "{stale:?}");
    let again = host.json(&["receive", "work", "--wait", "30s"]).unwrap();
    assert_eq!(again["items"][0]["attempt"], 2);
    let receipt = again["items"][0]["receipt"].as_str().unwrap();
    host.done(&["release", "work", receipt]).unwrap();
    let acked = host.done(&["receive", "work", "--ack"]).unwrap();
    assert!(acked.contains("one"), "{acked}");
    let work = host.queue("work").unwrap();
    assert_eq!((work.acked, work.in_flight, work.ready), (1, 1, 0));
}

#[test]
fn what_is_received_survives_kill_9_and_is_handed_out_neither_early_nor_uncounted() {
    let seed = Rng::seed("GRISTMILL_KILL_SEED");
    println!("GRISTMILL_KILL_SEED={seed}");
    let mut dice = Rng::new(seed);
    let mut host = Host::new(CONFIG, &[]).unwrap();
    host.start().unwrap();
    let bodies: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let sent: BTreeSet<String> = host
        .send_all("work", &bodies)
        .unwrap()
        .into_iter()
        .collect();
    let socket = host.socket();
    // Who holds what, as far as the consumer was told.
    let (held, done) = std::thread::scope(|threads| {
        let consumer = threads.spawn(|| {
            let (mut held, mut done) = (BTreeSet::new(), BTreeSet::new());
            let mut unknown = 0;
            while held.len() + done.len() < sent.len() && unknown < 20_000 {
                let order = json!({ "max": 3 });
                let Some(leases) = receive(&socket, "work", &order) else {
                    unknown += 1;
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                if leases.is_empty() {
                    break;
                }
                for lease in &leases {
                    let id = lease["id"].as_str().unwrap().to_owned();
                    assert_eq!(
                        lease["attempt"], 1,
                        "{id} was not held long enough to lapse"
                    );
                    let fresh = held.insert(id.clone());
                    assert!(fresh && !done.contains(&id), "{id} was handed out early");
                }
                // One of three is acknowledged; if nobody says so, it may or may not be done.
                let order = json!({ "ack": receipts(&leases)[..1] });
                let id = leases[0]["id"].as_str().unwrap().to_owned();
                while settle(&socket, "work", &order).is_none() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                held.remove(&id);
                done.insert(id);
            }
            (held, done)
        });
        for _ in 0..5 {
            // This sleep is the fault that is injected, not a wait for something to happen.
            std::thread::sleep(dice.between(Duration::from_millis(5), Duration::from_millis(150)));
            host.kill().unwrap();
            host.start().unwrap();
        }
        consumer.join().unwrap()
    });
    // What was granted in an answer that did not arrive is held, too: by nobody, until it lapses.
    let work = host.queue("work").unwrap();
    let left = u64::try_from(sent.len() - done.len()).unwrap();
    assert_eq!(work.ready + work.in_flight, left, "{work:?}");
    assert!(work.in_flight >= held.len() as u64, "{work:?}");
    host.kill().unwrap();
    host.start().unwrap();
    assert_eq!(host.queue("work").unwrap().in_flight, work.in_flight);
    assert_eq!(host.queue("work").unwrap().dead, 0);
}

#[test]
fn a_lease_ends_on_time_though_the_host_was_down_meanwhile_and_twice_is_death() {
    let mut host = Host::new(CONFIG, &[]).unwrap();
    host.start().unwrap();
    let id = host.send("short", "x").unwrap();
    for attempt in 1..=2 {
        let order = json!({ "visibility": "700ms", "wait": "30s" });
        let leases = receive(&host.socket(), "short", &order).unwrap();
        assert_eq!(leases[0]["attempt"], attempt);
        assert_eq!(leases[0]["id"], id.as_str());
        let ends = leases[0]["lease_ends_at_ms"].as_u64().unwrap();
        host.kill().unwrap();
        host.start().unwrap();
        if attempt == 1 {
            let next = receive(&host.socket(), "short", &json!({ "wait": "30s" })).unwrap();
            assert!(now_ms() + 50 >= ends, "it came before its time");
            assert_eq!(next[0]["attempt"], 2);
            let order = json!({ "release": receipts(&next) });
            assert_eq!(settle(&host.socket(), "short", &order).unwrap().len(), 1);
        }
    }
    host.wait_until("it is dead", |host| Ok(host.queue("short")?.dead == 1))
        .unwrap();
    let letter = host.dead_letter("short", &id).unwrap();
    assert_eq!(letter["reason"], "lease-expired", "{letter}");
}
