//! `gristmill serve --supervise`: what kills the host is found out, and everything else goes on.

use std::fs;
use std::time::{Duration, Instant};

use gristmill_tests::Host;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::fixture;

const SUPERVISE: [&str; 2] = ["serve", "--supervise"];

fn supervised(config: &str) -> Host {
    let mut host = Host::new(config, &["misbehave"]).unwrap();
    host.launch(&SUPERVISE).unwrap();
    host.wait_ready().unwrap();
    host
}

fn told(what: &str) -> String {
    let handler = format!("timeout = \"10m\"\nenv = {{ TOLD = \"{what}\" }}");
    fixture::config("concurrency = 8", &handler)
}

fn shown(host: &Host, id: &str) -> Value {
    host.json(&["show", id]).unwrap()
}

/// Kills the host, not its supervisor, and waits until it serves again.
fn crash(host: &mut Host) -> Duration {
    let child = host.supervised().unwrap();
    let began = Instant::now();
    kill_process(child, Signal::KILL).unwrap();
    host.wait_until("another host runs", |host| {
        Ok(host.supervised().is_ok_and(|now| now != child))
    })
    .unwrap();
    host.wait_ready().unwrap();
    began.elapsed()
}

/// Changes the configuration and waits until it is in force.
fn reconfigure(host: &Host, config: &str) {
    let seen = |host: &Host| {
        host.log()
            .matches("the new configuration is in force")
            .count()
    };
    let before = seen(host);
    host.configure(config).unwrap();
    host.signal(Signal::HUP).unwrap();
    host.wait_until("the configuration is in force", |host| {
        Ok(seen(host) > before)
    })
    .unwrap();
}

#[test]
fn a_message_that_kills_the_host_dies_of_it_and_seven_neighbours_are_handled_uncharged() {
    let mut host = supervised(&told("sleep 600000"));
    let poison = host.send("work", "sleep 600000").unwrap();
    let bodies = vec!["as-told".to_owned(); 7];
    let neighbours = host.send_all("work", &bodies).unwrap();
    host.wait_until("all eight run", |host| {
        Ok(host.queue("work")?.in_flight == 8)
    })
    .unwrap();
    // From now on they end, but do not go yet, so that one sees what they were charged.
    reconfigure(&host, &told("postpone 3600000"));
    let (mut deaths, mut slowest) = (0, Duration::ZERO);
    while shown(&host, &poison)["state"] != "dead" {
        slowest = slowest.max(crash(&mut host));
        deaths += 1;
        assert!(deaths <= 4, "it lives on after {deaths} deaths");
        host.wait_until("it runs alone, or is dead", |host| {
            let state = &host.json(&["show", &poison])?["state"];
            Ok(state == "in-flight" && host.queue("work")?.in_flight == 1 || state == "dead")
        })
        .unwrap();
    }
    println!("{deaths} deaths; after each it served again within {slowest:?}");
    let letter = host.dead_letter("work", &poison).unwrap();
    assert_eq!(letter["reason"], "host-crash", "{letter}");
    assert!(deaths > 1, "one death proves nothing against a message");
    host.wait_until("the neighbours are postponed", |host| {
        Ok(host.queue("work")?.scheduled == 7)
    })
    .unwrap();
    for id in &neighbours {
        let counters = &shown(&host, id)["counters"];
        let charged = ["attempts", "crashes", "postponed"].map(|name| counters[name].as_u64());
        assert_eq!(charged, [Some(0), Some(0), Some(1)], "{counters}");
    }
    reconfigure(&host, &told("ok"));
    for id in &neighbours {
        host.done(&["move", id, "--now"]).unwrap();
    }
    host.wait_settled(&["work"]).unwrap();
    let work = host.queue("work").unwrap();
    assert_eq!((work.acked, work.dead, work.failed), (7, 1, 0), "{work:?}");
    assert_eq!(host.stop().unwrap(), Some(0), "{}", host.log());
}

#[test]
fn signals_are_passed_on_and_the_parent_is_small() {
    let mut host = supervised(&told("ok"));
    let parent = host.pid().unwrap().as_raw_nonzero();
    let threads = fs::read_dir(format!("/proc/{parent}/task"))
        .unwrap()
        .count();
    assert_eq!(threads, 1);
    let own = host.memory_kib("RssAnon").unwrap();
    println!("the supervisor has {own} KiB of its own memory");
    assert!(own < 8 * 1024, "{own} KiB");
    reconfigure(&host, &told("reject"));
    host.send("work", "sleep 600000").unwrap();
    host.wait_until("it runs", |host| Ok(host.queue("work")?.in_flight == 1))
        .unwrap();
    let child = host.supervised().unwrap();
    host.signal(Signal::TERM).unwrap();
    host.wait_until("it stops", |host| Ok(host.log().contains("stopping: 1")))
        .unwrap();
    host.signal(Signal::TERM).unwrap();
    assert_eq!(host.wait_end().unwrap(), Some(0), "{}", host.log());
    assert!(host.log().contains("asked again"), "{}", host.log());
    assert!(is_gone(child));
    assert!(!host.log().contains("started again"), "{}", host.log());
}

fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.contains(") Z ")) || rustix::process::test_kill_process(pid).is_err()
}

#[test]
fn a_host_whose_supervisor_is_killed_stops_in_good_order() {
    let mut host = supervised(&told("ok").replace("\"5s\"", "\"100ms\""));
    let id = host.send("work", "sleep 600000").unwrap();
    host.wait_until("it runs", |host| Ok(host.queue("work")?.in_flight == 1))
        .unwrap();
    let child = host.supervised().unwrap();
    host.kill().unwrap();
    let began = Instant::now();
    while !is_gone(child) {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", host.log());
        std::thread::yield_now();
    }
    let counters = &shown(&host, &id)["counters"];
    assert_eq!(
        (counters["attempts"].as_u64(), counters["crashes"].as_u64()),
        (Some(0), Some(0))
    );
}

#[test]
fn what_a_restart_cannot_help_ends_the_supervisor_too() {
    let mut first = fixture::host(&told("ok"), &["misbehave"]);
    let refused = first.run(&SUPERVISE).unwrap();
    assert_eq!(refused.code, Some(75), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("is in use by"),
        "{}",
        refused.stderr
    );
    first.stop().unwrap();
    first.configure("[queue.work]\nhandler = 7\n").unwrap();
    let refused = first.run(&SUPERVISE).unwrap();
    assert_eq!(refused.code, Some(78), "{}", refused.stderr);
    assert!(
        !refused.stderr.contains("started again"),
        "{}",
        refused.stderr
    );
}

#[test]
fn the_unit_file_is_one_that_systemd_understands() {
    let unit = gristmill_tests::workspace().join("docs/gristmill.service");
    let text = fs::read_to_string(&unit).unwrap();
    for line in [
        "Restart=always",
        "RestartPreventExitStatus=1 2 75 78",
        "KillMode=mixed",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing");
    }
    // Compiled code is mapped to be run.
    assert!(!text.contains("\nMemoryDenyWriteExecute=yes"));
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("gristmill.service");
    let program = gristmill_tests::gristmill().unwrap().display().to_string();
    fs::write(&copy, text.replace("/usr/local/bin/gristmill", &program)).unwrap();
    let verified = std::process::Command::new("systemd-analyze")
        .arg("verify")
        .arg(&copy)
        .output();
    match verified {
        Err(error) => println!("SKIP: systemd-analyze cannot be run: {error}"),
        Ok(verified) => {
            let said = String::from_utf8_lossy(&verified.stderr);
            let ours: Vec<_> = said
                .lines()
                .filter(|line| line.contains("gristmill"))
                .collect();
            assert!(ours.is_empty(), "{ours:#?}");
        }
    }
}
