//! A project in TypeScript.

use super::{Sdk, Template};

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
    sdk: Some(Sdk {
        root: ROOT,
        manifests: &[("package.json", include_str!("js/sdk.json.tmpl"))],
        sources: SOURCES,
    }),
    source: "src/{{name}}.ts",
    prepare: Some("npm install"),
    test: "npm test",
    build: Some("npm run build"),
    reserved: &[],
};

/// Where the SDK is copied to.
const ROOT: &str = "vendor/gristmill";

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
