//! Links the JavaScript engine with the interface of Gristmill: one component, in which every plain
//! JavaScript file is later evaluated.
//!
//! The engine, QuickJS compiled to WebAssembly, comes with the package of `componentize-qjs`. Nothing
//! is downloaded or compiled for WebAssembly here. It knows the WIT and these tools; it does not know
//! what a handler looks like in JavaScript.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_component_qjs::{Linker, StringEncoding, embed_component_metadata};
use wit_parser_qjs::Resolve;

/// The interfaces, and the world that has them all.
const INTERFACES: [&str; 3] = [
    "../../wit/queue.wit",
    "../../sdk/js/wit/wasi.wit",
    "engine.wit",
];
const WORLD: &str = "engine";

fn main() -> Result<(), Box<dyn Error>> {
    for file in INTERFACES.iter().chain(&["build.rs"]) {
        println!("cargo:rerun-if-changed={file}");
    }
    let mut resolve = Resolve::default();
    let mut package = None;
    for file in INTERFACES {
        let text = fs::read_to_string(file)?;
        package = Some(resolve.push_str(Path::new(file), &text)?);
    }
    let package = package.ok_or("no interface")?;
    let world = resolve.select_world(&[package], Some(WORLD))?;

    // The module between the engine and the interface: it turns values of the one into those of the other.
    let mut between = wit_dylib::create(&resolve, world, None);
    embed_component_metadata(&mut between, &resolve, world, StringEncoding::UTF8)?;

    let mut linker = Linker::default();
    linker.encoder().validate(false);
    linker.library(
        "engine.wasm",
        componentize_qjs::default_sync_runtime_wasm(),
        false,
    )?;
    linker.library("interface.wasm", &between, false)?;
    linker.encoder().adapter(
        "wasi_snapshot_preview1",
        wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
    )?;
    let engine = linker.encode()?;

    let to = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    fs::write(to.join("engine.wasm"), engine)?;
    Ok(())
}
