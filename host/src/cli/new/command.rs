//! A project that is an ordinary program: it needs no SDK. In Rust, for want of a shell.

use super::{Template, rust};

pub const TEMPLATE: Template = Template {
    words: "any program with a main, here in Rust",
    files: &[
        ("Cargo.toml", include_str!("command/Cargo.toml.tmpl")),
        (
            "rust-toolchain.toml",
            include_str!("command/rust-toolchain.toml.tmpl"),
        ),
        (
            ".cargo/config.toml",
            include_str!("command/config.toml.tmpl"),
        ),
        (".gitignore", include_str!("rust/gitignore.tmpl")),
        (
            "gristmill.toml",
            include_str!("command/gristmill.toml.tmpl"),
        ),
        ("src/main.rs", include_str!("command/main.rs.tmpl")),
    ],
    sdk: None,
    source: "src/main.rs",
    sample: "Ada",
    prepare: None,
    test: "cargo test",
    build: Some("cargo wasm"),
    reserved: rust::RESERVED,
};
