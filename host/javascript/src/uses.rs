//! Which interfaces a file uses, and so what has to be granted to it: by what it imports from
//! "gristmill".
//!
//! The text is searched, not parsed. What is overlooked cannot be used: the entry does not hand it to
//! the SDK. What is found without being used is asked for in vain.

use std::collections::BTreeSet;

use crate::entry::SDK;

/// Bytes that an import may have.
const MAX_CLAUSE: usize = 16 * 1024;
/// Imports that are looked at; a file that has more asks for everything.
const MAX_PLACES: usize = 1000;

/// The interfaces that have to be imported to be used. The name of the SDK's file is that of its
/// interface.
const INTERFACES: [&str; 6] = [
    "body",
    "delivery",
    "producer",
    "secrets",
    "state",
    "transaction",
];

/// Every interface that a file can use.
#[must_use]
pub fn interfaces() -> &'static [&'static str] {
    &INTERFACES
}

/// The interfaces that a file uses.
#[must_use]
pub fn uses(source: &str) -> BTreeSet<&'static str> {
    let exported = exported();
    let mut used = BTreeSet::new();
    for clause in clauses(source) {
        match clause {
            Clause::Everything => used.extend(INTERFACES),
            Clause::Names(names) => used.extend(exported.iter().filter_map(|(name, interface)| {
                names.iter().any(|used| used == name).then_some(*interface)
            })),
        }
    }
    used
}

/// Whether a file exports `handleBatch`, as far as its text says so. Were it only a word in it, the
/// handler would say at its first batch that there is none.
#[must_use]
pub fn takes_batches(source: &str) -> bool {
    const NAME: &str = "handleBatch";
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    source.match_indices(NAME).any(|(at, _)| {
        let (before, after) = (&source[..at], &source[at + NAME.len()..]);
        let line = before.rsplit('\n').next().unwrap_or("").trim_start();
        let is_comment = ["//", "/*", "*"].iter().any(|mark| line.starts_with(mark));
        !is_comment && !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

/// What is imported in one place.
#[derive(Debug, PartialEq, Eq)]
enum Clause {
    Everything,
    Names(Vec<String>),
}

/// Each place where the text "gristmill" is imported. Goes through the source once, and looks back from
/// a place no farther than an import is long: whoever wrote the file may have written it to keep us busy.
fn clauses(source: &str) -> Vec<Clause> {
    let mut found = Vec::new();
    for quoted in ["\"gristmill\"", "'gristmill'"] {
        let mut looked_at = 0;
        let mut in_comment = false;
        for (number, (at, _)) in source.match_indices(quoted).enumerate() {
            if number == MAX_PLACES {
                return vec![Clause::Everything];
            }
            // A mark that is cut in two by a place is none: there is a quote between.
            let passed = &source[looked_at..at];
            match (passed.rfind("/*"), passed.rfind("*/")) {
                (Some(opened), closed) => in_comment = closed.is_none_or(|closed| closed < opened),
                (None, Some(_)) => in_comment = false,
                (None, None) => {}
            }
            looked_at = at;
            let before = &source[source.floor_char_boundary(at.saturating_sub(MAX_CLAUSE))..at];
            let line = before.rsplit('\n').next().unwrap_or(before).trim_start();
            if !in_comment && !line.starts_with("//") {
                let is_whole = at <= MAX_CLAUSE;
                found.extend(clause(before.trim_end(), is_whole));
            }
        }
    }
    found
}

/// `is_whole` says that nothing stands before this text.
fn clause(before: &str, is_whole: bool) -> Option<Clause> {
    if before
        .strip_suffix('(')
        .is_some_and(|call| call.trim_end().ends_with("import"))
    {
        return Some(Clause::Everything);
    }
    let before = before.strip_suffix("from")?;
    let begin = ["import", "export"]
        .iter()
        .filter_map(|word| before.rfind(word).map(|at| at + word.len()))
        .max();
    let Some(begin) = begin else {
        // It may be an import that is longer than what is looked at.
        return (!is_whole).then_some(Clause::Everything);
    };
    let list: String = before[begin..]
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""))
        .collect::<Vec<_>>()
        .join(" ");
    if list.contains('*') {
        return Some(Clause::Everything);
    }
    let names = list.trim().trim_matches(['{', '}']).split(',');
    let names = names.filter_map(|name| Some(name.split_whitespace().next()?.to_owned()));
    Some(Clause::Names(names.collect()))
}

/// The names that the SDK exports, each with the interface that it uses.
fn exported() -> Vec<(&'static str, &'static str)> {
    let index = SDK.iter().find(|(name, _)| *name == "index.js");
    let index = index.map_or("", |(_, text)| text);
    let mut found = Vec::new();
    for line in index
        .lines()
        .filter_map(|line| line.strip_prefix("export "))
    {
        let Some((names, file)) = line.split_once(" from \"./") else {
            continue;
        };
        let Some(interface) = INTERFACES.iter().find(|name| {
            file.strip_prefix(**name)
                .is_some_and(|rest| rest.starts_with(".js\""))
        }) else {
            continue;
        };
        for name in names.trim_matches(['{', '}', ' ']).split(',') {
            // `a`, `a as b` and `* as b`: the last word is the name outside.
            if let Some(name) = name.split_whitespace().last() {
                found.push((name, *interface));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(source: &str) -> Vec<&'static str> {
        uses(source).into_iter().collect()
    }

    #[test]
    fn the_names_of_the_sdk_lead_to_their_interfaces() {
        for (source, interfaces) in [
            ("import { send } from \"gristmill\";", vec!["producer"]),
            (
                "import { reply as answer } from 'gristmill'",
                vec!["producer"],
            ),
            (
                "import { state, reject } from \"gristmill\";",
                vec!["state"],
            ),
            (
                "import {state,secrets} from \"gristmill\";",
                vec!["secrets", "state"],
            ),
            (
                "import {\n  send,\n  // secrets,\n  delivery,\n} from \"gristmill\";",
                vec!["delivery", "producer"],
            ),
            ("import { openBody } from \"gristmill\";", vec!["body"]),
            (
                "import { transaction } from \"gristmill\"",
                vec!["transaction"],
            ),
            ("export { send } from \"gristmill\";", vec!["producer"]),
            (
                "import { reject, retryAfter, postpone } from \"gristmill\";",
                vec![],
            ),
            ("export function handle() {}", vec![]),
        ] {
            assert_eq!(used(source), interfaces, "{source}");
        }
    }

    #[test]
    fn who_imports_everything_uses_everything() {
        for source in [
            "import * as g from \"gristmill\";",
            "const g = await import(\"gristmill\");",
            "export * from 'gristmill';",
        ] {
            assert_eq!(used(source), INTERFACES, "{source}");
        }
    }

    #[test]
    fn who_exports_the_function_for_batches_takes_them() {
        for source in [
            "export function handleBatch(messages) {}",
            "export const handleBatch = transaction.each(handle);",
            "function all() {}\nexport {\n  all as handleBatch\n};",
        ] {
            assert!(takes_batches(source), "{source}");
        }
        for source in [
            "export function handle(message) {}",
            "// handleBatch is for later\nexport function handle() {}",
            "/**\n * See handleBatch.\n */",
            "export function handleBatches() {}",
            "const my_handleBatch = 1;",
        ] {
            assert!(!takes_batches(source), "{source}");
        }
    }

    #[test]
    fn comments_and_other_texts_use_nothing() {
        for source in [
            "// import { state } from \"gristmill\";",
            "/*\n import { state } from \"gristmill\";\n*/",
            "const name = \"gristmill\";",
            "import { state } from \"gristmill/testing\";",
            "import \"gristmill\";",
        ] {
            assert_eq!(used(source), Vec::<&str>::new(), "{source}");
        }
        let two = "/* one */ import { send } from \"gristmill\"; /* import { state } from \"gristmill\"; */";
        assert_eq!(used(two), ["producer"]);
        let after = "/* a comment */ import { state } from \"gristmill\";";
        assert_eq!(used(after), ["state"]);
    }
    #[test]
    fn a_file_that_is_written_to_keep_us_busy_asks_for_everything_at_once() {
        for piece in [
            "from\"gristmill\"",
            "/*'gristmill'",
            "import from\"gristmill\" ",
        ] {
            assert_eq!(used(&piece.repeat(300_000)), INTERFACES, "{piece}");
        }
        let long = format!(
            "import {{ {} send }} from \"gristmill\";",
            "x, ".repeat(10_000)
        );
        assert_eq!(used(&long), INTERFACES);
    }
}
