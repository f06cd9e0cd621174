//! Modules of the languages that are compiled to machine code elsewhere: C, C++, Zig, Go, AssemblyScript.
//!
//! What is run here is what the READMEs of the SDKs say. The modules are core modules; the host makes
//! components of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::clients::finish;
use crate::toolchains::{self, Native, module};
use crate::workspace;

/// The library in C: what C++ and Zig are built over.
const LIBRARY: [&str; 4] = [
    "sdk/c/gristmill.h",
    "sdk/c/gristmill_abi.h",
    "sdk/c/gristmill.c",
    "sdk/c/gristmill_json.c",
];
/// For `zig cc` and `zig c++`.
const TARGET: [&str; 6] = [
    "-target",
    "wasm32-wasi",
    "-mexec-model=reactor",
    "-O2",
    "-Wl,--strip-debug",
    "-Wl,-z,stack-size=262144",
];

fn built(
    name: &str,
    inputs: &[&str],
    build: impl FnOnce(&Native, &Path) -> Command,
) -> Result<Option<PathBuf>> {
    let Some(native) = toolchains::native()? else {
        return Ok(None);
    };
    module(name, inputs, |output| {
        let mut build = build(&native, output);
        finish(&mut build).map(drop)
    })
    .map(Some)
}

/// A module of a file in C.
///
/// # Errors
/// When it does not build; `Ok(None)` if the compiler is not to be had here.
pub fn c(name: &str, file: &str) -> Result<Option<PathBuf>> {
    built(name, &[&LIBRARY[..], &[file]].concat(), |native, output| {
        let mut zig = native.zig();
        zig.arg("cc").args(TARGET).args(["-I", "sdk/c", file]);
        zig.args(["sdk/c/gristmill.c", "sdk/c/gristmill_json.c", "-o"]);
        zig.arg(output).current_dir(workspace());
        zig
    })
}

/// A module of a file in C++.
///
/// # Errors
/// As [`c`].
pub fn cpp(name: &str, file: &str) -> Result<Option<PathBuf>> {
    let inputs = [
        &LIBRARY[..],
        &["sdk/cpp/gristmill.hpp", "sdk/cpp/gristmill.cpp", file],
    ]
    .concat();
    built(name, &inputs, |native, output| {
        let mut zig = native.zig();
        zig.args(["c++", "-std=c++23", "-fno-exceptions"])
            .args(TARGET);
        zig.args(["-I", "sdk/c", "-I", "sdk/cpp", file]);
        zig.args(["sdk/cpp/gristmill.cpp", "-o"]).arg(output);
        zig.current_dir(workspace());
        zig
    })
}

/// What `zig build-exe` and `zig test` have to be told of the SDK.
fn zig_modules(zig: &mut Command, file: &str) {
    zig.args(["sdk/c/gristmill.c", "sdk/c/gristmill_json.c"]);
    zig.args(["--dep", "gristmill", "--dep", "gristmill-testing"]);
    zig.arg(format!("-Mroot={file}"));
    zig.arg("-Mgristmill=sdk/zig/gristmill.zig");
    zig.args(["--dep", "gristmill"]);
    zig.arg("-Mgristmill-testing=sdk/zig/testing.zig");
}

/// A module of a file in Zig.
///
/// # Errors
/// As [`c`].
pub fn zig(name: &str, file: &str) -> Result<Option<PathBuf>> {
    let inputs = [
        &LIBRARY[..],
        &["sdk/zig/gristmill.zig", "sdk/zig/c.zig", file],
    ]
    .concat();
    built(name, &inputs, |native, output| {
        let mut zig = native.zig();
        zig.args([
            "build-exe",
            "-target",
            "wasm32-wasi",
            "-mexec-model=reactor",
        ]);
        zig.args([
            "-O",
            "ReleaseSafe",
            "-fstrip",
            "--stack",
            "262144",
            "-lc",
            "-rdynamic",
        ]);
        zig_modules(&mut zig, file);
        zig.arg(format!("-femit-bin={}", output.display()));
        zig.current_dir(workspace());
        zig
    })
}

/// Runs the tests in a file in Zig, in its own test runner.
///
/// # Errors
/// When one fails; with what was written. `Ok(false)` if the compiler is not to be had here.
pub fn zig_tests(file: &str) -> Result<bool> {
    let Some(native) = toolchains::native()? else {
        return Ok(false);
    };
    let mut zig = native.zig();
    zig.args(["test", "-lc"]);
    zig.arg("sdk/c/testing/gristmill_testing.c");
    zig_modules(&mut zig, file);
    finish(zig.current_dir(workspace())).map(|_| true)
}

/// A module of a folder of a program in Go.
///
/// # Errors
/// As [`c`].
pub fn go(name: &str, folder: &str) -> Result<Option<PathBuf>> {
    built(name, &["sdk/go", folder], |native, output| {
        let mut go = native.go();
        go.env("GOOS", "wasip1").env("GOARCH", "wasm");
        go.args(["build", "-buildmode=c-shared", "-ldflags=-s", "-o"]);
        go.arg(output).current_dir(workspace().join(folder));
        go
    })
}

/// A module of a file in AssemblyScript.
///
/// # Errors
/// When it does not build; `Ok(None)` if Node is not to be had here.
pub fn assemblyscript(name: &str, file: &str) -> Result<Option<PathBuf>> {
    let Some(node) = toolchains::node()? else {
        return Ok(None);
    };
    let sdk = workspace().join("sdk").join("assemblyscript");
    let own = Path::new(file)
        .strip_prefix("sdk/assemblyscript")
        .with_context(|| format!("{file} is not in the folder of the recipe"))?;
    module(name, &["sdk/assemblyscript/gristmill", file], |output| {
        let mut asc = Command::new(node.join("node_modules/.bin/asc"));
        asc.arg(own).arg("gristmill/entry.ts");
        asc.args(["--transform", "./gristmill/names.mjs"]);
        asc.args(["--runtime", "minimal", "--exportStart", "_initialize"]);
        asc.args(["--use", "abort=gristmill/wasi/abort", "-O2", "--outFile"]);
        finish(asc.arg(output).current_dir(&sdk)).map(drop)
    })
    .map(Some)
}
