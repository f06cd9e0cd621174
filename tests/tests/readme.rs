//! What the documents tell people to type works.

use std::collections::BTreeSet;
use std::fs;

use gristmill_tests::{Host, workspace};

const DOCUMENTS: [&str; 4] = [
    "README.md",
    "docs/developing.md",
    "docs/languages.md",
    "sdk/rust/README.md",
];

fn read(document: &str) -> String {
    fs::read_to_string(workspace().join(document)).unwrap()
}

/// The fenced blocks of this kind.
fn blocks(text: &str, kind: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == format!("```{kind}") {
            let block = lines.by_ref().take_while(|line| line.trim() != "```");
            blocks.push(block.collect::<Vec<_>>().join("\n"));
        }
    }
    blocks
}

/// What stands between backticks on a line, and the lines of blocks: all that could be a command.
fn commands(text: &str) -> Vec<String> {
    let inline = text
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let typed = blocks(text, "sh")
        .into_iter()
        .chain(blocks(text, "console"));
    let typed: Vec<String> = typed
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let all = inline.map(str::to_owned).chain(typed);
    all.map(|line| line.trim_start_matches("$ ").to_owned())
        .filter(|line| line.starts_with("gristmill "))
        .collect()
}

/// Words of a command that are not for the reader to fill in.
fn verb(words: &[&str]) -> Vec<String> {
    let fixed = |word: &&&str| {
        word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-') && !word.starts_with('-')
    };
    let most = if words
        .first()
        .is_some_and(|first| ["dead", "config", "cron", "handlers", "token"].contains(first))
    {
        2
    } else {
        1
    };
    words
        .iter()
        .take_while(fixed)
        .take(most)
        .map(|word| (*word).to_owned())
        .collect()
}

#[test]
fn every_command_that_is_named_exists_with_its_options() {
    let host = Host::new("", &[]).unwrap();
    let mut seen = BTreeSet::new();
    for document in DOCUMENTS {
        for command in commands(&read(document)) {
            let words: Vec<&str> = command.split_whitespace().skip(1).collect();
            let verb = verb(&words);
            if verb.is_empty() || verb[0] == "help" {
                continue;
            }
            let mut args: Vec<&str> = verb.iter().map(String::as_str).collect();
            args.push("--help");
            let help = host.run(&args).unwrap();
            assert_eq!(
                help.code,
                Some(0),
                "{document}: `{command}`: {}",
                help.stderr
            );
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.stdout.contains(option),
                    "{document}: `{command}` has no {option}"
                );
            }
            seen.insert(verb[0].clone());
        }
    }
    assert!(seen.len() >= 8, "only {seen:?} were found");
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let mut shown = 0;
    for document in DOCUMENTS {
        for block in blocks(&read(document), "toml") {
            if !block.contains("[queue.") && !block.contains("[host") {
                continue;
            }
            let host = Host::new(&block, &[]).unwrap();
            let output = host.run(&["check", "--config-only"]).unwrap();
            assert_eq!(
                output.code,
                Some(0),
                "{document}: {}\n{block}",
                output.stderr
            );
            shown += 1;
        }
    }
    assert!(shown >= 2, "only {shown} were found");
    let host = Host::new("", &[]).unwrap();
    let example = host.done(&["config", "example"]).unwrap();
    host.configure(&example).unwrap();
    host.done(&["check", "--config-only"]).unwrap();
}

#[test]
fn a_first_look_without_any_handler_works() {
    let mut host = Host::new("[queue.orders]\n", &[]).unwrap();
    let id = host.done(&["send", "orders", "hello"]).unwrap();
    let peeked = host.done(&["peek", "orders"]).unwrap();
    assert!(
        peeked.contains(id.trim()) && peeked.contains("hello"),
        "{peeked}"
    );
    host.start().unwrap();
    let listed = host.done(&["queues"]).unwrap();
    assert!(listed.contains("orders"), "{listed}");
    host.done(&["pause", "orders"]).unwrap();
    assert_eq!(
        host.queue("orders").unwrap().gate.as_deref(),
        Some("paused")
    );
    host.done(&["resume", "orders"]).unwrap();
    assert_eq!(
        host.done(&["purge", "orders", "--ready", "--yes"]).unwrap(),
        "1 message removed\n"
    );
    assert_eq!(host.stop().unwrap(), Some(0));
}
