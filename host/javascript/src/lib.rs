//! What a plain JavaScript file needs to be a handler: an engine as WebAssembly, the SDK for
//! JavaScript, and the lines that join the two with the file.
//!
//! Knows how the SDK names things and what the engine imports. It does not run anything: evaluating
//! the file and compiling the result is the sandbox's.

mod entry;
mod uses;

pub use entry::{ENTRY, ModuleError, SDK, SHIM, entry, load, resolve};
pub use uses::{interfaces, takes_batches, uses};

/// The engine, linked with every interface that a handler may import: a component that is given a
/// program once, is then frozen as it stands, and is the handler from there on.
///
/// It exports `init: func(shim: string, script: string, path: option<string>, disable-gc: bool) ->
/// result<_, string>`, and imports [`LOADER`] beside the interfaces.
pub const ENGINE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/engine.wasm"));

/// The interface by which the engine asks for the files of a program while it is given one:
/// `resolve: func(referrer: string, specifier: string) -> result<string, string>` and
/// `load: func(path: string) -> result<string, string>`. It is of no use afterwards.
pub const LOADER: &str = "local:init/module-loader";

/// How the interfaces of a handler begin.
pub const PACKAGE: &str = "gristmill:queue/";
