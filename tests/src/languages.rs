//! The languages that handlers are written in here, one row each: how its modules are built from source.
//!
//! The suite in `tests/tests/conformance.rs` runs all of them, and the binary `languages` measures them. A
//! new language is a row in [`LANGUAGES`].

use std::path::PathBuf;

use anyhow::Result;

use crate::toolchains::{javascript, python_module};
use crate::{guests, native, workspace};

/// Builds a module; `None`, after a line that says why, if this machine does not have what it takes.
pub type Build = fn() -> Result<Option<PathBuf>>;

/// How a language makes handlers.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// A short name; part of the names of its queues and handlers.
    pub name: &'static str,
    /// What people call it, and how it is built.
    pub title: &'static str,
    /// The example `orders`, which behaves as `handlers/orders` does.
    pub orders: Build,
    /// The fixture `probe`, which behaves as `handlers/probe` does.
    pub probe: Build,
    /// What is told of the error with which `orders` says that the gateway is down, beside what it says: where
    /// it was raised, if the language tells.
    pub traced: &'static [&'static str],
    /// What a dead letter tells of a mistake that nobody handled.
    pub crash: &'static [&'static str],
}

/// All of them.
pub const LANGUAGES: &[Language] = &[
    Language {
        name: "rust",
        title: "Rust",
        orders: || Ok(Some(guests()?.path("orders"))),
        probe: || Ok(Some(guests()?.path("probe"))),
        traced: &[],
        crash: &["index out of bounds", "handlers/probe/src/lib.rs"],
    },
    // Of a file that is a handler as it is, the host makes the component.
    Language {
        name: "plain",
        title: "JavaScript, a plain file",
        orders: || Ok(Some(workspace().join("sdk/js/examples/orders/orders.js"))),
        probe: || Ok(Some(workspace().join("sdk/js/examples/probe/probe.js"))),
        traced: &["at charge (orders-plain.js:"],
        crash: &["TypeError: ", "at handle (probe-plain.js:"],
    },
    Language {
        name: "js",
        title: "JavaScript, bundled",
        orders: || javascript("orders-js", "sdk/js/examples/orders/orders.js"),
        probe: || javascript("probe-js", "sdk/js/examples/probe/probe.js"),
        traced: &["at charge", "(orders.js:"],
        crash: &["TypeError: ", "at handle", "(probe.js:"],
    },
    Language {
        name: "ts",
        title: "TypeScript",
        orders: || javascript("orders-ts", "sdk/js/examples/orders-ts/orders.ts"),
        probe: || javascript("probe-js", "sdk/js/examples/probe/probe.js"),
        traced: &["at charge", "(orders.ts:"],
        crash: &["TypeError: ", "at handle"],
    },
    // One component shows both: it takes twenty seconds to build, and twelve to compile.
    Language {
        name: "python",
        title: "Python",
        orders: python,
        probe: python,
        traced: &[
            "ConnectionError: ",
            "Traceback (most recent call last):",
            "orders.py\", line ",
            "in charge",
            "raise ConnectionError(",
        ],
        crash: &[
            "IndexError: list index out of range",
            "probe.py\", line ",
            "in handle",
        ],
    },
    Language {
        name: "c",
        title: "C",
        orders: || native::c("orders-c", "sdk/c/examples/orders/orders.c"),
        probe: || native::c("probe-c", "sdk/c/examples/probe/probe.c"),
        traced: &[],
        crash: &["the probe crashes, as it was asked to"],
    },
    Language {
        name: "cpp",
        title: "C++",
        orders: || native::cpp("orders-cpp", "sdk/cpp/examples/orders/orders.cpp"),
        probe: || native::cpp("probe-cpp", "sdk/cpp/examples/probe/probe.cpp"),
        traced: &[],
        crash: &["out_of_range"],
    },
    Language {
        name: "zig",
        title: "Zig",
        orders: || native::zig("orders-zig", "sdk/zig/examples/orders/orders.zig"),
        probe: || native::zig("probe-zig", "sdk/zig/examples/probe/probe.zig"),
        traced: &[],
        crash: &["index out of bounds: index 1, len 1"],
    },
    Language {
        name: "go",
        title: "Go",
        orders: || native::go("orders-go", "sdk/go/examples/orders"),
        probe: || native::go("probe-go", "sdk/go/examples/probe"),
        traced: &[],
        crash: &["index out of range [1] with length 1", "main.handle"],
    },
    Language {
        name: "assemblyscript",
        title: "AssemblyScript",
        orders: || {
            native::assemblyscript("orders-as", "sdk/assemblyscript/examples/orders/orders.ts")
        },
        probe: || native::assemblyscript("probe-as", "sdk/assemblyscript/examples/probe/probe.ts"),
        traced: &[],
        crash: &["Index out of range"],
    },
];

fn python() -> Result<Option<PathBuf>> {
    python_module(
        "probe-python",
        "sdk/python/examples/probe.py",
        &["sdk/python/examples/orders/orders.py"],
    )
}
