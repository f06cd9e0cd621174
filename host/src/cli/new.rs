//! The files of a new handler project.
//!
//! Knows the templates and which names Cargo and the configuration take. Writes nothing: the verb
//! does that. The SDK comes along as source, so that a project builds wherever the binary is, and
//! keeps building with the SDK that it was made with.

use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// The longest name of a project; the names of its queues are made from it.
pub const MAX_NAME: usize = 64;

/// Where a project takes the SDK from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdkSource {
    /// From its own folder `vendor`, where it is copied to.
    Vendored,
    /// From this folder, which is not touched; for work on the SDK itself.
    Path(PathBuf),
}

/// Why there is no project of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewError {
    /// The name cannot be that of a crate.
    #[error(
        "{name:?} cannot be the name of a handler: use 1 to {MAX_NAME} of a-z, 0-9, '-' and '_', with a letter first"
    )]
    InvalidName {
        /// The name, cut short.
        name: String,
    },
    /// The name means something else to Rust.
    #[error(
        "{name:?} cannot be the name of a handler, as it is a word of Rust: add another word, such as \"{name}-handler\""
    )]
    Reserved {
        /// The name.
        name: String,
    },
    /// The folder of the SDK cannot be written into a manifest.
    #[error("the path of the SDK, {}, is not UTF-8: move it, or have the SDK copied into the project", .path.display())]
    SdkPath {
        /// The folder.
        path: PathBuf,
    },
}

/// The files of a project, each with its path in the folder of the project.
///
/// # Errors
/// When the name, or the path of the SDK, is one that Cargo does not take.
pub fn scaffold(name: &str, sdk: &SdkSource) -> Result<Vec<(PathBuf, String)>, NewError> {
    check(name)?;
    let sdk_path = match sdk {
        SdkSource::Vendored => VENDORED.to_owned(),
        SdkSource::Path(path) => toml_text(path)?,
    };
    let filled = |template: &str| {
        template
            .replace("{{name}}", name)
            .replace("{{module}}", &module(name))
            .replace("{{sdk}}", &sdk_path)
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
    };
    let mut files: Vec<(PathBuf, String)> = PROJECT
        .iter()
        .map(|(path, template)| (PathBuf::from(path), filled(template)))
        .collect();
    if *sdk == SdkSource::Vendored {
        let root = PathBuf::from(VENDORED);
        files.extend(
            MANIFESTS
                .iter()
                .map(|(path, template)| (root.join(path), filled(template))),
        );
        files.extend(
            SDK.iter()
                .map(|(path, text)| (root.join(path), (*text).to_owned())),
        );
    }
    Ok(files)
}

/// The name of the module that a project of this name builds, without `.wasm`; also the name of the
/// handler.
#[must_use]
pub fn module(name: &str) -> String {
    name.replace('-', "_")
}

fn check(name: &str) -> Result<(), NewError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let valid = name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(allowed);
    if !valid {
        return Err(NewError::InvalidName {
            name: name.chars().take(MAX_NAME).collect(),
        });
    }
    if RESERVED.contains(&module(name).as_str()) {
        return Err(NewError::Reserved {
            name: name.to_owned(),
        });
    }
    Ok(())
}

/// The path as it stands between the quotes of a manifest.
fn toml_text(path: &Path) -> Result<String, NewError> {
    let text = path.to_str().ok_or_else(|| NewError::SdkPath {
        path: path.to_owned(),
    })?;
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '"' => escaped.extend(['\\', c]),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    Ok(escaped)
}

/// Where the SDK is copied to.
const VENDORED: &str = "vendor/gristmill-sdk";

/// Names that Cargo refuses, or that would hide a crate which every project needs.
const RESERVED: &[&str] = &[
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

const PROJECT: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new/Cargo.toml.tmpl")),
    (
        "rust-toolchain.toml",
        include_str!("new/rust-toolchain.toml.tmpl"),
    ),
    (".cargo/config.toml", include_str!("new/config.toml.tmpl")),
    (".gitignore", include_str!("new/gitignore.tmpl")),
    ("gristmill.toml", include_str!("new/gristmill.toml.tmpl")),
    ("src/lib.rs", include_str!("new/lib.rs.tmpl")),
];

/// The manifests of the copied SDK: the real ones inherit from the workspace.
const MANIFESTS: &[(&str, &str)] = &[
    ("Cargo.toml", include_str!("new/sdk.toml.tmpl")),
    ("macros/Cargo.toml", include_str!("new/macros.toml.tmpl")),
];

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../sdk/rust/", $path)))),*]
    };
}

/// The sources of the SDK, all of them.
const SDK: &[(&str, &str)] = sources![
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
