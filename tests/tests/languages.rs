//! The SDKs of other languages: their own tests, in their own runners and without a host.

use std::path::PathBuf;
use std::process::Command;

use gristmill_tests::toolchains::{self, own_tests};
use gristmill_tests::{has, workspace};

#[test]
fn the_sdk_for_javascript_passes_its_tests_and_its_types_fit_the_example() {
    if !has("node") {
        return;
    }
    own_tests(Command::new("node").arg("--test"), "sdk/js").unwrap();
    let Some(node) = toolchains::node().unwrap() else {
        return;
    };
    let mut types = Command::new(node.join("node_modules/.bin/tsc"));
    own_tests(types.args(["-p", "."]), "sdk/js/examples/orders-ts").unwrap();
}

fn python(folder: &str, args: &[&str]) {
    let mut tests = Command::new("python3");
    tests.args(["-m", "unittest"]).args(args);
    tests.env("PYTHONPATH", workspace().join("sdk/python/src"));
    tests.env("PYTHONDONTWRITEBYTECODE", "1");
    own_tests(&mut tests, folder).unwrap();
}

#[test]
fn the_sdk_for_python_passes_its_tests() {
    if !has("python3") {
        return;
    }
    python("sdk/python", &["discover", "-s", "tests"]);
    python("sdk/python/examples/orders", &[]);
}

/// The limits of a fake are those of the Rust SDK, which are compared with the host's: `const NAME… = VALUE`.
fn limits(text: &str) -> Vec<(String, u64)> {
    let number = |value: &str| {
        let factors = value
            .split('*')
            .map(|factor| factor.trim().replace('_', ""));
        factors
            .map(|factor| factor.parse::<u64>().ok())
            .product::<Option<u64>>()
    };
    let mut found: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let (name, value) = line.trim_end_matches([';', ',']).split_once(" = ")?;
            let name = name.split(':').next()?.split_whitespace().last()?;
            Some((capitals(name), number(value)?))
        })
        .collect();
    found.sort();
    found
}

/// `maxBody` as `MAX_BODY`.
fn capitals(name: &str) -> String {
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return name.to_owned();
    }
    let mut capitals = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            capitals.push('_');
        }
        capitals.push(c.to_ascii_uppercase());
    }
    capitals
}

#[test]
fn every_fake_keeps_the_limits_of_the_rust_sdk() {
    let read = |path: &str| std::fs::read_to_string(workspace().join(path)).unwrap();
    let all = limits(&read("sdk/rust/src/testing/limits.rs"));
    assert_eq!(all.len(), 16, "{all:?}");
    for (path, has_batches) in [
        ("sdk/js/src/testing/limits.js", true),
        ("sdk/python/src/gristmill/_fake.py", false),
        ("sdk/c/testing/gristmill_testing.c", false),
        ("sdk/go/gristmilltest/attempt.go", false),
    ] {
        let rust: Vec<_> = all
            .iter()
            .filter(|(name, _)| has_batches || !name.starts_with("MAX_BATCH"))
            .cloned()
            .collect();
        let here = limits(&read(path));
        let here: Vec<_> = here
            .into_iter()
            .filter(|limit| rust.iter().any(|(name, _)| *name == limit.0))
            .collect();
        assert_eq!(here, rust, "{path}");
    }
}

/// What a build says when it fails.
fn refused(build: &mut Command) -> String {
    let output = build.output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

fn written(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_build_for_javascript_says_what_is_wrong_and_where() {
    let Some(node) = toolchains::node().unwrap() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let build = |name: &str, text: &str| {
        let mut build = Command::new("node");
        build.arg(workspace().join("sdk/js/build.js"));
        build.arg(written(&folder, name, text)).current_dir(&node);
        refused(&mut build)
    };
    let said = build(
        "syntax.ts",
        "export function handle() {\n  return 1 +;\n}\n",
    );
    assert!(said.contains("syntax.ts:2:13: Unexpected \";\""), "{said}");
    let said = build(
        "name.js",
        "import { sned } from \"gristmill\";\nexport function handle() { sned(); }\n",
    );
    assert!(said.contains("name.js:1:10: No matching export"), "{said}");
    let said = build("none.js", "export function run() {}\n");
    assert!(
        said.contains("exports no function `handle` (it exports run)"),
        "{said}"
    );
    let said = build(
        "top.ts",
        "interface A {}\n\nnull.x;\nexport function handle() {}\n",
    );
    assert!(said.contains("top.ts:3"), "{said}");
    let said = build("late.js", "export async function handle() {}\n");
    assert!(said.contains("must not be async"), "{said}");
}
