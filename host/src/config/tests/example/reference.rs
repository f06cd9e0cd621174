//! The reference in the documents is what the table of keys says.

use std::fs;
use std::path::Path;

use super::UPDATE;
use crate::config::{markdown, reference};

const BEGIN: &str = "<!-- made by the tests: begin -->\n";
const END: &str = "<!-- made by the tests: end -->\n";

/// Compares what stands between the marks of a document, or writes it anew.
fn hold(document: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(document);
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the mark where it begins");
    let (found, after) = rest.split_once(END).expect("the mark where it ends");
    let made = format!("\n{made}\n");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    assert!(
        found == made,
        "the reference in {document} is stale: run this test with {UPDATE}=1"
    );
}

#[test]
fn the_reference_of_the_documents_is_what_the_table_of_keys_says() {
    hold("docs/configuration.md", &markdown::whole());
    hold("README.md", &markdown::compact());
}

#[test]
fn every_key_stands_in_the_reference_with_its_unit() {
    let rows = markdown::compact();
    for (key, expected) in [
        ("host.data_dir", "| text |"),
        ("host.threads", "| – | number |"),
        ("host.shutdown_timeout", "| `\"25s\"` | time |"),
        ("host.sandbox.max_module_size", "| size |"),
        ("host.sandbox.pagemap_scan", "| yes or no |"),
        ("queue.NAME.dead_retention", "| time |"),
        ("queue.NAME.backoff", "| table |"),
        ("handler.NAME.max_calls", "| number |"),
        ("handler.NAME.send_to", "| list |"),
    ] {
        let row = rows.lines().find(|row| row.contains(&format!("`{key}`")));
        assert!(
            row.is_some_and(|row| row.contains(expected)),
            "{key}: {row:?}"
        );
    }
    for text in [rows, markdown::whole()] {
        for key in reference() {
            let named = text.contains(&format!("`{}`", key.path()));
            assert!(named || text.contains(&format!("| `{}` |", key.name)));
        }
        for row in text.lines().filter(|line| line.starts_with('|')) {
            let cells = row.replace("\\|", "").matches('|').count() - 1;
            assert!(cells == 4 || cells == 5, "{row}");
        }
    }
}
