//! What a guest's end means: the reason, the best line for people, and what to keep.
//!
//! Never prints an error with `{:?}`: that appends the host's own stack.

use std::io;
use std::time::Duration;

use gristmill_queue::Reason;
use gristmill_queue::outcome::{Diagnostics, cut, is_runtime_frame};
use rustix::io::Errno;
use wasmtime::{PoolConcurrencyLimitError, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::clock::Stop;
use super::forms::Broken;
use super::instance::Sandbox;
use super::output::escaped;

/// Frames kept of a backtrace.
const MAX_FRAMES: usize = 20;
/// Characters kept of a frame: names are the guest's.
const MAX_FRAME: usize = 300;
/// Lines of a panic message that go into the error.
const MAX_PANIC_LINES: usize = 4;
/// Bytes of the error text.
const MAX_ERROR: usize = 2000;
/// An access this far below 4 GiB is one just below address 0: an overrun stack.
const BELOW_ZERO: u64 = 0xff00_0000;

/// Where the guest was when it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Instantiating,
    Calling,
}

/// How an attempt failed that did not end with a return.
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) error: String,
    pub(super) diagnostics: Diagnostics,
}

/// Whether there was no room for an instance, which is no failure of the message: the pool had no slot left, or
/// the system no memory or no mapping.
pub(super) fn had_no_room(error: &wasmtime::Error, phase: Phase) -> bool {
    let refused = |cause: &(dyn std::error::Error + 'static)| {
        let by_io = cause.downcast_ref::<io::Error>();
        let by_io = by_io.and_then(io::Error::raw_os_error);
        let number = cause.downcast_ref::<Errno>().map(|it| it.raw_os_error());
        by_io.or(number) == Some(Errno::NOMEM.raw_os_error())
    };
    error.is::<PoolConcurrencyLimitError>()
        || (phase == Phase::Instantiating && error.chain().any(refused))
}

/// Classifies what a guest's end was. `error` is `None` when the host gave up waiting for it.
pub(super) fn classify(
    error: Option<&wasmtime::Error>,
    phase: Phase,
    sandbox: &Sandbox,
) -> Failure {
    let (output_tail, output_dropped) = sandbox.output.tail();
    let backtrace = error.map(frames).unwrap_or_default();
    let (reason, text) = match (sandbox.clock.stopped(), error) {
        (Some(stop), _) => stopped(stop, sandbox),
        (None, Some(error)) => ended(error, phase, sandbox, &backtrace, &output_tail),
        (None, None) => (Reason::Deadline, "given up".to_owned()),
    };
    Failure {
        reason,
        error: cut(&sandbox.output.masked(&text), MAX_ERROR),
        diagnostics: Diagnostics {
            backtrace,
            output_tail,
            output_dropped,
        },
    }
}

fn stopped(stop: Stop, sandbox: &Sandbox) -> (Reason, String) {
    let limits = &sandbox.shared.spec.limits;
    match stop {
        Stop::Deadline => {
            let granted = Duration::from_millis(
                u64::try_from(sandbox.clock.granted().as_millis()).unwrap_or(u64::MAX),
            );
            let note = if granted > limits.timeout {
                format!(" ({:?}, extended)", limits.timeout)
            } else {
                String::new()
            };
            let text = format!("still running after its timeout of {granted:?}{note}");
            (Reason::Deadline, text)
        }
        Stop::Cpu => (
            Reason::CpuLimit,
            format!("used up its cpu_time of {:?}", limits.cpu_time),
        ),
    }
}

fn ended(
    error: &wasmtime::Error,
    phase: Phase,
    sandbox: &Sandbox,
    backtrace: &[String],
    output: &str,
) -> (Reason, String) {
    if let Some(exit) = error.downcast_ref::<I32Exit>() {
        // WASI 0.2 tells success from failure, and no more.
        let text = match exit.0 {
            0 => "called exit instead of returning",
            _ => "called exit with a failure code",
        };
        return (Reason::Exit, with_last_line(text.to_owned(), output));
    }
    if let Some(broken) = error.downcast_ref::<Broken>() {
        return (broken.reason, broken.text.clone());
    }
    let panic = panic_message(output);
    if let Some(text) = refused_memory(sandbox, panic.as_deref()) {
        return (Reason::MemoryLimit, text);
    }
    let chain = escaped(&format!("{error:#}"));
    let trap = error.downcast_ref::<Trap>();
    if is_stack_overflow(trap, &chain, backtrace) {
        let text = "the stack is used up: recursion too deep, or too much kept on the stack";
        return (Reason::StackOverflow, text.to_owned());
    }
    if chain.contains("fuel allocated for hostcalls has been exhausted") {
        let text = "passed more to the host in one call than a message may hold";
        return (Reason::OutputLimit, text.to_owned());
    }
    let text = panic.unwrap_or_else(|| {
        let cause = trap.map_or_else(|| root_cause(error), ToString::to_string);
        with_last_line(cause, output)
    });
    match phase {
        Phase::Calling => (Reason::Trap, text),
        Phase::Instantiating => (Reason::Instantiation, format!("while starting: {text}")),
    }
}

fn root_cause(error: &wasmtime::Error) -> String {
    escaped(&error.root_cause().to_string())
}

fn refused_memory(sandbox: &Sandbox, panic: Option<&str>) -> Option<String> {
    let desired = sandbox.limiter.refused?;
    // A guest may have coped with the refusal and panicked over something else.
    let about_memory = |panic: &str| {
        let panic = panic.to_lowercase();
        panic.contains("memory") || panic.contains("alloc") || panic.contains("capacity")
    };
    if panic.is_some_and(|panic| !about_memory(panic)) {
        return None;
    }
    Some(format!(
        "wanted {} of memory, but its limit is {}",
        mebibytes(desired),
        mebibytes(sandbox.shared.spec.limits.memory),
    ))
}

fn mebibytes(bytes: u64) -> String {
    let tenths = bytes.saturating_mul(10).div_ceil(1024 * 1024);
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

/// A stack that is used up traps as such, unless it is the guest's own stack in linear memory.
/// That one runs below address 0, in the middle of a recursion: only both together are a proof.
fn is_stack_overflow(trap: Option<&Trap>, chain: &str, backtrace: &[String]) -> bool {
    match trap {
        Some(Trap::StackOverflow) => true,
        Some(Trap::MemoryOutOfBounds) => {
            fault_address(chain).is_some_and(|address| address >= BELOW_ZERO)
                && is_recursion(backtrace)
        }
        _ => false,
    }
}

fn fault_address(chain: &str) -> Option<u64> {
    let (_, rest) = chain.split_once("memory fault at wasm address 0x")?;
    let digits = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(digits, 16).ok()
}

fn is_recursion(backtrace: &[String]) -> bool {
    let mut functions: Vec<&str> = backtrace
        .iter()
        .map(|frame| frame.split_once(" - ").map_or(frame.as_str(), |(_, f)| f))
        .collect();
    functions.sort_unstable();
    functions.dedup();
    backtrace.len() >= MAX_FRAMES && functions.len() <= MAX_FRAMES / 4
}

/// Frames, innermost first, as `0x4b05 - module!function`. The language's own, which lead from the
/// failure to the abort, are left out.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else {
        return Vec::new();
    };
    // Its Display is the only place that has the demangled names.
    let text = backtrace.to_string();
    let frames = text.lines().filter_map(|line| {
        let (number, frame) = line.trim_start().split_once(": ")?;
        number.parse::<u32>().ok()?;
        Some(cut(&escaped(&without_hashes(frame.trim())), MAX_FRAME))
    });
    let mut frames: Vec<String> = frames.collect();
    if let Some(first) = frames.iter().position(|frame| !is_runtime_frame(frame)) {
        frames.drain(..first);
    }
    frames.truncate(MAX_FRAMES);
    frames
}

/// The function without what the compiler adds to tell builds apart: `std[0123456789abcdef]::exit`
/// and `exit::h0123456789abcdef` are both `exit`.
fn without_hashes(frame: &str) -> String {
    let is_hash = |text: &str| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let mut kept = String::with_capacity(frame.len());
    let mut rest = frame;
    while let Some(start) = rest.find('[') {
        let (before, after) = rest.split_at(start);
        kept.push_str(before);
        match after.get(1..17).filter(|hash| is_hash(hash)) {
            Some(_) if after[17..].starts_with(']') => rest = &after[18..],
            _ => {
                kept.push('[');
                rest = &after[1..];
            }
        }
    }
    kept.push_str(rest);
    match kept.rsplit_once("::h") {
        Some((name, hash)) if is_hash(hash) => name.to_owned(),
        _ => kept,
    }
}

/// The last panic in a Rust guest's output, on one line.
fn panic_message(output: &str) -> Option<String> {
    let start = output.rfind("panicked at ")?;
    let mut lines = output[start..].lines();
    let mut message = lines.next()?.trim_end().to_owned();
    let mut first = true;
    for line in lines.take(MAX_PANIC_LINES) {
        let line = line.trim();
        if line.is_empty() || line.starts_with("note: ") || line.starts_with("stack backtrace:") {
            break;
        }
        message.push_str(if first { " " } else { "; " });
        message.push_str(line);
        first = false;
    }
    Some(message)
}

/// The text with the last line of the output, which often says more than the trap.
fn with_last_line(text: String, output: &str) -> String {
    let last = output.lines().rev().map(str::trim).find(|l| !l.is_empty());
    match last {
        Some(line) => format!(
            "{text}; the last line it wrote: {}",
            cut(line, MAX_ERROR / 2)
        ),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_has_no_room_for_is_no_failure_of_the_message() {
        let no_memory = || io::Error::from(Errno::NOMEM);
        let direct = wasmtime::Error::new(no_memory());
        let behind = wasmtime::Error::new(no_memory()).context("mapping a memory");
        let other = wasmtime::Error::new(io::Error::from(Errno::PERM));
        assert!(had_no_room(&direct, Phase::Instantiating));
        assert!(had_no_room(&behind, Phase::Instantiating));
        assert!(had_no_room(
            &wasmtime::Error::new(Errno::NOMEM),
            Phase::Instantiating
        ));
        assert!(!had_no_room(&other, Phase::Instantiating));
        assert!(!had_no_room(&direct, Phase::Calling), "a guest ran");
    }

    #[test]
    fn a_panic_becomes_one_line() {
        let output = "starting\n\nthread '<unnamed>' (1) panicked at src/lib.rs:16:80:\n\
                      index out of bounds: the len is 3 but the index is 7\n\
                      note: run with `RUST_BACKTRACE=1`\n";
        assert_eq!(
            panic_message(output).as_deref(),
            Some(
                "panicked at src/lib.rs:16:80: index out of bounds: the len is 3 but the index is 7"
            )
        );
        assert_eq!(panic_message("all is well\n"), None);
        assert_eq!(
            panic_message("panicked at a:1:2:\n").as_deref(),
            Some("panicked at a:1:2:")
        );
    }

    #[test]
    fn functions_lose_the_hashes_of_their_build() {
        let table = [
            (
                "std[d123b7a1a2ed1472]::exit::<std[d123b7a1a2ed1472]::A>",
                "std::exit::<std::A>",
            ),
            (
                "bad.wasm!bad::recurse::h85e54d7adcf6561b",
                "bad.wasm!bad::recurse",
            ),
            ("core::fmt::<[u8]>::[", "core::fmt::<[u8]>::["),
            ("f[0123456789abcdef", "f[0123456789abcdef"),
            ("f[ä123456789abcdef]", "f[ä123456789abcdef]"),
        ];
        for (frame, expected) in table {
            assert_eq!(without_hashes(frame), expected);
        }
    }

    #[test]
    fn only_a_recursion_below_zero_is_a_stack_overflow() {
        let deep = vec!["0x10 - bad.wasm!bad::recurse".to_owned(); MAX_FRAMES];
        let flat: Vec<String> = (0..MAX_FRAMES).map(|i| format!("0x1 - m!f{i}")).collect();
        let at = |address: &str| format!("memory fault at wasm address {address} in linear memory");
        let trap = Some(&Trap::MemoryOutOfBounds);
        assert!(is_stack_overflow(trap, &at("0xfffff000"), &deep));
        assert!(!is_stack_overflow(trap, &at("0xfffff000"), &flat));
        assert!(!is_stack_overflow(trap, &at("0x20000"), &deep));
        assert!(!is_stack_overflow(trap, "", &deep));
        assert!(is_stack_overflow(Some(&Trap::StackOverflow), "", &[]));
        assert!(!is_stack_overflow(
            Some(&Trap::UnreachableCodeReached),
            "",
            &deep
        ));
    }

    #[test]
    fn the_last_line_is_added() {
        assert_eq!(with_last_line("trap".into(), ""), "trap");
        let text = with_last_line("trap".into(), "a\nTypeError: x is undefined\n\n");
        assert!(text.ends_with("TypeError: x is undefined"), "{text}");
    }
}
