//! The reference of every key as Markdown: for `docs/configuration.md` and the README, which a test
//! compares with it, and for `gristmill config reference --markdown`.

use std::fmt::Write as _;

use super::keys::{self, KeyDoc, Table};
use super::value;

/// The tables in the order in which they are best read, with what each is for.
const TABLES: [(Table, &str, &str); 9] = [
    (Table::Host, "[host]", "The host itself."),
    (
        Table::Sandbox,
        "[host.sandbox]",
        "Settings of the sandbox that no handler has a say in.",
    ),
    (
        Table::Api,
        "[api]",
        "The HTTP API on the network. [The HTTP API](http-api.md) tells more.",
    ),
    (
        Table::Queue,
        "[queue.NAME]",
        "A queue; and, but for the keys that say so, `[defaults.queue]` for all of them.",
    ),
    (
        Table::Backoff,
        "backoff = { … }",
        "The parts of a queue's `backoff`.",
    ),
    (
        Table::Topic,
        "[topic.NAME]",
        "A topic: what is sent to it is copied to each of its queues, in one commit. [Topics](topics.md) tells more.",
    ),
    (
        Table::Handler,
        "[handler.NAME]",
        "What a handler may do, and how much; and, but for the keys that say so, `[defaults.handler]` for all of them.",
    ),
    (
        Table::Cron,
        "[cron.NAME]",
        "A message that is sent on a schedule.",
    ),
    (
        Table::Sqs,
        "[sqs]",
        "The endpoint that speaks the API of Amazon SQS. [SQS](sqs.md) tells more.",
    ),
];

/// Every key with its default, its unit, what it may be and what it means: a table for each table.
#[must_use]
pub fn whole() -> String {
    let mut text = String::new();
    for (table, header, about) in TABLES {
        let _ = write!(
            text,
            "## `{header}`\n\n{about}\n\n| key | default | unit | allowed | meaning |\n|---|---|---|---|---|\n"
        );
        for key in keys::of(table) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {}{}{} |",
                key.name,
                default(key),
                unit(key),
                cell(key.bounds),
                cell(key.doc),
                if key.restart {
                    " Read only at the start."
                } else {
                    ""
                },
                if has_defaults(table) && !key.shared {
                    " Not in `[defaults]`."
                } else {
                    ""
                },
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Every key with its default, its unit and what it may be, in one table.
#[must_use]
pub fn compact() -> String {
    let mut text = String::from("| key | default | unit | allowed |\n|---|---|---|---|\n");
    for (table, ..) in TABLES {
        for key in keys::of(table) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                key.path(),
                default(key),
                unit(key),
                cell(key.bounds)
            );
        }
    }
    text
}

fn has_defaults(table: Table) -> bool {
    matches!(table, Table::Queue | Table::Backoff | Table::Handler)
}

fn default(key: &KeyDoc) -> String {
    key.default
        .map_or_else(|| "–".to_owned(), |default| format!("`{default}`"))
}

/// In what a value is counted, as its bounds and its example tell.
fn unit(key: &KeyDoc) -> &'static str {
    let unquoted = key.example.trim_matches('"');
    let most = key.bounds.split(" to ").nth(1);
    let most = most.map_or(key.bounds, |rest| {
        rest.split([',', ' ']).next().unwrap_or(rest)
    });
    if key.example.starts_with('[') {
        "list"
    } else if key.example.starts_with('{') {
        "table"
    } else if unquoted == "true" || unquoted == "false" {
        "yes or no"
    } else if most.parse::<u64>().is_ok() {
        "number"
    } else if value::duration(most).is_some() {
        "time"
    } else if value::size(most).is_some() {
        "size"
    } else if value::rate(unquoted).is_some() {
        "rate"
    } else {
        "text"
    }
}

/// A text that cannot break the row it stands in.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
