//! `kill -9` under load, again and again: nothing accepted is lost, nothing acknowledged comes back,
//! and what handlers send and store is there exactly once.
//!
//! Producers send under dedup keys and repeat whatever was not answered, as SEMANTICS asks of them.
//! The handler adds one to a counter and sends one message that names what it was derived from. A
//! delivery after an ack would move the counter; an ack without its effects, or with them twice,
//! would leave counter, derived messages and acks apart.
//!
//! `GRISTMILL_KILLS` sets how often, `GRISTMILL_KILL_SEED` repeats a run.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gristmill_tests::{Event, History, Host, Rng, Socket, commit};

use crate::fixture;

const PRODUCERS: u64 = 3;
/// Within this time a repeated send is still recognised.
const WINDOW: Duration = Duration::from_secs(240);

fn kills() -> u64 {
    let named = std::env::var("GRISTMILL_KILLS").ok();
    named.map_or(10, |number| number.parse().unwrap())
}

/// `work` counts and derives; `out` dies at once, so that each derived message can be listed.
pub fn config() -> String {
    fixture::config("dedup_window = \"5m\"", "").replace(
        "[queue.out]",
        "[queue.out]\nhandler = \"misbehave.wasm\"\nmax_attempts = 1",
    )
}

#[test]
fn kill_9_under_load_loses_nothing_and_repeats_nothing() {
    let seed = Rng::seed("GRISTMILL_KILL_SEED");
    println!("GRISTMILL_KILL_SEED={seed}");
    let mut dice = Rng::new(seed);
    let mut host = fixture::host(&config(), &["misbehave"]);
    let (history, done) = (Mutex::new(History::default()), AtomicBool::new(false));
    let socket = host.socket();
    std::thread::scope(|threads| {
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let (history, done, socket) = (&history, &done, &socket);
                let note = move |event| history.lock().unwrap().note(event);
                threads.spawn(move || produce(producer, socket, &note, done))
            })
            .collect();
        for _ in 0..kills() {
            let life = dice.between(Duration::from_millis(5), Duration::from_millis(900));
            // This sleep is the fault that is injected, not a wait for something to happen.
            std::thread::sleep(life);
            host.kill().unwrap();
            host.start().unwrap();
        }
        done.store(true, Ordering::Relaxed);
        for producer in producers {
            producer.join().unwrap();
        }
    });
    host.wait_settled(&["work", "out"]).unwrap();
    let mut history = history.into_inner().unwrap();
    let effects = observe(&host, &mut history);
    assert!(effects > kills(), "too little happened to say anything");
    assert_eq!(
        history.violations(),
        [],
        "GRISTMILL_KILL_SEED={seed} GRISTMILL_KILLS={} at commit {}\n{}",
        kills(),
        commit(),
        host.log()
    );
}

#[test]
fn a_message_that_was_there_at_every_death_dies_of_it_and_its_neighbours_are_not_charged() {
    let config = fixture::config("", "timeout = \"10m\"");
    let mut host = fixture::host(&config, &["misbehave"]);
    let suspect = host.send("work", "sleep 600000").unwrap();
    let mut deaths = 0;
    loop {
        host.wait_until("it runs or is dead", |host| {
            let work = host.queue("work")?;
            Ok(work.in_flight == 1 || work.dead == 1)
        })
        .unwrap();
        if host.queue("work").unwrap().dead == 1 {
            break;
        }
        // Accepted while the suspect runs alone, so it has to wait, and is not blamed.
        host.send("work", "echo neighbour").unwrap();
        host.kill().unwrap();
        deaths += 1;
        assert!(deaths <= 5, "it lives on after {deaths} deaths");
        host.start().unwrap();
    }
    let letter = host.dead_letter("work", &suspect).unwrap();
    assert_eq!(letter["reason"], "host-crash", "{letter}");
    assert!(deaths > 1, "one death proves nothing against a message");
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(host.queue("out").unwrap().ready, deaths);
    let work = host.queue("work").unwrap();
    assert_eq!((work.dead, work.failed), (1, 0), "{work:?}");
}

/// Sends one message after the other; one that is not answered is repeated until it is.
pub fn produce(producer: u64, socket: &Socket, note: &dyn Fn(Event), done: &AtomicBool) {
    let mut number = 0u64;
    while !done.load(Ordering::Relaxed) {
        number += 1;
        let key = format!("{producer}-{number}");
        let began = Instant::now();
        loop {
            note(Event::Asked { key: key.clone() });
            let headers = [("Idempotency-Key", key.as_str())];
            let path = "/v1/queues/work/messages";
            let answer = socket.post(path, &headers, b"count total");
            match answer
                .ok()
                .filter(|answer| matches!(answer.status, 200 | 201))
            {
                Some(answer) => {
                    let id = answer.json()["id"].as_str().unwrap().to_owned();
                    note(Event::Accepted { key, id });
                    break;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
            assert!(began.elapsed() < WINDOW, "{key} was never answered");
        }
    }
}

/// What is there at the end. A derived message is the error that it died of, because its body is no
/// verb that the handler knows. Returns how many there are.
pub fn observe(host: &Host, history: &mut History) -> u64 {
    let mut dead_in_work = BTreeSet::new();
    for letter in host.dead("work").unwrap() {
        assert_eq!(letter["reason"], "host-crash", "{letter}");
        dead_in_work.insert(letter["id"].as_str().unwrap().to_owned());
    }
    let mut effects = 0;
    for letter in host.dead("out").unwrap() {
        let error = letter["error"].as_str().unwrap().replace('\\', "");
        // A derived message may itself have been in flight in too many deaths.
        let body = if letter["reason"] == "host-crash" {
            let id = letter["id"].as_str().unwrap();
            host.dead_letter("out", id).unwrap()["body"]
                .as_str()
                .unwrap()
                .to_owned()
        } else {
            error
        };
        let from = body
            .split("\"from\":\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let from = from.unwrap_or_else(|| panic!("{letter}"));
        history.note(Event::Effect {
            id: from.to_owned(),
        });
        effects += 1;
    }
    for id in dead_in_work {
        history.note(Event::Dead { id });
    }
    let before: BTreeSet<String> = ids(host);
    host.send("work", "tell total").unwrap();
    host.wait_until(
        "the counter is told",
        |host| Ok(host.queue("out")?.died > 0),
    )
    .unwrap();
    host.wait_settled(&["work", "out"]).unwrap();
    let told = host.dead("out").unwrap();
    let told = told
        .iter()
        .find(|letter| !before.contains(letter["id"].as_str().unwrap()));
    let error = told.unwrap()["error"].as_str().unwrap();
    let digits: String = error.chars().filter(char::is_ascii_digit).collect();
    history.note(Event::Counter {
        value: digits.parse().unwrap(),
    });
    println!("{effects} messages were acknowledged");
    effects
}

fn ids(host: &Host) -> BTreeSet<String> {
    let letters = host.dead("out").unwrap();
    letters
        .iter()
        .map(|letter| letter["id"].as_str().unwrap().to_owned())
        .collect()
}
