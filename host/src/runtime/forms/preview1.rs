//! WASI preview 1 for a program that has its standard streams, arguments, an environment, clocks and
//! chance: no files and no sockets, so nothing here reaches out of the sandbox.
//!
//! Of the other functions each fails as it does where a descriptor is not open.

mod clocks;
mod memory;

use bytes::{Buf, Bytes};
use wasmtime::{Caller, Engine, Extern, FuncType, Linker, Memory, Val, ValType};
use wasmtime_wasi::I32Exit;

use memory::Guest;

use super::environment;
use crate::runtime::instance::{Call, Sandbox};
use crate::runtime::output::Source;
use crate::runtime::spec::HandlerSpec;

/// The module that programs import.
pub(in crate::runtime) const MODULE: &str = "wasi_snapshot_preview1";
/// Buffers, and subscriptions, of one call; the rest is for the next.
const MAX_BUFFERS: u32 = 1024;
/// Bytes that one call moves at most, since nothing interrupts it.
const MAX_BYTES: usize = 1024 * 1024;

/// An error of WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Errno(i32);

const BAD_DESCRIPTOR: Errno = Errno(8);
const FAULT: Errno = Errno(21);
const INVALID: Errno = Errno(28);
const IO: Errno = Errno(29);
const NOT_SUPPORTED: Errno = Errno(58);
const NO_SEEK: Errno = Errno(70);

type Done<T = ()> = Result<T, Errno>;

/// What a program was started with.
pub(in crate::runtime) struct Started {
    input: Bytes,
    arguments: Vec<String>,
    environment: Vec<String>,
}

impl Started {
    pub(in crate::runtime) fn new(spec: &HandlerSpec, call: Option<&Call>) -> Self {
        let message = call.and_then(|call| Some((call.messages.only()?, call)));
        let own = message.map(|(message, call)| environment::of(message, call));
        let granted = spec
            .grants
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        let variables = own.into_iter().flatten().chain(granted);
        Started {
            input: message
                .map(|(message, _)| message.body.clone())
                .unwrap_or_default(),
            arguments: vec![format!("{}\0", spec.name)],
            environment: variables
                .map(|(name, value)| format!("{name}={value}\0"))
                .collect(),
        }
    }
}

/// The memory, and the store's content. A program without a memory cannot be called with an address.
fn with(
    caller: &mut Caller<'_, Sandbox>,
    act: impl FnOnce(&mut Guest<'_>, &mut Sandbox) -> Done,
) -> wasmtime::Result<i32> {
    let memory = memory(caller)?;
    let (bytes, sandbox) = memory.data_and_store_mut(caller);
    Ok(match act(&mut Guest(bytes), sandbox) {
        Ok(()) => 0,
        Err(Errno(code)) => code,
    })
}

fn memory(caller: &mut Caller<'_, Sandbox>) -> wasmtime::Result<Memory> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    memory.ok_or_else(|| wasmtime::Error::msg("the program exports no memory"))
}

/// A linker with all functions of preview 1.
pub(in crate::runtime) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    link_start(&mut linker)?;
    link_streams(&mut linker)?;
    clocks::link(&mut linker)?;
    for (name, parameters, Errno(code)) in OTHERS {
        let kinds = parameters.chars().map(|kind| match kind {
            'I' => ValType::I64,
            _ => ValType::I32,
        });
        let kind = FuncType::new(engine, kinds, [ValType::I32]);
        linker.func_new(MODULE, name, kind, move |_, _, results| {
            if let Some(result) = results.first_mut() {
                *result = Val::I32(code);
            }
            Ok(())
        })?;
    }
    Ok(linker)
}

/// Functions that always say the same: their parameters, `i` of 32 and `I` of 64 bits, and what they
/// say. What is open cannot be changed, and nothing else is open.
const OTHERS: [(&str, &str, Errno); 32] = [
    ("fd_advise", "iIIi", NO_SEEK),
    ("fd_allocate", "iII", NO_SEEK),
    ("fd_datasync", "i", INVALID),
    ("fd_sync", "i", INVALID),
    ("fd_fdstat_set_rights", "iII", INVALID),
    ("fd_filestat_set_size", "iI", INVALID),
    ("fd_filestat_set_times", "iIIi", INVALID),
    ("fd_pread", "iiiIi", NO_SEEK),
    ("fd_pwrite", "iiiIi", NO_SEEK),
    ("fd_seek", "iIii", NO_SEEK),
    ("fd_tell", "ii", NO_SEEK),
    ("fd_prestat_get", "ii", BAD_DESCRIPTOR),
    ("fd_prestat_dir_name", "iii", BAD_DESCRIPTOR),
    ("fd_readdir", "iiiIi", BAD_DESCRIPTOR),
    ("fd_renumber", "ii", BAD_DESCRIPTOR),
    ("path_create_directory", "iii", BAD_DESCRIPTOR),
    ("path_filestat_get", "iiiii", BAD_DESCRIPTOR),
    ("path_filestat_set_times", "iiiiIIi", BAD_DESCRIPTOR),
    ("path_link", "iiiiiii", BAD_DESCRIPTOR),
    ("path_open", "iiiiiIIii", BAD_DESCRIPTOR),
    ("path_readlink", "iiiiii", BAD_DESCRIPTOR),
    ("path_remove_directory", "iii", BAD_DESCRIPTOR),
    ("path_rename", "iiiiii", BAD_DESCRIPTOR),
    ("path_symlink", "iiiii", BAD_DESCRIPTOR),
    ("path_unlink_file", "iii", BAD_DESCRIPTOR),
    ("proc_raise", "i", NOT_SUPPORTED),
    ("sock_accept", "iii", BAD_DESCRIPTOR),
    ("sock_recv", "iiiiii", BAD_DESCRIPTOR),
    ("sock_send", "iiiii", BAD_DESCRIPTOR),
    ("sock_shutdown", "ii", BAD_DESCRIPTOR),
    ("sched_yield", "", Errno(0)),
    ("fd_fdstat_set_flags", "ii", Errno(0)),
];

fn link_start(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "args_sizes_get",
        |mut c: Caller<'_, Sandbox>, count: u32, bytes: u32| {
            with(&mut c, |guest, sandbox| {
                guest.put_sizes(&sandbox.started().arguments, count, bytes)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "args_get",
        |mut c: Caller<'_, Sandbox>, pointers: u32, at: u32| {
            with(&mut c, |guest, sandbox| {
                guest.put_texts(&sandbox.started().arguments, pointers, at)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut c: Caller<'_, Sandbox>, count: u32, bytes: u32| {
            with(&mut c, |guest, sandbox| {
                guest.put_sizes(&sandbox.started().environment, count, bytes)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_get",
        |mut c: Caller<'_, Sandbox>, pointers: u32, at: u32| {
            with(&mut c, |guest, sandbox| {
                guest.put_texts(&sandbox.started().environment, pointers, at)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut c: Caller<'_, Sandbox>, at: u32, length: u32| {
            with(&mut c, |guest, _| {
                let buffer = guest.slice(at, length)?;
                if buffer.len() > MAX_BYTES {
                    return Err(INVALID);
                }
                getrandom::fill(buffer).map_err(|_| IO)
            })
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |status: i32| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(I32Exit(status)))
    })?;
    Ok(())
}

/// The stream of a descriptor that can be written to.
fn writable(descriptor: u32) -> Done<Source> {
    match descriptor {
        1 => Ok(Source::Stdout),
        2 => Ok(Source::Stderr),
        _ => Err(BAD_DESCRIPTOR),
    }
}

fn is_open(descriptor: u32) -> Done {
    match descriptor {
        0..=2 => Ok(()),
        _ => Err(BAD_DESCRIPTOR),
    }
}

fn link_streams(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fd_read",
        |mut c: Caller<'_, Sandbox>, descriptor: u32, list: u32, count: u32, read: u32| {
            with(&mut c, |guest, sandbox| {
                if descriptor != 0 {
                    return Err(BAD_DESCRIPTOR);
                }
                let input = &mut sandbox.started().input;
                let moved = guest.buffers(list, count, |buffer| {
                    let piece = buffer.len().min(input.len());
                    input.copy_to_slice(&mut buffer[..piece]);
                    piece
                })?;
                guest.put_u32(read, moved)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut c: Caller<'_, Sandbox>, descriptor: u32, list: u32, count: u32, written: u32| {
            with(&mut c, |guest, sandbox| {
                let source = writable(descriptor)?;
                let moved = guest.buffers(list, count, |buffer| {
                    sandbox.output.write(source, buffer);
                    buffer.len()
                })?;
                guest.put_u32(written, moved)
            })
        },
    )?;
    linker.func_wrap(MODULE, "fd_close", |descriptor: u32| {
        match is_open(descriptor) {
            Ok(()) => 0,
            Err(Errno(code)) => code,
        }
    })?;
    // A stream that is neither a file nor a terminal, and may be read or written, and waited for.
    linker.func_wrap(
        MODULE,
        "fd_fdstat_get",
        |mut c: Caller<'_, Sandbox>, descriptor: u32, at: u32| {
            with(&mut c, |guest, _| {
                is_open(descriptor)?;
                let right: u64 = if descriptor == 0 { 1 << 1 } else { 1 << 6 };
                let mut stat = [0; 24];
                stat[8..16].copy_from_slice(&(right | 1 << 27).to_le_bytes());
                guest.put(at, &stat)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_filestat_get",
        |mut c: Caller<'_, Sandbox>, descriptor: u32, at: u32| {
            with(&mut c, |guest, _| {
                is_open(descriptor)?;
                guest.put(at, &[0; 64])
            })
        },
    )?;
    Ok(())
}
