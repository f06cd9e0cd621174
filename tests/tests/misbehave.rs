//! Handlers that go wrong in every way: each is stopped, and its message says why it died.

use serde_json::Value;

use crate::fixture;

/// What a message asks for, the reason that it dies of, and what the error has to say.
const ENDS: [(&str, &str, &str); 16] = [
    ("trap boo", "trap", "asked to panic: boo"),
    ("abort", "trap", ""),
    ("exit 3", "exit", "failure code"),
    ("spin", "deadline", "300"),
    ("sleep", "deadline", "300"),
    ("extend-forever", "retry", "max_timeout"),
    ("memory", "memory-limit", ""),
    ("recurse", "stack-overflow", ""),
    ("retry why", "retry", "why"),
    ("reject why", "rejected", "why"),
    ("huge-error", "retry", "xxx"),
    ("then-retry", "retry", "after the effects"),
    ("then-trap", "trap", "after the effects"),
    ("then-spin", "deadline", ""),
    ("send-to elsewhere", "retry", ""),
    ("dance", "rejected", "there is no verb \"dance\""),
];

#[test]
fn each_way_to_go_wrong_has_its_reason_and_leaves_no_trace() {
    let limits = "timeout = \"300ms\"\nmax_timeout = \"600ms\"\nmemory = \"16MiB\"";
    let host = fixture::host(&fixture::config("max_attempts = 1", limits), &["misbehave"]);
    let ids: Vec<String> = ENDS
        .iter()
        .map(|(body, ..)| host.send("work", body).unwrap())
        .collect();
    host.wait_settled(&["work"]).unwrap();
    let mut wrong = Vec::new();
    for ((body, reason, error), id) in ENDS.iter().zip(&ids) {
        match host.dead_letter("work", id) {
            Ok(letter) => {
                let said = letter["error"].as_str().unwrap();
                if letter["reason"] != *reason || !said.contains(error) {
                    let said: String = said.chars().take(200).collect();
                    wrong.push(format!("{body}: {} because {said}", letter["reason"]));
                }
            }
            Err(problem) => wrong.push(format!("{body}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        host.queue("out").unwrap().sent,
        0,
        "nothing that failed sent anything"
    );
    // Nor did it store anything: the keys are sent to `out`, where there is nothing else.
    host.send("work", "list ").unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(waiting(&host.json(&["peek", "out"]).unwrap()), ["[]"]);

    let letter = |body: &str| {
        let at = ENDS.iter().position(|(one, ..)| *one == body).unwrap();
        host.dead_letter("work", &ids[at]).unwrap()
    };
    let trap = letter("trap boo");
    let frames = trap["backtrace"].as_array().unwrap();
    assert!(
        frames
            .iter()
            .any(|frame| frame.as_str().unwrap().contains("misbehave::jam")),
        "{frames:?}"
    );
    // The product's promise is 50 ms; a test shares its cores with others.
    let wall = letter("spin")["history"][0]["wall_us"].as_u64().unwrap();
    assert!(
        (300_000..1_800_000).contains(&wall),
        "stopped after {wall} µs"
    );
    let shown = host.done(&["dead", "show", "work", &ids[0]]).unwrap();
    for part in [
        "trap",
        "asked to panic: boo",
        "misbehave::jam",
        "attempts",
        "trap boo",
    ] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
}

fn waiting(peeked: &Value) -> Vec<String> {
    let items = peeked["items"].as_array().unwrap();
    items
        .iter()
        .map(|one| one["body"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_is_too_much_output_is_cut_and_what_is_sent_too_much_is_refused() {
    let host = fixture::host(
        &fixture::config("max_attempts = 1", "timeout = \"20s\"\noutput = \"4KiB\""),
        &["misbehave"],
    );
    let flood = host.send("work", "flood 4").unwrap();
    let too_much = host.send("work", "send-too-much").unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert!(
        host.dead_letter("work", &flood).is_err(),
        "a flood harms nobody"
    );
    let letter = host.dead_letter("work", &too_much).unwrap();
    assert!(
        ["retry", "output-limit"].contains(&letter["reason"].as_str().unwrap()),
        "{letter}"
    );
    let out = host.queue("out").unwrap();
    assert_eq!((out.sent, host.queue("work").unwrap().acked), (0, 1));
}

#[test]
fn an_endless_loop_keeps_nobody_else_waiting() {
    let quiet = "[queue.quiet]\nhandler = \"sink.wasm\"\n";
    let config = format!(
        "{}{quiet}",
        fixture::config("", "timeout = \"10m\"\ncpu_time = \"10m\"")
    );
    let host = fixture::host(&config, &["misbehave", "sink"]);
    for _ in 0..4 {
        host.send("work", "spin").unwrap();
    }
    host.wait_until("four spin", |host| Ok(host.queue("work")?.in_flight == 4))
        .unwrap();
    for _ in 0..50 {
        host.send("quiet", "x").unwrap();
    }
    host.wait_until("the others go on", |host| {
        Ok(host.queue("quiet")?.acked == 50)
    })
    .unwrap();
    assert_eq!(host.queue("work").unwrap().in_flight, 4);
}

#[test]
fn a_memory_bomb_stays_within_its_limit() {
    let host = fixture::host(
        &fixture::config("max_attempts = 1\nconcurrency = 4", "memory = \"16MiB\""),
        &["misbehave"],
    );
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    let before = host.memory_kib("VmHWM").unwrap();
    let bombs = vec!["memory".to_owned(); 40];
    host.send_all("work", &bombs).unwrap();
    host.wait_settled(&["work"]).unwrap();
    let grown = host.memory_kib("VmHWM").unwrap() - before;
    assert_eq!(host.queue("work").unwrap().dead, 40);
    // Four run, and what was freed is given back to the system in batches of up to sixteen.
    let most = (4 + 16) * 16 * 1024;
    assert!(grown < most, "the host grew by {grown} KiB");
    let dead = host.dead("work").unwrap();
    assert!(
        dead.iter().all(|letter| letter["reason"] == "memory-limit"),
        "{dead:?}"
    );
}
