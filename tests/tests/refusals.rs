//! Bad input of every kind: an error that names the thing and the cure, and nothing changed.

use std::process::Stdio;

use gristmill_tests::{Host, guests};

use crate::fixture;

/// Runs a command that has to be refused, with this exit code and these words.
fn refused(host: &Host, args: &[&str], code: i32, words: &[&str]) {
    let output = host.run(args).unwrap();
    assert_eq!(output.code, Some(code), "{args:?}: {output:?}");
    for word in words {
        assert!(
            output.stderr.contains(word),
            "{args:?} does not say {word}:\n{}",
            output.stderr
        );
    }
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
}

fn wrong_commands(host: &Host) {
    let large = host.folder().join("large");
    std::fs::write(&large, vec![b'x'; 300 * 1024]).unwrap();
    let large = large.to_str().unwrap();
    refused(host, &["send", "nosuch", "x"], 4, &["nosuch"]);
    refused(
        host,
        &["send", "work", "--file", large],
        1,
        &["307200", "204800"],
    );
    refused(
        host,
        &["send", "work", "--file", "absent"],
        1,
        &["absent", "cannot be read"],
    );
    refused(
        host,
        &["send", "work", "x", "--delay", "soon"],
        2,
        &["--delay", "soon", "30s"],
    );
    refused(
        host,
        &["send", "work", "x", "--dealy", "1s"],
        2,
        &["--dealy", "--delay"],
    );
    refused(host, &["send", "a b", "x"], 2, &["a b"]);
    refused(host, &["sned", "work", "x"], 2, &["sned", "send"]);
    refused(host, &["peek", "nosuch"], 4, &["nosuch"]);
    refused(host, &["dead", "list", "nosuch"], 4, &["nosuch"]);
    refused(
        host,
        &["dead", "list", "work", "--reason", "sad"],
        2,
        &["sad", "rejected"],
    );
    let absent = "0198c0de-0000-7000-8000-000000000001";
    refused(host, &["dead", "show", "work", absent], 4, &[absent]);
    refused(host, &["pause", "nosuch"], 4, &["nosuch"]);
    refused(host, &["purge", "work"], 2, &["--ready"]);
    refused(host, &["purge", "work", "--ready"], 2, &["--yes"]);
}

#[test]
fn wrong_commands_say_what_is_wrong_and_change_nothing() {
    let limited = fixture::config("max_message_size = \"200KiB\"", "");
    let mut host = Host::new(&limited, &[]).unwrap();
    // Without a host, into the store itself; then through a host.
    host.done(&["send", "work", "kept"]).unwrap();
    wrong_commands(&host);
    refused(
        &host,
        &["handlers"],
        3,
        &["no host runs", "gristmill serve"],
    );
    host.start().unwrap();
    wrong_commands(&host);
    let work = host.queue("work").unwrap();
    assert_eq!((work.ready, work.sent, work.dead), (1, 0, 0));
}

#[test]
fn a_full_queue_refuses_and_keeps_what_it_has() {
    let mut host = Host::new(&fixture::config("max_messages = 2", ""), &[]).unwrap();
    host.start().unwrap();
    for _ in 0..2 {
        host.done(&["send", "work", "x"]).unwrap();
    }
    refused(&host, &["send", "work", "x"], 6, &["work", "full"]);
    assert_eq!(host.queue("work").unwrap().ready, 2);
}

#[test]
fn a_second_host_is_refused_and_the_first_goes_on() {
    let mut host = Host::new(&fixture::config("", ""), &[]).unwrap();
    host.start().unwrap();
    refused(&host, &["serve"], 75, &["gristmill-data", "in use"]);
    assert!(host.is_running());
    host.done(&["send", "work", "x"]).unwrap();
    assert_eq!(host.queue("work").unwrap().ready, 1);
}

const BROKEN: &str = r#"
[queue.work]
handlr = "misbehave.wasm"
max_attempts = 0
backoff = { base = "soon" }

[handler.misbehave]
send_to = ["uot"]

[queue.out]
"#;

#[test]
fn all_problems_of_a_configuration_are_told_at_once() {
    let host = Host::new(BROKEN, &[]).unwrap();
    let words = [
        "gristmill.toml:3",
        "handlr",
        "handler", // the place, the key, what it should be
        "max_attempts",
        "1 to 1000000", // what is allowed
        "soon",
        "base", // a value that is no duration
        "uot",
        "out", // a queue that is not there, and one that is
    ];
    refused(&host, &["check"], 2, &words);
    refused(&host, &["serve"], 78, &words);
    refused(&host, &["send", "work", "x"], 2, &words);
    assert!(
        !host.data().join("gristmill.redb").exists(),
        "nothing was made"
    );
    host.configure("[queue.work\n").unwrap();
    refused(&host, &["check"], 2, &["gristmill.toml:1"]);
    let absent = ["check", "--config", "absent.toml"];
    refused(&host, &absent, 2, &["absent.toml"]);
}

#[test]
fn a_module_that_may_not_serve_is_named_with_the_cure() {
    let core = wat::parse_str("(module)").unwrap();
    let empty = wat::parse_str("(component)").unwrap();
    let whole = std::fs::read(guests().unwrap().path("misbehave")).unwrap();
    let nothing_granted = "[queue.work]\nhandler = \"misbehave.wasm\"\n";
    let granted = fixture::config("", "");
    let pinned = fixture::config("", &format!("sha256 = \"{}\"", "0".repeat(64)));
    for (config, module, words) in [
        (&*granted, b"#!/bin/sh".to_vec(), &["not WebAssembly"][..]),
        (&*granted, Vec::new(), &["the file is empty"]),
        (&*granted, core, &["core module", "wasm32-wasip2"]),
        (&*granted, empty, &["not a handler", "it exports nothing"]),
        (
            &*granted,
            whole[..whole.len() / 2].to_vec(),
            &["not valid WebAssembly"],
        ),
        (
            nothing_granted,
            whole.clone(),
            &["imports gristmill:queue/state", "send_to", "state"],
        ),
        (&*pinned, whole, &["SHA-256", "pins", "sha256"]),
    ] {
        let host = Host::new(config, &[]).unwrap();
        host.install_bytes(&module, "misbehave").unwrap();
        let output = host.run(&["check"]).unwrap();
        assert_eq!(output.code, Some(1), "{output:?}");
        for word in ["misbehave.wasm"].iter().chain(words) {
            assert!(
                output.stdout.contains(word),
                "no {word} in {}",
                output.stdout
            );
        }
    }
}

#[test]
fn what_nobody_reads_is_no_failure() {
    let host = Host::new(&fixture::config("", ""), &[]).unwrap();
    let mut command = host.command(&["config", "reference"]).unwrap();
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
