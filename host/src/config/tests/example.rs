//! The example file is made from the table of keys, so it cannot go stale, and it says what the
//! code does: taken at its word, it changes nothing.

mod reference;

use std::fmt::Write as _;

use super::{good, read};
use crate::config::keys::{self, KeyDoc, Table};
use crate::config::{EXAMPLE, reference};

const WIDTH: usize = 96;

/// Set to write the file, and the reference in the documents, anew instead of comparing them.
const UPDATE: &str = "UPDATE_EXAMPLE";

#[test]
fn the_example_is_what_the_table_of_keys_says() {
    let made = make_example();
    if std::env::var_os(UPDATE).is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/example.toml");
        std::fs::write(path, &made).unwrap();
        return;
    }
    assert!(
        EXAMPLE == made,
        "example.toml is stale: run this test with {UPDATE}=1"
    );
}

#[test]
fn the_example_is_a_good_configuration_without_warnings() {
    let config = good(EXAMPLE);
    assert_eq!(config.warnings, []);
    let names: Vec<&str> = config.queues.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["invoices", "notifications", "orders"]);
}

#[test]
fn every_default_in_the_example_is_the_one_the_code_uses() {
    let typed = good(&uncommented(|key| key.default.is_some()));
    let config = good(EXAMPLE);
    assert_eq!(typed.host, config.host);
    assert_eq!(typed.queues, config.queues);
    assert_eq!(typed.handlers, config.handlers);
}

#[test]
fn every_key_in_the_example_is_read() {
    // Neither of them is good without the other.
    let alone = |key: &&KeyDoc| !["tls_cert", "tls_key"].contains(&key.name);
    let optional = reference().iter().filter(|key| key.default.is_none());
    for key in optional.filter(alone) {
        // One of them by itself, or with those it needs, changes the configuration: it is not merely
        // tolerated.
        let needed = |other: &KeyDoc| needs(key).contains(&other.name) && other.table == key.table;
        let base = good(&uncommented(needed));
        let text = uncommented(|other| needed(other) || other.path() == key.path());
        let config = read(&text).unwrap_or_else(|errors| panic!("{}\n{errors}", key.path()));
        let threads_as_before = key.name == "threads";
        assert_eq!(
            config == base,
            threads_as_before || is_in_force(key),
            "{}",
            key.path()
        );
    }
}

/// The keys of its table without which a key does nothing.
fn needs(key: &KeyDoc) -> &'static [&'static str] {
    match key.name {
        "burst" => &["rate"],
        "batch_wait" | "batch_bytes" => &["batch_size"],
        "watch" => &["build"],
        "concurrency_per_key" | "rate_per_key" => &["key"],
        "burst_per_key" => &["key", "rate_per_key"],
        "public_url" => &["listen"],
        "client_ca" => &["listen", "tls_cert", "tls_key"],
        "auth" | "rate_per_client" => &["listen"],
        _ => &[],
    }
}

#[test]
fn every_default_of_the_table_is_one_that_differs_when_changed() {
    // Each default is typed alone: no key's default depends on another being typed too.
    let base = good(EXAMPLE);
    for key in reference().iter().filter(|key| key.table != Table::Backoff) {
        if key.default.is_some() {
            let text = uncommented(|other| other.path() == key.path());
            assert_eq!(good(&text), base, "{}", key.path());
        }
    }
}

#[test]
fn the_bounds_in_the_table_are_those_of_the_code() {
    for key in reference() {
        let Some((min, max)) = key.bounds.split_once(" to ") else {
            continue;
        };
        let (max, _) = max.split_once(", or").unwrap_or((max, ""));
        let min = min.rsplit(' ').next().unwrap();
        if !min.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        let quoted = key.example.starts_with(['"', '{']) && key.name != "max_calls";
        let toml = |value: &str| {
            if quoted {
                format!("\"{value}\"")
            } else {
                value.to_owned()
            }
        };
        for edge in [min, max] {
            let told = messages(key, &toml(edge));
            assert!(!told.contains("bounds"), "{} = {edge}: {told}", key.path());
        }
        let beyond = if max.ends_with('B') {
            "9EiB"
        } else if quoted {
            "7000000d"
        } else {
            "9999999999999"
        };
        let told = messages(key, &toml(beyond));
        let expected = format!("is out of bounds: {min} to {max}");
        assert!(
            told.contains(&expected),
            "{} = {beyond}: {told}",
            key.path()
        );
    }
}

/// What is said about the example with a key set to a value.
fn messages(key: &KeyDoc, value: &str) -> String {
    let path = key.path().replace("NAME", "orders");
    // In front, as a dotted key: it is the only place that needs no table.
    let text = format!("{path} = {value}\n");
    let errors = read(&text).err();
    errors.map_or(String::new(), |errors| errors.to_string())
}

/// The example with those keys in force for which `wanted` says so.
fn uncommented(wanted: impl Fn(&KeyDoc) -> bool) -> String {
    let mut table = None;
    let mut lines = Vec::new();
    for line in EXAMPLE.lines() {
        table = match line {
            "[host]" => Some(Table::Host),
            "[host.sandbox]" => Some(Table::Sandbox),
            "[api]" => Some(Table::Api),
            "[queue.orders]" => Some(Table::Queue),
            "[topic.events]" => Some(Table::Topic),
            "[handler.orders]" => Some(Table::Handler),
            "[cron.nightly]" => Some(Table::Cron),
            "[sqs]" => Some(Table::Sqs),
            _ if line.starts_with('[') => None,
            _ => table,
        };
        let typed = line.strip_prefix("# ").filter(|rest| {
            let name = rest.split_once(" = ").map(|(name, _)| name);
            let known = table.and_then(|table| keys::of(table).find(|key| Some(key.name) == name));
            known.is_some_and(&wanted)
        });
        lines.push(typed.unwrap_or(line));
    }
    lines.join("\n")
}

#[test]
fn every_key_stands_in_the_example_and_no_other() {
    let mut found = Vec::new();
    let all = uncommented(|key| {
        key.name != "handler" // It is in force already.
    });
    let (file, errors) = toml::de::DeTable::parse_recoverable(&all);
    assert!(errors.is_empty(), "{errors:?}");
    for (path, table) in [
        ("host", Table::Host),
        ("host.sandbox", Table::Sandbox),
        ("api", Table::Api),
        ("queue.orders", Table::Queue),
        ("queue.orders.backoff", Table::Backoff),
        ("topic.events", Table::Topic),
        ("handler.orders", Table::Handler),
        ("cron.nightly", Table::Cron),
        ("sqs", Table::Sqs),
    ] {
        let mut entries = file.get_ref();
        for step in path.split('.') {
            entries = entries[step].get_ref().as_table().unwrap();
        }
        for (name, _) in entries
            .iter()
            .filter(|(name, _)| name.get_ref() != "sandbox")
        {
            found.push(format!("{}{}", table.prefix(), name.get_ref()));
        }
    }
    let mut known: Vec<String> = reference().iter().map(KeyDoc::path).collect();
    found.sort();
    known.sort();
    assert_eq!(found, known);
}

/// What the example does not leave as it is without it.
fn is_in_force(key: &KeyDoc) -> bool {
    matches!(
        (key.table, key.name),
        (Table::Queue, "handler") | (Table::Topic, "queues") | (Table::Cron, "schedule" | "queue")
    )
}

fn make_example() -> String {
    let mut text = String::new();
    text.push_str(
        "# The configuration of Gristmill: every key, with its default.\n\
         #\n\
         # A key that is commented out shows what holds without it, or an example where it says so.\n\
         # Durations are texts with units (ms, s, m, h, d, w: \"1h 30m\"), sizes too (B, KiB, MiB, GiB:\n\
         # \"64MiB\"); paths are relative to this file. A key that is not known is an error.\n\
         #\n\
         # The common case is two lines:\n\
         #\n\
         #     [queue.orders]\n\
         #     handler = \"orders.wasm\"\n",
    );
    section(&mut text, "[host]", "The host itself.", Table::Host);
    section(
        &mut text,
        "[host.sandbox]",
        "Settings of the sandbox that no handler has a say in.",
        Table::Sandbox,
    );
    section(
        &mut text,
        "[api]",
        "The HTTP API on the network. Over the socket in the data folder it is there without this.",
        Table::Api,
    );
    text.push_str("\n# Defaults for all queues and handlers: the same keys as below, but for `handler` and `sha256`.\n[defaults.queue]\n\n[defaults.handler]\n");
    section(
        &mut text,
        "[queue.orders]",
        "A queue. Its name has letters, digits, '-' and '_'; one that ends in .fifo needs quotes.",
        Table::Queue,
    );
    text.push_str("\n# Queues without a handler, which the handler below could be allowed to send to.\n[queue.invoices]\n\n[queue.notifications]\n");
    section(
        &mut text,
        "[topic.events]",
        "A topic: what is sent to it is copied to each of its queues, in one commit.",
        Table::Topic,
    );
    section(
        &mut text,
        "[handler.orders]",
        "What the handler may do, and how much. Its name is that of the module without .wasm. Without this table it can send nothing, keep nothing and reach nothing.",
        Table::Handler,
    );
    section(
        &mut text,
        "[cron.nightly]",
        "A message that is sent on a schedule.",
        Table::Cron,
    );
    section(
        &mut text,
        "[sqs]",
        "The endpoint that speaks the API of Amazon SQS.",
        Table::Sqs,
    );
    text
}

fn section(text: &mut String, header: &str, about: &str, table: Table) {
    text.push('\n');
    comment(text, "# ", about);
    writeln!(text, "{header}").unwrap();
    for key in keys::of(table) {
        let restart = if key.restart {
            " Read only at the start."
        } else {
            ""
        };
        text.push('\n');
        comment(text, "# ", &format!("{}{restart}", key.doc));
        let example = if key.default.is_none() {
            " For example:"
        } else {
            ""
        };
        comment(text, "# ", &format!("Allowed: {}.{example}", key.bounds));
        if key.name == "backoff" {
            for part in keys::of(Table::Backoff) {
                comment(
                    text,
                    "#   ",
                    &format!("{}: {} Allowed: {}.", part.name, part.doc, part.bounds),
                );
            }
        }
        let mark = if is_in_force(key) { "" } else { "# " };
        writeln!(
            text,
            "{mark}{} = {}",
            key.name,
            key.default.unwrap_or(key.example)
        )
        .unwrap();
    }
}

/// Writes a text as comment lines of at most `WIDTH` characters.
fn comment(text: &mut String, mark: &str, words: &str) {
    let mut line = mark.trim_end().to_owned();
    let indent = &mark[1..];
    let mut first = true;
    for word in words.split(' ') {
        if !first && line.len() + 1 + word.len() > WIDTH {
            writeln!(text, "{line}").unwrap();
            line = "#".to_owned();
            first = true;
        }
        line.push_str(if first { indent } else { " " });
        line.push_str(word);
        first = false;
    }
    writeln!(text, "{line}").unwrap();
}
