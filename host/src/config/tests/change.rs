//! What a change comes to: the difference of two configurations, and their fingerprints.

use gristmill_queue::QueueName;

use super::good;
use crate::config::{ConfigChange, diff, keys, keys::Table};

const BASE: &str = r#"
[queue.a]
handler = "h.wasm"
[queue.b]
[handler.h]
env = { KEY = "1" }
"#;

fn name(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

#[test]
fn a_file_that_says_the_same_in_other_words_changes_nothing() {
    let other = "# moved down\n\n[host]\nlog = \"info\"\n[queue.b]\nconcurrency = 64\n[queue.a]\nhandler = \"h.wasm\"\n[handler.h.env]\nKEY = \"1\"\n";
    assert!(diff(&good(BASE), &good(other)).is_empty());
}

#[test]
fn queues_and_handlers_come_go_and_change() {
    let new = "[queue.a]\nhandler = \"i.wasm\"\n[queue.c]\nhandler = \"h.wasm\"\n[handler.h]\nenv = { KEY = \"2\" }\n";
    let expected = ConfigChange {
        queues_added: vec![name("c")],
        queues_removed: vec![name("b")],
        queues_changed: vec![name("a")],
        handlers_added: vec!["i".to_owned()],
        handlers_changed: vec!["h".to_owned()],
        ..ConfigChange::default()
    };
    assert_eq!(diff(&good(BASE), &good(new)), expected);
    let back = diff(&good(new), &good(BASE));
    assert_eq!(back.handlers_removed, ["i"]);
}

#[test]
fn every_key_of_the_host_is_noticed_and_told_apart_by_when_it_takes_effect() {
    let other = |key: &str| match key {
        "data_dir" | "handlers" => "\"elsewhere\"",
        "watch" => "\"poll\"",
        "listen" => "\"127.0.0.1:1\"",
        "auth" => "\"token\"",
        "rate" | "rate_per_client" => "\"7/s\"",
        "log" => "\"debug\"",
        "pagemap_scan" => "true",
        "inline_limit" | "disk_reserve" => "\"7KiB\"",
        "confine" => "\"off\"",
        "readable" => "[\"elsewhere\"]",
        "threads" | "max_in_flight" | "keep_versions" | "max_connections" => "5",
        "compile_memory" | "max_module_size" => "\"1GiB\"",
        _ => "\"7s\"",
    };
    let all = [Table::Host, Table::Sandbox, Table::Api];
    for key in all.into_iter().flat_map(keys::of) {
        if ["tls_cert", "tls_key", "client_ca"].contains(&key.name) {
            continue;
        }
        let new = good(&format!("{} = {}\n{BASE}", key.path(), other(key.name)));
        let change = diff(&good(BASE), &new);
        let (restart, live) = (vec![key.path()], vec![]);
        let expected = if key.restart {
            (restart, live)
        } else {
            (live, restart)
        };
        assert_eq!(
            (change.needs_restart, change.host),
            expected,
            "{}",
            key.path()
        );
    }
}

#[test]
fn a_fingerprint_tells_configurations_apart_but_not_secrets_places_or_other_queues() {
    let of = |text: &str| good(text).fingerprint(&name("a")).unwrap();
    let base = of(BASE);
    assert_eq!(base.len(), 16);
    assert_eq!(base, of(&format!("host.handlers = \"elsewhere\"\n{BASE}")));
    assert_eq!(
        base,
        of(&BASE.replace("[queue.b]", "[queue.b]\nconcurrency = 1"))
    );
    for other in [
        BASE.replace("[queue.b]", "ttl = \"1d\"\n[queue.b]"),
        BASE.replace("\"1\"", "\"2\""),
        format!("{BASE}timeout = \"31s\"\n"),
        format!("{BASE}secrets = {{ k = {{ env = \"API_KEY\" }} }}\n"),
        BASE.replace("h.wasm", "i.wasm"),
    ] {
        assert_ne!(base, of(&other), "{other}");
    }
    let secret = |from: &str| of(&format!("{BASE}secrets = {{ k = {{ {from} }} }}\n"));
    assert_eq!(secret("env = \"API_KEY\""), secret("file = \"password\""));
    assert_eq!(good(BASE).fingerprint(&name("nowhere")), None);
}
