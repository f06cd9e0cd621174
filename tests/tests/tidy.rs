//! What no compiler checks: words, lengths, who may name whom, and that the map is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gristmill_tests::workspace;

/// Words that name nothing, and what to ask instead.
const WORDS: [(&str, &str); 7] = [
    ("manager", "say what it does: registry, pool, store"),
    ("util", "name the file after what is in it"),
    ("utils", "name the file after what is in it"),
    ("helper", "name it after what it does"),
    ("helpers", "name the file after what is in it"),
    ("common", "name what it has in common"),
    ("misc", "name the file after what is in it"),
];

/// A crate, the only folders that may name it, and why.
const ONLY: [(&str, &[&str]); 12] = [
    ("redb", &["host/store/"]),
    (
        "wasmtime",
        &["host/src/runtime/", "host/javascript/unused/"],
    ),
    ("wit_component", &["host/src/runtime/"]),
    ("wasmtime_wizer", &["host/src/runtime/"]),
    ("componentize_qjs", &["host/javascript/"]),
    ("axum", &["host/src/http/"]),
    ("hyper", &["host/src/http/", "host/src/net/"]),
    ("rustls", &["host/src/net/"]),
    ("toml", &["host/src/config/", "host/src/cli/new/tests.rs"]),
    ("notify", &["host/src/reload/"]),
    ("croner", &["host/src/cron/"]),
    ("landlock", &["host/src/confine/"]),
];

/// This file has to write down what it looks for.
const ITSELF: &str = "tests/tests/tidy.rs";

const MAX_LINES: usize = 400;

/// Files that are longer, and why they are not cut.
const LONGER: [(&str, &str); 1] = [(
    "host/queue/src/board.rs",
    "its parts stand beside it; what is left is the one type that ties them together",
)];

fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["host", "sdk", "handlers", "tests", "bench"] {
        walk(&workspace().join(folder), &mut found);
    }
    found.sort();
    assert!(found.len() > 100, "only {} sources", found.len());
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(workspace()).unwrap();
            found.push((
                name.to_str().unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            ));
        }
    }
}

/// The code of a line, without its comment; roughly, but no rule here needs more.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
}

/// The parts of a name in either case: `DataStore` and `data_store` have two.
fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in name.chars() {
        let starts = c.is_ascii_uppercase()
            && parts
                .last()
                .is_some_and(|part| !part.ends_with(|c: char| c.is_ascii_uppercase()));
        if c == '_' || starts {
            parts.push(String::new());
        }
        if c != '_' {
            parts.last_mut().unwrap().push(c);
        }
    }
    parts.iter().map(|part| part.to_ascii_lowercase()).collect()
}

fn report(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn names_say_something() {
    let mut problems = Vec::new();
    let instead = |part: &str| {
        WORDS
            .iter()
            .find(|(word, _)| *word == part)
            .map(|(_, cure)| cure)
    };
    for (file, text) in sources() {
        if file == ITSELF {
            continue;
        }
        for part in Path::new(&file).with_extension("").iter() {
            if let Some(cure) = instead(part.to_str().unwrap()) {
                problems.push(format!("{file}: {cure}"));
            }
        }
        for (number, line) in text.lines().enumerate() {
            // Only what is declared here: names of others are theirs.
            let mut previous = "";
            for word in words(code(line)) {
                let declares = [
                    "fn", "struct", "enum", "trait", "mod", "type", "const", "static", "let",
                ];
                if declares.contains(&previous) {
                    for part in parts(word) {
                        if let Some(cure) = instead(&part) {
                            problems.push(format!("{file}:{}: {word}: {cure}", number + 1));
                        }
                    }
                }
                previous = word;
            }
        }
    }
    report(&problems);
}

/// Whether a line names the crate: as a path, or in `use`.
fn names(line: &str, name: &str) -> bool {
    let code = code(line);
    let path = format!("{name}::");
    let starts = |at: usize| {
        !code[..at]
            .ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':' || c == '"')
    };
    code.match_indices(&path).any(|(at, _)| starts(at))
        || code.trim() == format!("use {name};")
        || code.contains(&format!("extern crate {name}"))
}

#[test]
fn each_library_is_named_in_one_room_only() {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for (file, text) in sources() {
        for (name, rooms) in ONLY {
            let line = text.lines().position(|line| names(line, name));
            let Some(line) = line.filter(|_| file != ITSELF) else {
                continue;
            };
            used.insert(name);
            if !rooms.iter().any(|room| file.starts_with(room)) {
                problems.push(format!(
                    "{file}:{}: only {rooms:?} may name {name}",
                    line + 1
                ));
            }
        }
    }
    report(&problems);
    assert_eq!(
        used.len(),
        ONLY.len(),
        "a rule that watches nothing: {used:?}"
    );
}

#[test]
fn files_can_be_read_in_one_sitting() {
    let mut problems = Vec::new();
    for (file, text) in sources() {
        let lines = text.lines().count();
        let excused = LONGER.iter().any(|(longer, _)| *longer == file);
        if lines > MAX_LINES && !excused {
            problems.push(format!(
                "{file}: {lines} lines; cut it, or say in LONGER why not"
            ));
        }
        if lines <= MAX_LINES && excused {
            problems.push(format!(
                "{file}: not longer than {MAX_LINES} any more, take it out of LONGER"
            ));
        }
    }
    report(&problems);
}

#[test]
fn every_file_says_what_it_is() {
    let mut problems = Vec::new();
    for (file, text) in sources() {
        let first = text.lines().next().unwrap_or_default();
        let tests = file.contains("/tests/") || file.ends_with("/tests.rs");
        if !first.starts_with("//!") && !tests {
            problems.push(format!(
                "{file}: begins without //!, which says what it knows"
            ));
        }
    }
    report(&problems);
}

#[test]
fn the_map_names_every_room() {
    let map = fs::read_to_string(workspace().join("ARCHITECTURE.md")).unwrap();
    let mut problems = Vec::new();
    for entry in fs::read_dir(workspace().join("host/src")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let name = path
            .strip_prefix(workspace())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let stem = name.trim_end_matches(".rs");
        let itself = ["lib", "main"].iter().any(|itself| stem.ends_with(itself));
        if !itself && !map.contains(stem) {
            problems.push(format!("{name} is not in ARCHITECTURE.md"));
        }
    }
    for line in map.lines().filter(|line| line.starts_with("| `")) {
        let room = line.split('`').nth(1).unwrap();
        if !workspace().join(room).exists() {
            problems.push(format!("ARCHITECTURE.md names {room}, which is not there"));
        }
    }
    report(&problems);
    assert!(
        map.lines().count() <= 200,
        "a map is at most 200 lines long"
    );
}

#[test]
fn copies_of_the_interface_are_equal() {
    let original = fs::read_to_string(workspace().join("wit/queue.wit")).unwrap();
    for sdk in ["rust", "js", "python/src/gristmill"] {
        let path = format!("sdk/{sdk}/wit/queue.wit");
        let copy = fs::read_to_string(workspace().join(&path)).unwrap();
        assert!(
            original == copy,
            "wit/queue.wit and {path} differ: copy the former"
        );
    }
}

#[test]
fn names_are_taken_apart() {
    assert_eq!(parts("SessionManager"), ["", "session", "manager"]);
    assert_eq!(parts("a_helper"), ["a", "helper"]);
    assert!(names("    use redb::Database;", "redb") && !names("// redb::x", "redb"));
    assert!(!names("gristmill_notify::x", "notify") && !names("x::toml::y", "toml"));
}
