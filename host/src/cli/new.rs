//! The files of a new handler project.
//!
//! Knows the templates, and which names their languages and the configuration take. Writes nothing:
//! the verb does that. The SDK comes along as source, so that a project builds wherever the binary is,
//! and keeps building with the SDK that it was made with.
//!
//! A language is a [`Template`] in a file of its own: what is in it decides what `new` does.

use std::path::{Path, PathBuf};

mod command;
mod js;
mod native;
mod python;
mod rust;
#[cfg(test)]
mod tests;

/// The longest name of a project; the names of its queues are made from it.
pub const MAX_NAME: usize = 64;

/// What a handler is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Rust
    Rust,
    /// JavaScript
    #[value(alias = "javascript")]
    Js,
    /// TypeScript
    #[value(alias = "typescript")]
    Ts,
    /// Python
    Python,
    /// Go
    #[value(alias = "golang")]
    Go,
    /// C
    C,
    /// C++
    #[value(alias = "c++")]
    Cpp,
    /// Zig
    Zig,
    /// Any program with a main
    Command,
}

impl Language {
    fn template(self) -> &'static Template {
        match self {
            Language::Rust => &rust::TEMPLATE,
            Language::Js => &js::JAVASCRIPT,
            Language::Ts => &js::TYPESCRIPT,
            Language::Python => &python::TEMPLATE,
            Language::Go => &native::GO,
            Language::C => &native::C,
            Language::Cpp => &native::CPP,
            Language::Zig => &native::ZIG,
            Language::Command => &command::TEMPLATE,
        }
    }
}

/// Beside what is built into it, so that a folder is there.
const KEEP_FOLDER: &str = include_str!("new/compiled/gitignore-handlers.tmpl");

/// A project of one language. In its texts, and in the names of its files, stand `{{name}}`,
/// `{{module}}`, `{{sdk}}`, `{{version}}` and `{{build}}`.
struct Template {
    /// The language, in words.
    words: &'static str,
    files: &'static [(&'static str, &'static str)],
    sdk: Option<Sdk>,
    /// The file that one edits.
    source: &'static str,
    /// The command that fetches what the others need.
    prepare: Option<&'static str>,
    /// The command that runs the tests.
    test: &'static str,
    /// The command that makes the module, if one has to be made.
    build: Option<&'static str>,
    /// A message that its handler greets somebody for.
    sample: &'static str,
    /// Names that mean something else in the language.
    reserved: &'static [&'static str],
}

/// An SDK that comes along.
struct Sdk {
    /// Where it is copied to.
    root: &'static str,
    /// Files that are other than in our own repository.
    manifests: &'static [(&'static str, &'static str)],
    /// Files as they are.
    sources: &'static [(&'static str, &'static str)],
}

/// Where a project takes the SDK from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdkSource {
    /// From its own folder `vendor`, where it is copied to.
    Vendored,
    /// From this folder, which is not touched; for work on the SDK itself.
    Path(PathBuf),
}

/// A project that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its files, each with its path in the folder of the project.
    pub files: Vec<(PathBuf, String)>,
    /// The file that one edits.
    pub source: String,
    /// The commands that fetch what is needed, run the tests, and make the module: those there are.
    pub steps: Vec<String>,
    /// The command that makes the module, if one has to be made.
    pub build: Option<String>,
    /// A message that the handler takes.
    pub sample: &'static str,
}

/// Why there is no project of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NewError {
    /// The name cannot be that of a project.
    #[error(
        "{name:?} cannot be the name of a handler: use 1 to {MAX_NAME} of a-z, 0-9, '-' and '_', with a letter first"
    )]
    InvalidName {
        /// The name, cut short.
        name: String,
    },
    /// The name means something else in the language.
    #[error(
        "{name:?} cannot be the name of a handler, as it is a word of {language}: add another word, such as \"{name}-handler\""
    )]
    Reserved {
        /// The name.
        name: String,
        /// The language.
        language: &'static str,
    },
    /// The folder of the SDK cannot be written into a manifest.
    #[error("the path of the SDK, {}, is not UTF-8: move it, or have the SDK copied into the project", .path.display())]
    SdkPath {
        /// The folder.
        path: PathBuf,
    },
    /// There is no SDK, or it cannot lie elsewhere.
    #[error("a project in {0} has no SDK that could lie in another folder: leave --sdk out")]
    NoSdk(&'static str),
}

/// What most handlers take.
const ADA: &str = r#"{"name": "Ada"}"#;

/// Stands for the name of a project.
const ANY: &str = "NAME";

/// What is written for a handler of this name.
///
/// # Errors
/// When the name, or the path of the SDK, is one that the language does not take.
pub fn scaffold(name: &str, language: Language, sdk: &SdkSource) -> Result<Project, NewError> {
    let template = language.template();
    check(name, template)?;
    let sdk_path = match (sdk, &template.sdk) {
        (SdkSource::Vendored, None) => String::new(),
        (SdkSource::Vendored, Some(sdk)) => sdk.root.to_owned(),
        (SdkSource::Path(path), Some(_)) => quoted(path)?,
        (SdkSource::Path(_), None) => return Err(NewError::NoSdk(template.words)),
    };
    let filled = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{module}}", &module(name))
            .replace("{{sdk}}", &sdk_path)
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
    };
    let build = template.build.map(filled);
    let filled = |text: &str| {
        let text = filled(text);
        text.replace("{{build}}", build.as_deref().unwrap_or_default())
    };
    let file = |path: &str, text: &str| (PathBuf::from(filled(path)), filled(text));
    let files = template.files.iter();
    let mut files: Vec<_> = files.map(|(path, text)| file(path, text)).collect();
    if let (SdkSource::Vendored, Some(sdk)) = (sdk, &template.sdk) {
        let root = Path::new(sdk.root);
        let manifests = sdk.manifests.iter();
        files.extend(manifests.map(|(path, text)| (root.join(path), filled(text))));
        let sources = sdk.sources.iter();
        files.extend(sources.map(|(path, text)| (root.join(path), (*text).to_owned())));
    }
    let steps = [template.prepare.map(filled), Some(filled(template.test))];
    Ok(Project {
        files,
        source: filled(template.source),
        steps: steps.into_iter().flatten().chain(build.clone()).collect(),
        build,
        sample: template.sample,
    })
}

/// What a language is called, and how its module is made.
#[must_use]
pub fn about(language: Language) -> (&'static str, String) {
    let template = language.template();
    let build = template.build.unwrap_or("no build");
    let build = build.replace("{{name}}", ANY).replace("{{module}}", ANY);
    (template.words, build)
}

/// The name where only letters, digits and `_` can stand; in some languages that of the module, too.
#[must_use]
pub fn module(name: &str) -> String {
    name.replace('-', "_")
}

fn check(name: &str, template: &Template) -> Result<(), NewError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    let valid = name.len() <= MAX_NAME
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(allowed);
    if !valid {
        return Err(NewError::InvalidName {
            name: name.chars().take(MAX_NAME).collect(),
        });
    }
    if template.reserved.contains(&module(name).as_str()) {
        return Err(NewError::Reserved {
            name: name.to_owned(),
            language: template.words,
        });
    }
    Ok(())
}

/// The path as it stands between the quotes of a manifest, in TOML or JSON.
fn quoted(path: &Path) -> Result<String, NewError> {
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
