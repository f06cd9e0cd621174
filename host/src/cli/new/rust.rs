//! A project in Rust.

use super::{Sdk, Template};

pub const TEMPLATE: Template = Template {
    words: "Rust",
    files: &[
        ("Cargo.toml", include_str!("rust/Cargo.toml.tmpl")),
        (
            "rust-toolchain.toml",
            include_str!("rust/rust-toolchain.toml.tmpl"),
        ),
        (".cargo/config.toml", include_str!("rust/config.toml.tmpl")),
        (".gitignore", include_str!("rust/gitignore.tmpl")),
        ("gristmill.toml", include_str!("rust/gristmill.toml.tmpl")),
        ("src/lib.rs", include_str!("rust/lib.rs.tmpl")),
    ],
    sdk: Some(Sdk {
        root: "vendor/gristmill-sdk",
        manifests: MANIFESTS,
        sources: SOURCES,
    }),
    source: "src/lib.rs",
    sample: super::ADA,
    prepare: None,
    test: "cargo test",
    build: Some("cargo wasm"),
    reserved: RESERVED,
};

/// The manifests of the copied SDK: the real ones inherit from the workspace.
pub const MANIFESTS: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("rust/sdk.toml.tmpl")),
    ("macros/Cargo.toml", include_str!("rust/macros.toml.tmpl")),
];

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/rust/", $path)))),*]
    };
}

/// The sources of the SDK, all of them.
pub const SOURCES: &[(&str, &str)] = sources![
    "macros/src/lib.rs",
    "src/batch.rs",
    "src/body.rs",
    "src/delivery.rs",
    "src/failure.rs",
    "src/host/mod.rs",
    "src/host/native.rs",
    "src/host/wasm.rs",
    "src/lib.rs",
    "src/message.rs",
    "src/outgoing.rs",
    "src/secrets.rs",
    "src/state.rs",
    "src/testing/attempt.rs",
    "src/testing/held.rs",
    "src/testing/limits.rs",
    "src/testing/mod.rs",
    "src/transaction.rs",
    "wit/queue.wit",
];

/// Names that Cargo refuses, or that would hide a crate which every project needs.
pub const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "gristmill_sdk",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];
