//! The contract names the tests that prove it, and they exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use gristmill_tests::workspace;

const DOCUMENT: &str = "docs/semantics.md";
/// What a sentence says that nothing proves, with the reason behind it.
const OPEN: &str = "*no test yet*: ";

/// The names of all tests of the workspace.
fn tests() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["host", "sdk", "handlers", "tests"] {
        walk(&workspace().join(folder), &mut found);
    }
    found
}

fn walk(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let mut marked = false;
            for line in text.lines().map(str::trim) {
                marked |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                let code = line.strip_prefix("async ").unwrap_or(line);
                let Some(rest) = code.strip_prefix("fn ") else {
                    continue;
                };
                let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                if std::mem::take(&mut marked) {
                    found.extend(name.take(1).map(str::to_owned));
                }
            }
        }
    }
}

#[test]
fn every_sentence_of_the_contract_names_tests_that_exist_or_says_why_not() {
    let text = fs::read_to_string(workspace().join(DOCUMENT)).unwrap();
    let tests = tests();
    let mut problems = Vec::new();
    let mut sentences = 0;
    let rows = text.lines().filter(|line| line.starts_with("| "));
    for row in rows.filter(|row| !row.starts_with("| what is promised")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [sentence, proof] = cells[..] else {
            problems.push(format!("not a sentence and its tests: {row}"));
            continue;
        };
        sentences += 1;
        if proof.strip_prefix(OPEN).is_some_and(|why| why.len() > 10) {
            continue;
        }
        let named: Vec<&str> = proof.split('`').skip(1).step_by(2).collect();
        if named.is_empty() {
            problems.push(format!("nothing proves: {sentence}"));
        }
        for name in named.into_iter().filter(|name| !tests.contains(*name)) {
            problems.push(format!("there is no test {name}, for: {sentence}"));
        }
    }
    // What stands outside of the tables is named too.
    for name in text.split('`').skip(1).step_by(2) {
        let looks_so = name.matches('_').count() > 2 && !tests.contains(name);
        if looks_so && !problems.iter().any(|problem| problem.contains(name)) {
            problems.push(format!("there is no test {name}"));
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
    assert!(sentences > 60, "only {sentences} sentences were found");
}
