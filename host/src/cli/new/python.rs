//! A project in Python.

use super::{Sdk, Template};

pub const TEMPLATE: Template = Template {
    words: "Python",
    files: &[
        (
            "requirements.txt",
            include_str!("python/requirements.txt.tmpl"),
        ),
        (".gitignore", include_str!("python/gitignore.tmpl")),
        (
            "gristmill.toml",
            include_str!("compiled/gristmill.toml.tmpl"),
        ),
        ("handlers/.gitignore", super::KEEP_FOLDER),
        ("src/{{module}}.py", include_str!("python/handler.py.tmpl")),
        (
            "tests/test_{{module}}.py",
            include_str!("python/test.py.tmpl"),
        ),
    ],
    sdk: Some(Sdk {
        root: "vendor/gristmill",
        manifests: &[],
        sources: SOURCES,
    }),
    source: "src/{{module}}.py",
    sample: super::ADA,
    prepare: Some("python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"),
    test: "PYTHONPATH=vendor:src python3 -m unittest discover tests",
    build: Some(
        "PYTHONPATH=vendor .venv/bin/python -m gristmill src/{{module}}.py -o handlers/{{name}}.wasm",
    ),
    reserved: RESERVED,
};

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/python/src/gristmill/", $path)))),*]
    };
}

/// The package, all of it.
pub const SOURCES: &[(&str, &str)] = sources![
    "__init__.py",
    "__main__.py",
    "_fake.py",
    "body.py",
    "build.py",
    "delivery.py",
    "duration.py",
    "entry.py",
    "failure.py",
    "host.py",
    "message.py",
    "producer.py",
    "py.typed",
    "secrets.py",
    "state.py",
    "testing.py",
    "transaction.py",
    "wit/queue.wit",
];

/// Words of the language, and modules that a file of that name would hide.
const RESERVED: &[&str] = &[
    "and",
    "as",
    "assert",
    "ast",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "gristmill",
    "if",
    "import",
    "in",
    "io",
    "is",
    "json",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "os",
    "pass",
    "raise",
    "re",
    "return",
    "sys",
    "test",
    "try",
    "types",
    "typing",
    "unittest",
    "while",
    "with",
    "yield",
];
