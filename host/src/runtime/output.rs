//! What a guest prints and logs: forwarded line by line, bounded, and never a reason to fail.
//!
//! The first bytes of a delivery, up to the handler's limit, go to the log. The last few KiB are
//! kept for the dead letter, whatever came before. What lies between is thrown away and counted.
//! All deliveries of a handler together have a budget for the log, too.
//! A stream that is full would make `println!` panic, so these streams are never full.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use gristmill_queue::outcome::cut;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::forms::streams::Streams;
use super::log_budget::LogBudget;
use super::spec::Secret;

/// The bytes kept of the end of a delivery's output.
pub(super) const TAIL: usize = 4 * 1024;
/// A longer line is logged in pieces.
const MAX_LINE: usize = 4 * 1024;
/// Bytes of an entry of the guest's log, and of its context; the rest is cut off.
const MAX_ENTRY: usize = 16 * 1024;
const MAX_CONTEXT: usize = 1024;
/// How much a guest may write at once; the most that `write-zeroes` makes the host allocate.
const WRITE_PERMIT: usize = 64 * 1024;
/// Shorter secrets would mask innocent text.
const MIN_MASKED: usize = 4;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Stdout,
    Stderr,
}

/// The output of one instance, emptied before each delivery.
#[derive(Clone)]
pub(super) struct Output(Arc<Mutex<Buffers>>);

struct Buffers {
    handler: Arc<str>,
    secrets: Arc<[Secret]>,
    budget: Arc<LogBudget>,
    cap: usize,
    seen: u64,
    tail: Vec<u8>,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Of a program only.
    program: Option<Streams>,
}

impl Output {
    pub(super) fn new(
        handler: Arc<str>,
        secrets: Arc<[Secret]>,
        budget: Arc<LogBudget>,
        cap: usize,
        program: Option<Streams>,
    ) -> Self {
        Output(Arc::new(Mutex::new(Buffers {
            handler,
            secrets,
            budget,
            cap,
            seen: 0,
            tail: Vec::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            program,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Buffers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the delivery before.
    pub(super) fn clear(&self) {
        let mut buffers = self.lock();
        buffers.seen = 0;
        buffers.tail.clear();
        buffers.stdout.clear();
        buffers.stderr.clear();
    }

    /// Takes what a stream writes.
    pub(super) fn write(&self, source: Source, bytes: &[u8]) {
        let mut buffers = self.lock();
        let program = buffers.program.as_mut();
        if program.is_some_and(|program| program.take(source, bytes)) {
            return;
        }
        let kept = buffers.take(bytes);
        buffers.forward(source, &bytes[..kept]);
    }

    /// Takes an entry of the guest's log.
    pub(super) fn log(&self, level: tracing::Level, context: &str, message: &str) {
        let mut buffers = self.lock();
        let (context, message) = (&*cut(context, MAX_CONTEXT), &*cut(message, MAX_ENTRY));
        let line = if context.is_empty() {
            format!("[{level}] {message}\n")
        } else {
            format!("[{level}] {context}: {message}\n")
        };
        if buffers.take(line.as_bytes()) > 0 && buffers.may_log(line.len()) {
            let text = buffers.shown(message.as_bytes());
            let context = buffers.shown(context.as_bytes());
            log_entry(level, &buffers.handler, &context, &text);
        }
    }

    /// Whether something of so many bytes that is not output may go to the log.
    pub(super) fn may_log(&self, bytes: usize) -> bool {
        self.lock().may_log(bytes)
    }

    /// Logs what is left of unfinished lines.
    pub(super) fn flush(&self) {
        self.lock().flush();
    }

    /// The end of the output, and how many bytes were thrown away.
    pub(super) fn tail(&self) -> (String, u64) {
        let buffers = self.lock();
        let start = buffers.tail.len().saturating_sub(TAIL);
        let tail = &buffers.tail[start..];
        let kept = (buffers.cap as u64).saturating_add(tail.len() as u64);
        let dropped = buffers.seen.saturating_sub(kept);
        let text = buffers.masked(&String::from_utf8_lossy(tail));
        (escaped_lines(&text), dropped)
    }

    /// What a program wrote to stdout for a queue; `None` if it was too much.
    pub(super) fn take_stdout(&self) -> Option<Bytes> {
        let mut buffers = self.lock();
        let program = buffers.program.as_mut()?;
        program.take_stdout().map(Bytes::from)
    }

    /// The last lines that a program wrote to stderr.
    pub(super) fn last_words(&self, most: usize) -> String {
        let buffers = self.lock();
        let lines = buffers
            .program
            .as_ref()
            .map(|program| program.last_lines(most));
        escaped_lines(&lines.unwrap_or_default())
    }

    /// The text with the handler's secrets made unreadable.
    pub(super) fn masked(&self, text: &str) -> String {
        self.lock().masked(text)
    }
}

impl Buffers {
    /// Keeps the end, and says how many of the bytes may be forwarded.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let room = (self.cap as u64).saturating_sub(self.seen);
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        self.tail
            .extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
        bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))
    }

    fn may_log(&self, bytes: usize) -> bool {
        self.budget.take(&self.handler, bytes)
    }

    fn forward(&mut self, source: Source, mut bytes: &[u8]) {
        if bytes.is_empty()
            || !tracing::enabled!(target: "handler", tracing::Level::INFO)
            || !self.may_log(bytes.len())
        {
            return;
        }
        while !bytes.is_empty() {
            let line = self.line(source);
            let room = MAX_LINE - line.len();
            let end = bytes.iter().take(room).position(|&byte| byte == b'\n');
            let length = end.unwrap_or(room.min(bytes.len()));
            line.extend_from_slice(&bytes[..length]);
            if end.is_some() || line.len() >= MAX_LINE {
                self.log_line(source);
            }
            bytes = &bytes[length + usize::from(end.is_some())..];
        }
    }

    fn flush(&mut self) {
        for source in [Source::Stdout, Source::Stderr] {
            if !self.line(source).is_empty() {
                self.log_line(source);
            }
        }
    }

    fn log_line(&mut self, source: Source) {
        let line = std::mem::take(self.line(source));
        let text = self.shown(&line);
        match source {
            Source::Stdout => tracing::info!(target: "handler", handler = &*self.handler, "{text}"),
            Source::Stderr => {
                tracing::info!(target: "handler", handler = &*self.handler, stream = "stderr", "{text}");
            }
        }
    }

    fn line(&mut self, source: Source) -> &mut Vec<u8> {
        match source {
            Source::Stdout => &mut self.stdout,
            Source::Stderr => &mut self.stderr,
        }
    }

    fn shown(&self, bytes: &[u8]) -> String {
        escaped(&self.masked(&String::from_utf8_lossy(bytes)))
    }

    fn masked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.iter().map(Secret::reveal) {
            if secret.len() >= MIN_MASKED && text.contains(secret) {
                text = text.replace(secret, "[secret]");
            }
        }
        text
    }
}

fn log_entry(level: tracing::Level, handler: &str, context: &str, text: &str) {
    match level {
        tracing::Level::ERROR => tracing::error!(target: "handler", handler, context, "{text}"),
        tracing::Level::WARN => tracing::warn!(target: "handler", handler, context, "{text}"),
        tracing::Level::INFO => tracing::info!(target: "handler", handler, context, "{text}"),
        tracing::Level::DEBUG => tracing::debug!(target: "handler", handler, context, "{text}"),
        tracing::Level::TRACE => tracing::trace!(target: "handler", handler, context, "{text}"),
    }
}

/// The text without anything that a terminal would act upon.
pub(super) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// The same, with the ends of lines left as they are.
fn escaped_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(escaped).collect();
    lines.join("\n")
}

/// One of the guest's standard streams.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) output: Output,
    pub(super) source: Source,
}

impl IsTerminal for Stream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

#[async_trait]
impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.write(self.source, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output.write(self.source, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(cap: usize) -> Output {
        let secrets = [
            Secret::new("hunter22".to_owned()),
            Secret::new("ab".to_owned()),
        ];
        Output::new(
            "orders".into(),
            secrets.into(),
            Arc::new(LogBudget::new()),
            cap,
            None,
        )
    }

    #[test]
    fn the_end_is_kept_and_the_middle_counted() {
        let output = output(1000);
        for i in 0..3000 {
            output.write(Source::Stdout, format!("{i:09}\n").as_bytes());
        }
        let (tail, dropped) = output.tail();
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with("000002998\n000002999\n"));
        assert_eq!(dropped, 30_000 - 1000 - TAIL as u64);
        output.clear();
        output.write(Source::Stderr, &[b'x'; 3 * TAIL]);
        assert_eq!(
            output.tail(),
            ("x".repeat(TAIL), 3 * TAIL as u64 - 1000 - TAIL as u64)
        );
        output.clear();
        output.write(Source::Stderr, b"short");
        assert_eq!(output.tail(), ("short".to_owned(), 0));
    }

    #[test]
    fn secrets_are_masked_and_control_characters_escaped() {
        let output = output(1000);
        output.log(
            tracing::Level::WARN,
            "auth",
            "token hunter22 about\u{1b}[2J",
        );
        let (tail, _) = output.tail();
        assert_eq!(tail, "[WARN] auth: token [secret] about\\u{1b}[2J\n");
        assert_eq!(
            escaped("a\u{1b}[2J\tb\u{7f}\r\n"),
            "a\\u{1b}[2J\tb\\u{7f}\\r\\n"
        );
    }
}
