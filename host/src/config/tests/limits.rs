//! Files that are too large, missing or unreadable, and too many problems; and the form for machines.

use std::path::Path;

use super::{bad, good, read};
use crate::config::problem::render;
use crate::config::{Severity, defaults, load};

#[test]
fn a_missing_file_is_told_with_the_way_to_get_one() {
    let errors = load(Path::new("no/such/gristmill.toml")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "error: there is no configuration file no/such/gristmill.toml
--> no/such/gristmill.toml
 = help: `gristmill new` makes one with an example; two lines are enough:
         [queue.orders]
         handler = \"orders.wasm\""
    );
}

#[test]
fn a_file_that_is_no_text_or_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gristmill.toml");
    std::fs::write(&path, b"\xff\xfe").unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("UTF-8"));
    let most = usize::try_from(defaults::MAX_FILE).unwrap();
    std::fs::write(&path, " ".repeat(most)).unwrap();
    assert!(load(&path).is_ok());
    std::fs::write(&path, " ".repeat(most + 1)).unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("larger than"));
    assert!(
        load(folder.path())
            .unwrap_err()
            .to_string()
            .contains("cannot be read")
    );
}

#[test]
fn too_many_problems_are_counted_and_no_error_is_lost_among_warnings() {
    let unused = |n: usize| format!("[handler.unused{n}]\n");
    let warnings: String = (0..defaults::MAX_COLLECTED + 10).map(unused).collect();
    assert_eq!(good(&warnings).warnings.len(), defaults::MAX_PROBLEMS);
    let errors = bad(&format!("{warnings}[nonsense]\n"));
    assert_eq!(errors.problems.len(), defaults::MAX_PROBLEMS);
    assert_eq!(
        errors.left_out,
        defaults::MAX_COLLECTED + 11 - defaults::MAX_PROBLEMS
    );
    assert_eq!(errors.problems.last().unwrap().key, "nonsense");
    assert!(errors.to_string().ends_with("\n\nand 961 more"), "{errors}");
}

#[test]
fn a_very_long_line_is_named_but_not_shown() {
    let errors = bad(&format!("x = \"{}\"", "y".repeat(defaults::MAX_EXCERPT)));
    assert!(
        errors
            .to_string()
            .starts_with("error: unknown key `x`\n--> etc/gristmill.toml:1:1\n")
    );
    assert!(!errors.to_string().contains("yyy"));
}

#[test]
fn machines_are_told_the_same() {
    let errors = bad("[queue.a]\nttl = 30\n");
    let expected = serde_json::json!({
        "problems": [{
            "severity": "error",
            "file": "etc/gristmill.toml",
            "line": 2,
            "column": 7,
            "key": "queue.a.ttl",
            "message": "`queue.a.ttl` must be a duration, not a whole number",
            "help": "write the unit, such as \"30s\"",
        }],
        "left_out": 0,
    });
    assert_eq!(serde_json::to_value(&errors).unwrap(), expected);
}

#[test]
fn warnings_alone_do_not_stop_it_and_are_shown_alike() {
    let config = read("[handler.a]\n").unwrap();
    assert_eq!(config.warnings[0].severity, Severity::Warning);
    let shown = render(&config.warnings, false);
    assert!(
        shown.starts_with("warning: no queue names `handler.a`\n --> etc/gristmill.toml:1:10\n"),
        "{shown}"
    );
    let coloured = render(&config.warnings, true);
    assert!(coloured.contains("\u{1b}["), "{coloured}");
}

#[test]
fn a_secret_cannot_be_larger_than_its_limit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gristmill.toml");
    std::fs::write(
        folder.path().join("key"),
        "k".repeat(defaults::MAX_PAIR_VALUE + 1),
    )
    .unwrap();
    std::fs::write(&path, "[handler.a]\nsecrets.k.file = \"key\"\n").unwrap();
    let errors = load(&path).unwrap_err().to_string();
    assert!(errors.contains("it is longer than 65536 bytes"), "{errors}");
}

#[test]
fn a_place_behind_its_line_can_be_shown() {
    for text in ["x = \r\r", "[", "\"\r\r", "x = {\r", "a = \"\"\"\nb\r"] {
        let errors = bad(text);
        assert!(!errors.to_string().is_empty() && !errors.render(true).is_empty());
    }
}
