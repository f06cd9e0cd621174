//! A component imports what its handler uses, and nothing else: grants are checked against it.
//!
//! Builds the handlers of this repository for that, unless `GRISTMILL_GUESTS` names the folder of
//! modules that are already built.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmparser::{Parser, Payload};

const EXPECTED: [(&str, &[&str]); 6] = [
    ("sink", &["types"]),
    ("bench", &["producer", "types"]),
    ("orders", &["producer", "state", "types"]),
    ("tally", &["body", "producer", "types"]),
    ("totals", &["producer", "state", "types"]),
    (
        "misbehave",
        &[
            "delivery",
            "producer",
            "secrets",
            "state",
            "transaction",
            "types",
        ],
    ),
];

/// Interfaces of WASI that Rust's standard library brings along, for a panic's last words and the
/// environment. None of them leads to the outside, so a handler with these can still be `atomic`.
const HARMLESS: [&str; 4] = ["wasi:cli/", "wasi:io/", "wasi:clocks/", "wasi:random/"];

fn build() -> PathBuf {
    if let Some(folder) = std::env::var_os("GRISTMILL_GUESTS") {
        return folder.into();
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["build", "--quiet", "--target", "wasm32-wasip2"])
        .args(["--profile", "handler", "--target-dir"])
        .arg(&target);
    for (name, _) in EXPECTED {
        cargo.args(["--package", name]);
    }
    assert!(
        cargo.status().expect("cargo starts").success(),
        "the handlers must build"
    );
    target.join("wasm32-wasip2/handler")
}

/// The names that a component imports and exports itself, not those of the modules in it.
fn outside(component: &[u8]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut imports, mut exports) = (BTreeSet::new(), BTreeSet::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.expect("a component that can be read") {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                let section = section.into_iter().flatten();
                imports.extend(section.map(|import| import.name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                let section = section.into_iter().flatten();
                exports.extend(section.map(|export| export.name.name.to_owned()));
            }
            _ => {}
        }
    }
    (imports, exports)
}

#[test]
fn only_what_is_used_is_imported() {
    let folder = build();
    for (name, expected) in EXPECTED {
        let component = std::fs::read(folder.join(format!("{name}.wasm"))).unwrap();
        let (imports, exports) = outside(&component);
        let ours = |interface: &&str| format!("gristmill:queue/{interface}@0.1.0");
        let expected: BTreeSet<String> = expected.iter().map(ours).collect();
        let (gristmill, others): (BTreeSet<_>, BTreeSet<_>) = imports
            .into_iter()
            .partition(|import| import.starts_with("gristmill:"));
        assert_eq!(gristmill, expected, "{name}");
        for import in others {
            let harmless = HARMLESS.iter().any(|known| import.starts_with(known));
            assert!(harmless, "{name} imports {import}");
        }
        let expected: &[&str] = match name {
            "totals" => &["batch-handler", "handler"],
            _ => &["handler"],
        };
        let expected: BTreeSet<String> = expected.iter().map(ours).collect();
        assert_eq!(exports, expected, "{name}");
    }
}
