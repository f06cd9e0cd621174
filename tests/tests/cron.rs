//! The crontab in a host that is killed, started again and configured anew.

use std::collections::BTreeSet;

use gristmill_tests::Host;
use serde_json::Value;

const CONFIG: &str = r#"
[host]
scan_interval = "1s"

[queue.reports]

[cron.secondly]
schedule = "* * * * * *"
queue = "reports"
missed = "all"
body = "{}"
"#;

/// The ticks that the waiting messages are for.
fn ticks(host: &Host) -> anyhow::Result<Vec<String>> {
    let waiting = host.socket().get("/v1/queues/reports/messages?limit=100")?;
    let waiting = waiting.json()["items"].as_array().cloned();
    let tick = |one: &Value| {
        let attributes = &one["envelope"]["attributes"];
        assert_eq!(attributes["gristmill-cron"], "secondly");
        attributes["gristmill-tick"].as_str().unwrap().to_owned()
    };
    Ok(waiting.unwrap_or_default().iter().map(tick).collect())
}

#[test]
fn every_tick_becomes_one_message_though_the_host_is_killed() {
    let mut host = Host::new(CONFIG, &[]).unwrap();
    let mut seen = 0;
    for _ in 0..3 {
        host.start().unwrap();
        host.wait_until("it ticks", |host| Ok(ticks(host)?.len() > seen))
            .unwrap();
        seen = ticks(&host).unwrap().len();
        host.kill().unwrap();
    }
    host.start().unwrap();
    host.wait_until("it ticks", |host| Ok(ticks(host)?.len() > seen + 1))
        .unwrap();
    let ticks = ticks(&host).unwrap();
    let distinct: BTreeSet<&String> = ticks.iter().collect();
    assert_eq!(distinct.len(), ticks.len(), "a tick fired twice: {ticks:?}");
    // All of them, those of the time when no host ran too: none is left out between two.
    let seconds: Vec<i64> = distinct
        .iter()
        .map(|tick| {
            tick[17..19].parse::<i64>().unwrap() + 60 * tick[14..16].parse::<i64>().unwrap()
        })
        .collect();
    let steps = seconds
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).rem_euclid(3600));
    assert!(steps.into_iter().all(|step| step == 1), "{ticks:?}");
}

#[test]
fn entries_are_shown_run_by_hand_and_changed_while_the_host_runs() {
    let nightly = |schedule: &str| {
        format!(
            "[queue.reports]\n[cron.nightly]\nschedule = \"{schedule}\"\nqueue = \"reports\"\nbody = \"by night\"\n"
        )
    };
    let mut host = Host::new(&nightly("0 3 * * *"), &[]).unwrap();
    // Without a host, into the store itself; then through a host.
    for started in [false, true] {
        if started {
            host.start().unwrap();
        }
        let shown = host.json(&["cron"]).unwrap();
        let entry = &shown["items"][0];
        assert_eq!(
            (&entry["name"], &entry["queue"]),
            (&"nightly".into(), &"reports".into())
        );
        assert!(entry["next_tick_at_ms"].is_u64() && entry["last_tick_at_ms"].is_null());
        let id = host.done(&["cron", "run", "nightly"]).unwrap();
        let message = host.json(&["show", id.trim()]).unwrap();
        assert_eq!(message["body"], "by night");
        let attributes = &message["envelope"]["attributes"];
        assert_eq!(attributes["gristmill-by-hand"], "true");
    }
    let refused = host.run(&["cron", "run", "weekly"]).unwrap();
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("gristmill cron"), "{refused:?}");
    host.configure(&nightly("* * * * * *")).unwrap();
    host.wait_until("it ticks by its new schedule", |host| {
        Ok(host.queue("reports")?.ready > 3)
    })
    .unwrap();
    let shown = host.json(&["cron"]).unwrap();
    assert!(shown["items"][0]["last_message"].is_string(), "{shown}");
    host.configure("[queue.reports]\n").unwrap();
    host.wait_until("it is gone", |host| {
        let entries = host.socket().get("/v1/cron")?.json();
        Ok(entries["items"].as_array().is_some_and(Vec::is_empty))
    })
    .unwrap();
}

#[test]
fn messages_are_found_moved_and_cancelled_from_the_command_line() {
    let mut host = Host::new("[queue.reports]\n", &[]).unwrap();
    for started in [false, true] {
        if started {
            host.start().unwrap();
        }
        let id = host.done(&["send", "reports", "x", "--ttl", "1h"]).unwrap();
        let id = id.trim();
        host.done(&["move", id, "--delay", "10m"]).unwrap();
        assert_eq!(host.json(&["show", id]).unwrap()["state"], "scheduled");
        let late = host
            .run(&["move", id, "--at", "2100-01-01T00:00:00Z"])
            .unwrap();
        assert_eq!(late.code, Some(1), "{late:?}");
        assert!(late.stderr.contains("expire before it is due"), "{late:?}");
        host.done(&["move", id, "--now"]).unwrap();
        let shown = host.done(&["show", id]).unwrap();
        assert!(shown.contains("state        ready\n"), "{shown}");
        assert_eq!(
            host.done(&["cancel", id]).unwrap(),
            format!("{id} cancelled\n")
        );
        for args in [&["cancel", id][..], &["show", id], &["move", id, "--now"]] {
            let gone = host.run(args).unwrap();
            assert_eq!(gone.code, Some(4), "{args:?}: {gone:?}");
        }
    }
}
