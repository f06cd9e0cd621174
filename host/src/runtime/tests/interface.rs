//! Core modules that bring the interface they were built for.

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;
use crate::runtime::LoadError;

/// A core module with a section that says it was built for a world of the interface, as a generator of
/// bindings leaves it.
fn built_for(world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let wit = include_str!("../../../../wit/queue.wit");
    let package = resolve.push_str("queue.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    module
}

/// A handler as C has it: it is initialised, prints through WASI preview 1, and says that all went well.
const PRINTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
      (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 4)
    (global $initialised (mut i32) (i32.const 0))
    (global $heap (mut i32) (i32.const 4096))
    (data (i32.const 16) "\20\00\00\00\06\00\00\00")
    (data (i32.const 32) "hello\n")
    (func (export "_initialize") (global.set $initialised (i32.const 1)))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
      (global.set $heap (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    (func (export "gristmill:queue/handler@0.1.0#handle") (param i32) (result i32)
      (if (i32.eqz (global.get $initialised)) (then unreachable))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 8)))
      (i32.const 1024)))"#;

#[tokio::test]
async fn a_core_module_that_brings_its_interface_is_a_handler() {
    let version = load(&built_for("queue-handler", PRINTS), |_| {});
    assert_eq!(version.exports(), ["gristmill:queue/handler@0.1.0"]);
    let own = |import: &String| import.starts_with("gristmill:") && !import.contains("/types");
    assert!(
        !version.imports().iter().any(own),
        "{:?}",
        version.imports()
    );
    let report = run(&version).await;
    assert_eq!(report.outcome, Outcome::Done, "{report:?}");
}

#[tokio::test]
async fn a_core_module_that_exports_the_functions_of_the_interface_is_a_handler() {
    let version = load(&wat::parse_str(PRINTS).unwrap(), |_| {});
    assert_eq!(version.exports(), ["gristmill:queue/handler@0.1.0"]);
    assert_eq!(run(&version).await.outcome, Outcome::Done);
    let newer = PRINTS.replace("handler@0.1.0", "handler@0.2.0");
    let error = runtime().load(&spec(|_| {}), &wat::parse_str(newer).unwrap());
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("another version of gristmill:queue than this host's 0.1.0"),
        "{text}"
    );
}

#[test]
fn a_core_module_that_calls_what_nobody_provides_is_refused_with_its_name() {
    let module = PRINTS.replace("wasi_snapshot_preview1\" \"fd_write", "env\" \"puts");
    let error = runtime().load(&spec(|_| {}), &built_for("queue-handler", &module));
    let error = error.unwrap_err();
    assert!(matches!(error, LoadError::Interface { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("orders.wasm is a core module, and no component can be made of it"),
        "{text}"
    );
    assert!(text.contains("env"), "{text}");
}

#[test]
fn a_core_module_that_lacks_its_export_is_refused_with_its_name() {
    let module = PRINTS.replace("#handle\"", "#handel\"");
    let error = runtime().load(&spec(|_| {}), &built_for("queue-handler", &module));
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains(
            "failed to find export of interface `gristmill:queue/handler@0.1.0` function `handle`"
        ),
        "{text}"
    );
}
