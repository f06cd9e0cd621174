//! Projects in JavaScript, which the host takes as it is, and in TypeScript.

use super::{Sdk, Template};

pub const JAVASCRIPT: Template = Template {
    words: "JavaScript",
    files: &[
        ("package.json", include_str!("js/package.json.tmpl")),
        (".gitignore", include_str!("js/gitignore.tmpl")),
        ("gristmill.toml", include_str!("js/gristmill.toml.tmpl")),
        ("handlers/{{name}}.js", include_str!("js/handler.js.tmpl")),
        ("tests/{{name}}.test.js", include_str!("js/test.js.tmpl")),
    ],
    sdk: Some(SDK),
    source: "handlers/{{name}}.js",
    sample: super::ADA,
    prepare: Some("npm install"),
    test: "npm test",
    build: None,
    reserved: &[],
};

pub const TYPESCRIPT: Template = Template {
    words: "TypeScript",
    files: &[
        ("package.json", include_str!("ts/package.json.tmpl")),
        ("tsconfig.json", include_str!("ts/tsconfig.json.tmpl")),
        (".gitignore", include_str!("ts/gitignore.tmpl")),
        (
            "gristmill.toml",
            include_str!("compiled/gristmill.toml.tmpl"),
        ),
        ("handlers/.gitignore", super::KEEP_FOLDER),
        ("src/{{name}}.ts", include_str!("ts/handler.ts.tmpl")),
        ("tests/{{name}}.test.ts", include_str!("ts/test.ts.tmpl")),
    ],
    sdk: Some(SDK),
    source: "src/{{name}}.ts",
    sample: super::ADA,
    prepare: Some("npm install"),
    test: "npm test",
    build: Some("npm run build"),
    reserved: &[],
};

const SDK: Sdk = Sdk {
    root: "vendor/gristmill",
    manifests: &[("package.json", include_str!("js/sdk.json.tmpl"))],
    sources: SOURCES,
};

macro_rules! sources {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/js/", $path)))),*]
    };
}

/// The package, with what builds a module.
pub const SOURCES: &[(&str, &str)] = sources![
    "build.js",
    "lines.js",
    "wit/queue.wit",
    "wit/wasi.wit",
    "globals.d.ts",
    "index.d.ts",
    "testing.d.ts",
    "src/batch.js",
    "src/body.js",
    "src/delivery.js",
    "src/duration.js",
    "src/entry.js",
    "src/failure.js",
    "src/globals.js",
    "src/host.js",
    "src/index.js",
    "src/message.js",
    "src/producer.js",
    "src/secrets.js",
    "src/state.js",
    "src/testing/attempt.js",
    "src/testing/held.js",
    "src/testing/index.js",
    "src/testing/limits.js",
    "src/trace.js",
    "src/transaction.js",
    "src/utf8.js",
];
