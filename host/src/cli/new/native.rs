//! Projects in C, C++, Zig and Go: each needs its compiler and nothing else.

use super::{KEEP_FOLDER, Sdk, Template};

pub const C: Template = Template {
    words: "C",
    files: &[
        ("Makefile", include_str!("c/Makefile.tmpl")),
        (".gitignore", include_str!("c/gitignore.tmpl")),
        (
            "gristmill.toml",
            include_str!("compiled/gristmill.toml.tmpl"),
        ),
        ("handlers/.gitignore", KEEP_FOLDER),
        ("src/{{module}}.c", include_str!("c/handler.c.tmpl")),
        ("tests/test_{{module}}.c", include_str!("c/test.c.tmpl")),
    ],
    sdk: Some(Sdk {
        root: "gristmill",
        manifests: &[],
        sources: C_SOURCES,
    }),
    source: "src/{{module}}.c",
    sample: super::ADA,
    prepare: None,
    test: "make test",
    build: Some("make"),
    reserved: &[],
};

pub const CPP: Template = Template {
    words: "C++",
    files: &[
        ("Makefile", include_str!("cpp/Makefile.tmpl")),
        (".gitignore", include_str!("c/gitignore.tmpl")),
        (
            "gristmill.toml",
            include_str!("compiled/gristmill.toml.tmpl"),
        ),
        ("handlers/.gitignore", KEEP_FOLDER),
        ("src/{{module}}.cpp", include_str!("cpp/handler.cpp.tmpl")),
        (
            "tests/test_{{module}}.cpp",
            include_str!("cpp/test.cpp.tmpl"),
        ),
    ],
    sdk: Some(Sdk {
        root: "gristmill",
        manifests: CPP_SOURCES,
        sources: C_SOURCES,
    }),
    source: "src/{{module}}.cpp",
    sample: super::ADA,
    prepare: None,
    test: "make test",
    build: Some("make"),
    reserved: &[],
};

pub const ZIG: Template = Template {
    words: "Zig",
    files: &[
        ("Makefile", include_str!("zig/Makefile.tmpl")),
        (".gitignore", include_str!("zig/gitignore.tmpl")),
        (
            "gristmill.toml",
            include_str!("compiled/gristmill.toml.tmpl"),
        ),
        ("handlers/.gitignore", KEEP_FOLDER),
        ("src/{{module}}.zig", include_str!("zig/handler.zig.tmpl")),
    ],
    sdk: Some(Sdk {
        root: "gristmill",
        manifests: ZIG_SOURCES,
        sources: C_SOURCES,
    }),
    source: "src/{{module}}.zig",
    sample: super::ADA,
    prepare: None,
    test: "make test",
    build: Some("make"),
    reserved: &[],
};

pub const GO: Template = Template {
    words: "Go",
    files: &[
        ("go.mod", include_str!("go/go.mod.tmpl")),
        (".gitignore", include_str!("go/gitignore.tmpl")),
        ("gristmill.toml", include_str!("go/gristmill.toml.tmpl")),
        ("handlers/.gitignore", KEEP_FOLDER),
        ("main.go", include_str!("go/main.go.tmpl")),
        ("main_test.go", include_str!("go/main_test.go.tmpl")),
    ],
    sdk: Some(Sdk {
        root: "gristmill",
        manifests: &[],
        sources: GO_SOURCES,
    }),
    source: "main.go",
    sample: super::ADA,
    prepare: None,
    test: "go test",
    build: Some(
        "GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -ldflags=-s -o handlers/{{name}}.wasm",
    ),
    reserved: &["gristmill", "main", "test"],
};

macro_rules! sources {
    ($language:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../sdk/", $language, "/", $path)))),*]
    };
}

/// The library in C, which those in C++ and Zig are made of, too.
pub const C_SOURCES: &[(&str, &str)] = sources![
    "c":
    "gristmill.c",
    "gristmill.h",
    "gristmill_abi.h",
    "gristmill_json.c",
    "testing/gristmill_testing.c",
    "testing/gristmill_testing.h",
];

/// What stands beside the library in C.
pub const CPP_SOURCES: &[(&str, &str)] = sources!["cpp": "gristmill.cpp", "gristmill.hpp"];

/// What stands beside the library in C.
pub const ZIG_SOURCES: &[(&str, &str)] = sources!["zig": "c.zig", "gristmill.zig", "testing.zig"];

/// The package.
pub const GO_SOURCES: &[(&str, &str)] = sources![
    "go":
    "delivery.go",
    "errors.go",
    "go.mod",
    "gristmill.go",
    "gristmilltest/attempt.go",
    "gristmilltest/gristmilltest.go",
    "internal/host/native.go",
    "internal/host/types.go",
    "internal/host/wasm.go",
    "send.go",
    "state.go",
];
