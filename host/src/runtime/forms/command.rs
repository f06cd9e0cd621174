//! A program: the message on its standard input, what is known about it in the environment, and the
//! exit status decides.
//!
//! A program runs once, so its instances are always fresh.

use gristmill_queue::NewMessage;
use gristmill_queue::effects::SendError;
use wasmtime::{Store, TypedFunc};
use wasmtime_wasi::p2::bindings::exports::wasi::cli::run;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use super::streams::MAX_REASON_LINES;
use super::{Broken, Handled, descend, environment, words_of};
use crate::runtime::bindings::queue::gristmill::queue::types::Failure;
use crate::runtime::instance::{Call, Sandbox};
use crate::runtime::spec::OnFailure;

/// `EX_DATAERR` of sysexits.h: the input is wrong, and will be the next time.
const DATA_ERROR: i32 = 65;
/// `EX_TEMPFAIL`: it may work later.
const TRY_LATER: i32 = 75;
/// What `wasi:cli/run` has for any failure.
const FAILURE: i32 = 1;

/// Where a program begins.
pub(in crate::runtime) enum Entry {
    /// Of a component.
    Run(run::Guest),
    /// Of a core module.
    Start(TypedFunc<(), ()>),
}

impl Entry {
    /// Runs the program, and judges how it ended.
    pub(in crate::runtime) async fn call(
        &self,
        store: &mut Store<Sandbox>,
    ) -> wasmtime::Result<Handled> {
        let ended = match self {
            Entry::Run(run) => run
                .call_run(&mut *store)
                .await
                .map(|ended| ended.map_or(FAILURE, |()| 0)),
            Entry::Start(start) => start.call_async(&mut *store, ()).await.map(|()| 0),
        };
        let status = match ended {
            Ok(status) => status,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(exit) => exit.0,
                None => return Err(error),
            },
        };
        judge(status, store.data_mut())
    }
}

/// What a program is started with.
pub(in crate::runtime) fn prepare(wasi: &mut WasiCtxBuilder, name: &str, call: &Call) {
    wasi.arg(name);
    if let Some(message) = call.messages.only() {
        for (name, value) in environment::of(message, call) {
            wasi.env(name, value);
        }
        wasi.stdin(MemoryInputPipe::new(message.body.clone()));
    }
}

fn judge(status: i32, sandbox: &mut Sandbox) -> wasmtime::Result<Handled> {
    let rules = &sandbox.shared.spec.command;
    let rejected = match status {
        0 => return send_stdout(sandbox).map(Ok),
        DATA_ERROR => true,
        TRY_LATER => false,
        _ => rules.on_failure == OnFailure::Reject,
    };
    let said = sandbox.output.last_words(MAX_REASON_LINES);
    let text = match said.is_empty() {
        true => format!("it ended with exit status {status} and wrote nothing to stderr"),
        false => format!("exit status {status}: {said}"),
    };
    Ok(Err(match rejected {
        true => Failure::Reject(text),
        false => Failure::Retry(text),
    }))
}

/// Sends what the program wrote, a message for each line.
fn send_stdout(sandbox: &mut Sandbox) -> wasmtime::Result<()> {
    let Some(to) = sandbox.shared.spec.command.stdout_to.clone() else {
        return Ok(());
    };
    let most = sandbox.shared.spec.limits.effects;
    let too_much = || {
        Broken::limit(format!(
            "wrote more to stdout, which goes to {to}, than one delivery may send: {} messages, of {} bytes \
             together; raise `max_sends` or `max_send_bytes`, or write less",
            most.max_sends, most.max_send_bytes
        ))
    };
    let Some(written) = sandbox.output.take_stdout() else {
        return Err(too_much());
    };
    for line in lines(&written) {
        let length = line.len();
        let mut message = NewMessage::default();
        message.envelope.content_type = Some(media_type(&line).to_owned());
        message.body = line;
        descend(sandbox, &mut message)?;
        let sent = sandbox.call()?.transaction.send(to.as_str(), message);
        sent.map_err(|error| match error {
            SendError::TooMany => too_much(),
            other => Broken::limit(format!(
                "a line of {length} bytes on stdout cannot be sent to {to}: {}",
                words_of(&other)
            )),
        })?;
    }
    Ok(())
}

/// The lines that are not blank, without their ends.
fn lines(written: &bytes::Bytes) -> impl Iterator<Item = bytes::Bytes> {
    written
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.trim_ascii().is_empty())
        .map(|line| written.slice_ref(line))
}

/// A line is a JSON object or text.
fn media_type(line: &[u8]) -> &'static str {
    match serde_json::from_slice::<serde::de::IgnoredAny>(line) {
        Ok(_) if line.trim_ascii_start().starts_with(b"{") => "application/json",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages() {
        let written = bytes::Bytes::from_static(b"{\"a\":1}\r\n\n  \nplain\n{broken\nlast");
        let found: Vec<_> = lines(&written)
            .map(|line| (String::from_utf8(line.to_vec()).unwrap(), media_type(&line)))
            .collect();
        let (json, text) = ("application/json", "text/plain; charset=utf-8");
        let expected = [
            ("{\"a\":1}", json),
            ("plain", text),
            ("{broken", text),
            ("last", text),
        ];
        assert_eq!(found, expected.map(|(line, kind)| (line.to_owned(), kind)));
    }
}
