//! `gristmill store`: checked, compacted, backed up under load, rescued.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use gristmill_tests::Host;

use crate::fixture;

/// Queue `work` is served; what its handler sends waits in `out`.
fn config() -> String {
    fixture::config("", "")
}

/// Everything that waits in a queue of a host that may not run.
fn waiting(host: &Host, queue: &str) -> BTreeSet<String> {
    let peeked = host.json(&["peek", queue, "-n", "100"]).unwrap();
    let items = peeked["items"].as_array().cloned().unwrap();
    let ids = items
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[test]
fn a_backup_under_load_is_drained_by_a_second_host_and_lacks_nothing_that_was_accepted_before() {
    let mut host = fixture::host(&config(), &["misbehave"]);
    host.done(&["pause", "work"]).unwrap();
    let before: Vec<String> = (0..500).map(|n| format!("echo before-{n}")).collect();
    host.send_all("work", &before).unwrap();
    host.send("out", "rests").unwrap();
    let (done, socket) = (AtomicBool::new(false), host.socket());
    let to = host.folder().join("backup");
    let made = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = socket.post("/v1/queues/work/messages", &[], b"echo later");
            }
        });
        let made = host.json(&["store", "backup", to.to_str().unwrap()]);
        done.store(true, Ordering::Relaxed);
        made.unwrap()
    });
    assert!(made["rows"].as_u64().unwrap() > 1000, "{made}");
    let report = host
        .json(&["store", "check", "--data-dir", to.to_str().unwrap()])
        .unwrap();
    assert_eq!(report["ok"], true, "{report}");
    // The second host runs beside the first one.
    let mut second = Host::new(&config(), &["misbehave"]).unwrap();
    std::fs::remove_dir_all(second.data()).unwrap();
    std::fs::rename(&to, second.data()).unwrap();
    second.start().unwrap();
    let there = second.queue("work").unwrap().ready;
    assert!(there >= 500, "only {there} messages are in the backup");
    second.done(&["resume", "work"]).unwrap();
    second.wait_settled(&["work"]).unwrap();
    assert_eq!(second.queue("out").unwrap().ready, there + 1);
    host.done(&["resume", "work"]).unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert!(host.queue("out").unwrap().ready > there);
    assert_eq!(host.stop().unwrap(), Some(0));
    assert_eq!(second.stop().unwrap(), Some(0));
}

#[test]
fn a_backup_without_a_host_is_a_data_folder_and_is_refused_where_something_is() {
    let host = Host::new(&config(), &[]).unwrap();
    let id = host
        .done(&["send", "out", "kept"])
        .unwrap()
        .trim()
        .to_owned();
    // A path that is not whole begins where the command runs.
    let said = host.done(&["store", "backup", "backup"]).unwrap();
    assert!(said.contains(" records, "), "{said}");
    let again = host.run(&["store", "backup", "backup"]).unwrap();
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again
            .stderr
            .contains("is not empty: name a folder that is not there yet"),
        "{again:?}"
    );
    let shown = host.json(&["show", &id, "--data-dir", "backup"]).unwrap();
    assert_eq!(shown["id"], id.as_str(), "{shown}");
}

#[test]
fn a_store_that_a_host_has_open_is_left_alone_and_the_host_is_named() {
    let mut host = fixture::host(&config(), &["misbehave"]);
    let pid = host.pid().unwrap().as_raw_nonzero().to_string();
    for verb in [&["check"][..], &["compact"], &["salvage", "rescued"]] {
        let refused = host.run(&[&["store"], verb].concat()).unwrap();
        assert_eq!(refused.code, Some(75), "{refused:?}");
        let holder = format!("is in use by process {pid} (gristmill serve)");
        assert!(refused.stderr.contains(&holder), "{refused:?}");
    }
    assert!(!host.folder().join("rescued").exists());
    host.stop().unwrap();
}

#[test]
fn damage_is_found_told_and_rescued_around() {
    let host = Host::new(&config(), &[]).unwrap();
    let nothing = host.run(&["store", "check"]).unwrap();
    assert_eq!(nothing.code, Some(4), "{nothing:?}");
    assert!(
        nothing.stderr.contains("there is no store in"),
        "{nothing:?}"
    );
    let bodies: Vec<String> = (0..40).map(|n| format!("body number {n}")).collect();
    let lines = host.folder().join("lines");
    std::fs::write(&lines, bodies.join("\n")).unwrap();
    let lines = lines.to_str().unwrap();
    host.done(&["send", "out", "--lines", "--file", lines])
        .unwrap();
    let sound = host.run(&["store", "check"]).unwrap();
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.stderr.contains("verified, no damage"), "{sound:?}");
    let compacted = host.json(&["store", "compact"]).unwrap();
    assert!(
        compacted["after_bytes"].as_u64().unwrap() > 0,
        "{compacted}"
    );
    let kept = waiting(&host, "out");
    assert_eq!(kept.len(), 40);
    // One bit of one body, wherever copies of it lie.
    let file = host.data().join("store.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let wanted = b"body number 17";
    let places: Vec<usize> = (0..bytes.len() - wanted.len())
        .filter(|at| bytes[*at..].starts_with(wanted))
        .collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at] ^= 1;
    }
    std::fs::write(&file, &bytes).unwrap();
    let damaged = host.run(&["store", "check"]).unwrap();
    assert_eq!(damaged.code, Some(5), "{damaged:?}");
    for words in [
        "queue out: the message is not what was sent; a host puts it aside",
        "redb finds the file damaged",
        "gristmill store salvage",
    ] {
        assert!(damaged.stdout.contains(words), "{words:?}: {damaged:?}");
    }
    let report = host.run(&["store", "check", "--json"]).unwrap();
    assert_eq!(report.code, Some(5), "{report:?}");
    let refused = host.run(&["store", "compact"]).unwrap();
    assert_eq!(refused.code, Some(5), "{refused:?}");
    let salvaged = host.json(&["store", "salvage", "rescued"]).unwrap();
    assert_eq!(salvaged["missing_messages"], 1, "{salvaged}");
    assert!(
        std::fs::read(&file).unwrap() == bytes,
        "the damaged file was changed"
    );
    std::fs::rename(host.data(), host.folder().join("damaged")).unwrap();
    std::fs::rename(host.folder().join("rescued"), host.data()).unwrap();
    let rescued = waiting(&host, "out");
    assert_eq!(rescued.len(), 39);
    assert!(rescued.is_subset(&kept));
    let sound = host.run(&["store", "check"]).unwrap();
    assert_eq!(sound.code, Some(0), "{sound:?}");
}
