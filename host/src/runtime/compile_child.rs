//! The child process that compiles: what the binary does when it is told `__compile`.
//!
//! It limits itself before it reads a byte of the module, and knows nothing but its two arguments
//! and its standard streams.

use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal};
use wasmtime::Engine;

use super::compile::{CompileError, failed};
use super::engine;
use crate::parent;

/// The hidden verb that makes the binary a compiler.
pub(super) const VERB: &str = "__compile";
/// How the child ends when the module is at fault.
pub(super) const EXIT_INVALID: u8 = 65;
/// How much lower than the host's the child's priority is.
const NICENESS: i32 = 10;
/// The most bytes of machine code of one module.
pub(super) const MAX_CODE: u64 = 1024 * 1024 * 1024;

/// What the binary does when its first argument is `__compile`: limits itself, compiles the module
/// on its standard input, and writes the code to its standard output.
///
/// Call it first thing in `main`, before any thread is started. Arguments: CPU seconds, bytes of
/// address space, and the process that asks, with which this one dies. Exit status 65 says that the
/// module is at fault, and standard error says why.
#[must_use]
pub fn compile_child_main() -> ExitCode {
    match compile_child() {
        Ok(()) => ExitCode::SUCCESS,
        Err(CompileError::Invalid(problem)) => {
            eprintln!("{problem}");
            ExitCode::from(EXIT_INVALID)
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
        let text = format!(
            "usage: {VERB} <cpu seconds> <bytes of memory> <process>; gristmill calls this itself"
        );
        return Err(CompileError::Failed(text));
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
    let mut module = Vec::new();
    io::stdin()
        .read_to_end(&mut module)
        .map_err(|error| failed("the module cannot be read", error))?;
    let engine = Engine::new(&engine::config()).map_err(|error| {
        failed(
            "the WebAssembly engine does not start",
            format!("{error:#}"),
        )
    })?;
    let code = engine
        .precompile_component(&module)
        .map_err(|error| CompileError::Invalid(format!("{error:#}")))?;
    io::stdout()
        .write_all(&code)
        .map_err(|error| failed("the code cannot be written", error))
}

fn limit(resource: Resource, most: u64, at_last: u64) -> Result<(), CompileError> {
    let limit = Rlimit {
        current: Some(most),
        maximum: Some(at_last),
    };
    rustix::process::setrlimit(resource, limit)
        .map_err(|error| failed("the compiler cannot limit itself", error))
}
