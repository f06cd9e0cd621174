//! Secrets stay where they belong: two values are planted, everything is driven, and every output is
//! searched for them.

use std::fs;
use std::path::Path;

use gristmill_tests::Host;

use crate::fixture;

const VARIABLE: &str = "canary-of-the-environment-5d41402abc4b2a76";
const FILE: &str = "canary-in-a-file-b9719d911017c592";
/// Written into the configuration by mistake.
const TYPED: &str = "canary-that-was-typed-7d793037a0760186";

fn config() -> String {
    let secrets = "secrets = { none = { file = \"gristmill.toml\" }, variable = { env = \"CANARY\" }, file = { file = \"canary\" } }";
    let config = fixture::config("max_attempts = 1", "");
    let own = config
        .lines()
        .find(|line| line.starts_with("secrets"))
        .unwrap();
    config.replace(own, secrets)
}

/// Whatever verbs say, in words and as JSON.
fn verbs(host: &Host, ids: &[String], said: &mut String) {
    let dead = ids[0].as_str();
    let verbs: Vec<Vec<&str>> = vec![
        vec!["check"],
        vec!["queues"],
        vec!["topics"],
        vec!["handlers"],
        vec!["cron"],
        vec!["groups", "work"],
        vec!["peek", "work"],
        vec!["peek", "out"],
        vec!["show", dead],
        vec!["dead", "list", "work"],
        vec!["dead", "list", "work", "--all"],
        vec!["dead", "show", "work", dead],
        vec!["dead", "redrive", "work", dead],
        vec!["send", "work", "ok"],
        vec!["send", "nowhere", "x"],
        vec!["request", "work", "ok", "--wait", "100ms"],
        vec!["reply", "nobody"],
        vec!["cancel", dead],
        vec!["move", dead, "--now"],
        vec!["pause", "work"],
        vec!["resume", "work"],
        vec!["purge", "out", "--ready", "--yes"],
        vec!["config", "example"],
        vec!["__probe"],
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["serve"],
    ];
    for verb in verbs {
        for json in [&[][..], &["--json"]] {
            let output = host.run(&[&verb[..], json].concat()).unwrap();
            said.push_str(&output.stdout);
            said.push_str(&output.stderr);
        }
    }
}

fn everything_in(folder: &Path, except: &Path, search: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // The cache of compiled modules is linked to, and shared with other tests.
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            everything_in(&path, except, search);
        } else if path.is_file() && path != except {
            search(&path, &fs::read(&path).unwrap());
        }
    }
}

#[test]
fn secrets_are_in_no_log_no_answer_no_dead_letter_and_no_file() {
    let mut host = Host::new(&config(), &["misbehave"]).unwrap();
    host.set_variable("CANARY", VARIABLE);
    host.set_variable("RUST_BACKTRACE", "full");
    let file = host.folder().join("canary");
    fs::write(&file, format!("{FILE}\n")).unwrap();
    let logged = config().replacen("[host]\n", "[host]\nlog = \"debug\"\n", 1);
    host.configure(&logged).unwrap();
    host.start().unwrap();
    let bodies = [
        "use-secret variable",
        "use-secret file",
        "then-trap",
        "memory",
        "retry why",
        "spin",
    ];
    let bodies = bodies.map(str::to_owned);
    let ids = host.send_all("work", &bodies).unwrap();
    host.wait_settled(&["work"]).unwrap();
    let mut said = String::new();
    verbs(&host, &ids, &mut said);
    let letter = host.dead_letter("work", &ids[0]).unwrap().to_string();
    // The handler did get them: it tells how long they are.
    let length = format!("has Some({}) bytes", VARIABLE.len());
    let log = host.log();
    assert!(
        [&said, &letter, &log]
            .iter()
            .any(|said| said.contains(&length)),
        "the secret was not used: {letter}"
    );
    said.push_str(&letter);
    // A secret in the wrong place, while it runs and at a start.
    let typed = config().replace("{ env = \"CANARY\" }", &format!("\"{TYPED}\""));
    host.configure(&typed).unwrap();
    host.wait_until("it is refused", |host| {
        Ok(host.log().contains("has a problem"))
    })
    .unwrap();
    let refused = host.run(&["check"]).unwrap();
    assert_eq!(refused.code, Some(2));
    said.push_str(&refused.stdout);
    said.push_str(&refused.stderr);
    host.configure(&logged).unwrap();
    host.kill().unwrap();
    host.start().unwrap();
    host.stop().unwrap();
    said.push_str(&host.log());
    for canary in [VARIABLE, FILE, TYPED] {
        assert!(!said.contains(canary), "{canary} was said");
    }
    let mut searched = 0;
    everything_in(host.folder(), &file, &mut |path, bytes| {
        searched += 1;
        for canary in [VARIABLE, FILE, TYPED] {
            let canary = canary.as_bytes();
            let found = bytes.windows(canary.len()).any(|window| window == canary);
            assert!(!found, "a secret is in {}", path.display());
        }
    });
    println!("{} bytes were said, {searched} files searched", said.len());
    assert!(searched > 4);
}
