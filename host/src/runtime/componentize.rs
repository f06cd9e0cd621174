//! A core module → a component.
//!
//! Compilers that know nothing of components (C, C++, Zig, Go) make core modules. Either a generator of
//! bindings left a section in it that says which WIT world it was built for, or it exports the functions
//! of `gristmill:queue` by the names that the component model has for them, and then the world is ours.
//! The module gets the types of its world, and an adapter through which its WASI preview 1 calls become
//! those of WASI 0.2. Whether the world is one that the host serves shows when the component is loaded.

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::compile::CompileError;

/// Another text after every change of what is made here, so that no code of before is used.
pub(super) const MADE_BY: &str = "wit-component 0.254, adapter 48";
/// The interface.
const WIT: &str = include_str!("../../../wit/queue.wit");

/// Makes a component of a core module that brings its interface.
pub(super) fn component(module: &[u8]) -> Result<Vec<u8>, CompileError> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| {
            encoder.adapter(
                WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
                WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
            )
        })
        .and_then(|mut encoder| encoder.encode())
        .map_err(|error| CompileError::Interface(format!("{error:#}")))
}

/// How its functions are exported in the version that this host serves.
const HANDLE: &[u8] = b"gristmill:queue/handler@0.1.0#handle";

/// Makes a component of a core module that exports the functions of this world of ours. It imports what
/// the module does.
pub(super) fn of_functions(module: &[u8], world: &str) -> Result<Vec<u8>, CompileError> {
    if !module.windows(HANDLE.len()).any(|bytes| bytes == HANDLE) {
        let problem = "it has the functions of another version of gristmill:queue than this host's \
                       0.1.0: update the host, or build it with an older SDK";
        return Err(CompileError::Interface(problem.to_owned()));
    }
    let mut resolve = Resolve::default();
    let mut module = module.to_owned();
    resolve
        .push_str("queue.wit", WIT)
        .and_then(|package| resolve.select_world(&[package], Some(world)))
        .and_then(|world| {
            embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        })
        .map_err(|error| CompileError::Interface(format!("{error:#}")))?;
    component(&module)
}
