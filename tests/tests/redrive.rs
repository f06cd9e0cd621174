//! Dead letters as an operator handles them: counted first, taken back by filter and by rate, with
//! another body, and by way of an ordinary queue; whatever happens to the host meanwhile.

use gristmill_tests::{Host, guests};
use serde_json::{Value, json};

use crate::fixture;

/// Letters that are taken at a pace.
const SLOW: u64 = 30;

/// A host whose queue `work` ends every message that fails at once.
fn host() -> Host {
    fixture::host(&fixture::config("max_attempts = 1", ""), &["misbehave"])
}

fn die(host: &Host, bodies: &[String]) -> Vec<String> {
    let dead = host.queue("work").unwrap().dead;
    let ids = host.send_all("work", bodies).unwrap();
    host.wait_settled(&["work"]).unwrap();
    let all = dead + u64::try_from(bodies.len()).unwrap();
    assert_eq!(host.queue("work").unwrap().dead, all);
    ids
}

fn groups(host: &Host, filter: &[&str]) -> Vec<Value> {
    let args = [&["dead", "list", "work", "--groups"], filter].concat();
    let groups = host.json(&args).unwrap();
    groups["items"].as_array().unwrap().clone()
}

fn waiting(host: &Host, queue: &str) -> Vec<Value> {
    let peeked = host.json(&["peek", queue, "--limit", "100"]).unwrap();
    peeked["items"].as_array().unwrap().clone()
}

fn swap_module(host: &Host) {
    let hash = |host: &Host| -> anyhow::Result<Value> {
        let handlers = host.socket().get("/v1/handlers")?.json();
        Ok(handlers["items"][0]["version"]["hash"].clone())
    };
    let module = std::fs::read(guests().unwrap().path("misbehave")).unwrap();
    let before = hash(host).unwrap();
    host.install_bytes(&fixture::variant(&module, "second"), "misbehave")
        .unwrap();
    host.wait_until(
        "the second version serves",
        |host| Ok(hash(host)? != before),
    )
    .unwrap();
}

#[test]
fn letters_are_counted_first_and_taken_back_by_reason_and_version() {
    let host = host();
    let bad = |times: usize| vec!["reject bad address".to_owned(); times];
    let first = die(&host, &bad(3));
    die(&host, &vec!["trap".to_owned(); 2]);
    swap_module(&host);
    let second = die(&host, &bad(1));

    let alike = &groups(&host, &["--reason", "rejected"])[0];
    assert_eq!(alike["count"], 4);
    let versions = alike["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2, "{alike}");
    let old = versions.iter().find(|one| one["count"] == 3).unwrap();
    let old = &old["module"].as_str().unwrap()[..10];

    let chosen = [
        "dead", "redrive", "work", "--module", old, "--reason", "rejected",
    ];
    let dry = host.run(&[&chosen[..], &["--dry-run"]].concat()).unwrap();
    assert_eq!(dry.stdout, "3 dead letters would go back to work\n");
    for shown in ["rejected", "bad address", &old[..8]] {
        assert!(
            dry.stderr.contains(shown),
            "{shown} is not in\n{}",
            dry.stderr
        );
    }
    let unasked = host.run(&chosen).unwrap();
    assert_eq!(unasked.code, Some(2), "{unasked:?}");
    assert!(
        unasked.stderr.contains("Take 3 dead letters back to work?")
            && unasked.stderr.contains("--yes"),
        "{}",
        unasked.stderr
    );
    assert_eq!(host.queue("work").unwrap().dead, 6, "nothing was done yet");

    host.done(&["pause", "work"]).unwrap();
    let done = host.json(&[&chosen[..], &["--yes"]].concat()).unwrap();
    assert_eq!(done["count"], 3);
    let back = waiting(&host, "work");
    let ids: Vec<&str> = back.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, first);
    host.done(&["resume", "work"]).unwrap();
    host.wait_settled(&["work"]).unwrap();
    // They died again, in the second version.
    let alike = &groups(&host, &["--reason", "rejected"])[0];
    assert_eq!(alike["versions"].as_array().unwrap().len(), 1, "{alike}");
    let again = host.dead_letter("work", &first[0]).unwrap();
    assert_eq!(again["counters"]["redriven"], 1);
    assert_eq!(again["history"].as_array().unwrap().len(), 2);
    let spared = host.dead_letter("work", &second[0]).unwrap();
    assert_eq!(spared["counters"]["redriven"], 0);
    let none = host.done(&[&chosen[..], &["--yes"]].concat()).unwrap();
    assert_eq!(none, "0 dead letters went back to work\n");
}

fn under_way(host: &Host) -> Option<Value> {
    let redrives = host.json(&["dead", "redrives"]).unwrap();
    redrives["items"].as_array().unwrap().first().cloned()
}

#[test]
fn a_redrive_with_a_rate_is_seen_survives_kill_9_and_is_cancelled() {
    let mut host = host();
    let bodies: Vec<String> = (0..SLOW).map(|n| format!("reject {n}")).collect();
    let ids = die(&host, &bodies);
    let order = [
        "dead", "redrive", "work", "--to", "out", "--rate", "5/s", "--yes",
    ];
    let begun = host.json(&order).unwrap();
    let number = begun["redrive"].as_u64().unwrap().to_string();
    assert_eq!(begun["count"], SLOW);
    let moved = |host: &Host, least: u64| Ok(host.queue("out")?.ready >= least);
    host.wait_until("some are taken", |host| moved(host, 2))
        .unwrap();
    let one = under_way(&host).unwrap();
    assert_eq!((&one["queue"], &one["to"]), (&json!("work"), &json!("out")));
    assert!(one["done"].as_u64().unwrap() < SLOW, "{one}");
    let shown = host.done(&["dead", "redrives"]).unwrap();
    assert!(shown.contains("5/s") && shown.contains("work"), "{shown}");

    host.kill().unwrap();
    host.start().unwrap();
    let before = host.queue("out").unwrap().ready;
    assert!(
        (2..SLOW).contains(&before),
        "{before} were taken before the crash"
    );
    host.wait_until("it goes on", |host| moved(host, before + 2))
        .unwrap();
    let ended = host.json(&["dead", "cancel", &number]).unwrap();
    assert_eq!(under_way(&host), None);

    let (out, work) = (waiting(&host, "out"), host.queue("work").unwrap());
    let taken: Vec<&str> = out.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(
        ended["count"].as_u64().unwrap(),
        u64::try_from(taken.len()).unwrap()
    );
    assert_eq!(taken, ids[..taken.len()], "in order, each once");
    assert_eq!(work.dead, SLOW - u64::try_from(taken.len()).unwrap());
    let gone = host.run(&["dead", "cancel", &number]).unwrap();
    assert_eq!(gone.code, Some(4), "{gone:?}");
}

#[test]
fn a_letter_with_another_body_takes_the_place_of_the_old_one() {
    let host = host();
    let old = die(&host, &["reject typo".to_owned()]).remove(0);
    std::fs::write(host.folder().join("mended"), "reject mended").unwrap();
    let order = ["dead", "redrive", "work", &old, "--body", "mended"];
    let dry = host.done(&[&order[..], &["--dry-run"]].concat()).unwrap();
    assert!(dry.contains("13 bytes instead of 11"), "{dry}");
    let new = host.json(&[&order[..], &["--yes"]].concat()).unwrap();
    let new = new["id"].as_str().unwrap();
    host.wait_until("it is dead too", |host| Ok(host.queue("work")?.dead == 1))
        .unwrap();
    let letter = host.dead_letter("work", new).unwrap();
    assert_eq!(letter["body"], "reject mended");
    assert_eq!(letter["envelope"]["causation_id"], json!(old));
    assert_ne!(new, old);
    let gone = host.run(&["dead", "show", "work", &old]).unwrap();
    assert_eq!(gone.code, Some(4), "{gone:?}");

    let edited = host
        .command(&["dead", "redrive", "work", new, "--edit", "--yes"])
        .unwrap()
        .env_remove("VISUAL")
        .env("EDITOR", "printf ok >")
        .output()
        .unwrap();
    assert!(edited.status.success(), "{edited:?}");
    host.wait_until("it is acknowledged", |host| {
        let work = host.queue("work")?;
        Ok((work.dead, work.acked) == (0, 1) && work.is_settled())
    })
    .unwrap();
}

#[test]
fn what_dies_goes_to_another_queue_tells_where_from_and_goes_back() {
    let queue = "max_attempts = 1\ndead_letter = \"grave\"\n\n[queue.grave]";
    let host = fixture::host(&fixture::config(queue, ""), &["misbehave"]);
    let sent = ["send", "work", "reject why", "--attribute", "tenant=a"];
    let id = host.done(&sent).unwrap().trim().to_owned();
    host.wait_until("it is moved", |host| Ok(host.queue("grave")?.ready == 1))
        .unwrap();
    assert_eq!(host.queue("work").unwrap().dead, 0);
    let moved = &waiting(&host, "grave")[0];
    let attributes = &moved["envelope"]["attributes"];
    assert_eq!(moved["id"], json!(id));
    for (name, value) in [
        ("tenant", "a"),
        ("gristmill-dead-queue", "work"),
        ("gristmill-dead-reason", "rejected"),
        ("gristmill-dead-error", "why"),
        ("gristmill-dead-attempts", "1"),
    ] {
        assert_eq!(attributes[name], value, "{name} of {attributes}");
    }

    host.done(&["pause", "work"]).unwrap();
    let order = ["dead", "redrive", "grave", "--to-source"];
    let dry = host.run(&[&order[..], &["--dry-run"]].concat()).unwrap();
    assert_eq!(dry.stdout, "1 dead letter would go back where they died\n");
    assert!(
        dry.stderr.contains(&id) && dry.stderr.contains("why"),
        "{}",
        dry.stderr
    );
    host.done(&[&order[..], &["--yes"]].concat()).unwrap();
    let back = &waiting(&host, "work")[0];
    assert_eq!(back["id"], json!(id));
    assert_eq!(back["envelope"]["attributes"], json!({ "tenant": "a" }));
    assert!(host.queue("grave").unwrap().is_settled());
    host.done(&["resume", "work"]).unwrap();
    host.wait_until("it has died again", |host| {
        Ok(host.queue("grave")?.ready == 1)
    })
    .unwrap();
}
