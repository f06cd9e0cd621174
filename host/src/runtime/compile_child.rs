//! The child process that compiles: what the binary does when it is told `__compile`.
//!
//! It limits itself before it reads a byte of the module, and knows nothing but its arguments and its
//! standard streams. What it is given may be WebAssembly, or something that it makes WebAssembly of.

use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, Signal};
use wasmtime::Engine;

use super::compile::{CompileError, failed, precompile};
use super::engine;
use super::head_start::{self, HeadStart};
use super::source::{Kind, Source};
use crate::parent;

/// The hidden verb that makes the binary a compiler.
pub(super) const VERB: &str = "__compile";
/// How the child ends when the module is at fault.
pub(super) const EXIT_INVALID: u8 = 65;
/// How it ends when no component can be made of a core module.
pub(super) const EXIT_INTERFACE: u8 = 66;
/// How it ends when a program cannot be a handler.
pub(super) const EXIT_SCRIPT: u8 = 67;
/// How much lower than the host's the child's priority is.
const NICENESS: i32 = 10;
/// The most bytes of machine code of one module.
pub(super) const MAX_CODE: u64 = 1024 * 1024 * 1024;

/// What the binary does when its first argument is `__compile`: limits itself, compiles the module
/// on its standard input, and writes the code to its standard output. Before the module stands what
/// the host kept of an earlier run, after the code what it is to keep for the next, each with the
/// number of its bytes (little endian, 64 bits), which is zero for all but JavaScript.
///
/// Call it first thing in `main`, before any thread is started. Arguments: CPU seconds, bytes of
/// address space, the process that asks, with which this one dies, what the module is, and the name of
/// its file. Exit status 65 says that the module is at fault (66 that no component can be made of it, 67
/// that it is a program that cannot be a handler), and standard error says why.
#[must_use]
pub fn compile_child_main() -> ExitCode {
    match compile_child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(CompileError::Invalid(problem)) => {
            eprintln!("{problem}");
            ExitCode::from(EXIT_INVALID)
        }
        Err(CompileError::Interface(problem)) => {
            eprintln!("{problem}");
            ExitCode::from(EXIT_INTERFACE)
        }
        Err(CompileError::Script(problem)) => {
            eprintln!("{problem}");
            ExitCode::from(EXIT_SCRIPT)
        }
        Err(CompileError::Failed(problem)) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
        // It has no pool.
        Err(CompileError::TooLarge(..)) => ExitCode::FAILURE,
    }
}

fn compile_child() -> Result<(), CompileError> {
    let mut arguments = std::env::args()
        .skip_while(|argument| argument != VERB)
        .skip(1);
    let mut number = || {
        arguments
            .next()
            .and_then(|argument| argument.parse::<u64>().ok())
    };
    let (Some(cpu), Some(memory), Some(host)) = (number(), number(), number()) else {
        return Err(CompileError::Failed(usage()));
    };
    let kind = arguments.next().and_then(|kind| Kind::named(&kind));
    let (Some(kind), Some(file)) = (kind, arguments.next()) else {
        return Err(CompileError::Failed(usage()));
    };
    // Nobody would wait for this process if the host were gone, nor keep it from running beside the
    // one that the next host starts.
    let gone = "the host that asked for this is gone";
    parent::follow(i32::try_from(host).unwrap_or(0), Signal::KILL, gone)
        .map_err(|error| failed("the compiler cannot tie itself to the host", error))?;
    limit(Resource::Core, 0, 0)?;
    // At the first a signal comes that tells why; another that kills would look like anybody's.
    limit(Resource::Cpu, cpu, cpu.saturating_add(5))?;
    limit(Resource::As, memory, memory)?;
    limit(Resource::Fsize, MAX_CODE, MAX_CODE)?;
    // A priority that cannot be lowered is no reason not to compile.
    let _ = rustix::process::nice(NICENESS);
    let mut bytes = Vec::new();
    io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| failed("the module cannot be read", error))?;
    let Some((head, bytes)) = head_start::sized(&bytes) else {
        return Err(CompileError::Failed(usage()));
    };
    let source = Source {
        kind,
        file: &file,
        bytes,
    };
    // The host has checked that it is as it was written, so this is of another version.
    let mut head = HeadStart::decode(head).unwrap_or_default();
    let module = source.webassembly(&mut head)?;
    let head = Arc::new(head);
    let unusable = |error: wasmtime::Error| {
        failed(
            "the WebAssembly engine does not start",
            format!("{error:#}"),
        )
    };
    let mut config = engine::config();
    if kind == Kind::JavaScript {
        let functions = Arc::clone(&head);
        config
            .enable_incremental_compilation(functions)
            .map_err(unusable)?;
    }
    let engine = Engine::new(&config).map_err(unusable)?;
    let code = precompile(&engine, &module)?;
    let head = head.encode().unwrap_or_default();
    let mut output = io::stdout().lock();
    [&code, &head, (head.len() as u64).to_le_bytes().as_slice()]
        .into_iter()
        .try_for_each(|part| output.write_all(part))
        .and_then(|()| output.flush())
        .map_err(|error| failed("the code cannot be written", error))
}

fn usage() -> String {
    format!(
        "usage: {VERB} <cpu seconds> <bytes of memory> <process> <kind> <file>; gristmill calls this \
         itself"
    )
}

fn limit(resource: Resource, most: u64, at_last: u64) -> Result<(), CompileError> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(at_last),
    };
    rustix::process::setrlimit(resource, limit)
        .map_err(|error| failed("the compiler cannot limit itself", error))
}
