//! Many messages, one from each line.
//!
//! A thread reads and cuts; meanwhile the batch before is sent. One batch is under way at a time, so
//! that messages are accepted in the order of their lines. A batch is accepted whole or not at all:
//! one that is refused is halved until the lines that are at fault are alone, so that every line
//! has its own fate.

use std::io::{BufRead, BufReader, IsTerminal, Read};

use bytes::Bytes;
use gristmill_queue::{NewMessage, QueueName, limits};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::sync::mpsc;

use super::Source;
use crate::api::{Code, Problem, Sent};
use crate::cli::door::Door;
use crate::cli::exit::{Failure, exit_of};
use crate::cli::print::Screen;
use crate::cli::text;

/// The most lines of a batch.
const MAX_LINES: usize = 2000;
/// The most bytes of a batch, attributes and the like included. In JSON a byte may become six.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// What a message costs in a batch beside its texts.
const OVERHEAD: usize = 64;
/// The longest line.
#[expect(clippy::cast_possible_truncation, reason = "it is 1 MiB")]
const MAX_LINE: usize = limits::MAX_INLINE as usize;
/// Batches that are read ahead.
const AHEAD: usize = 2;

/// A line of the source, without its end.
struct Line {
    number: u64,
    body: Bytes,
}

/// A batch as it was read.
#[derive(Default)]
struct Batch {
    lines: Vec<Line>,
    /// Lines that no queue takes.
    too_long: Vec<u64>,
    /// Bytes of the source up to its end.
    until: u64,
}

impl Batch {
    fn len(&self) -> usize {
        self.lines.len() + self.too_long.len()
    }
}

/// What became of all lines.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    sent: u64,
    duplicates: u64,
    blank: u64,
    refused: Vec<Refused>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ids: Vec<String>,
    /// Why it ended before the end of the source.
    stopped: Option<Stopped>,
}

#[derive(Debug, Serialize)]
struct Refused {
    line: u64,
    code: Code,
    detail: String,
}

/// Whether these lines were accepted is not known, or nobody can be asked any more.
#[derive(Debug, Serialize)]
struct Stopped {
    first_line: u64,
    last_line: u64,
    code: Code,
    detail: String,
}

/// Sends each line of a source as a message like `pattern`.
pub async fn send(
    door: &Door,
    queue: &QueueName,
    pattern: &NewMessage,
    source: Source,
    screen: Screen,
    ids: bool,
) -> Result<Report, Failure> {
    let bar = progress(source.size, screen);
    let (batches, mut next) = mpsc::channel(AHEAD);
    let each = cost(pattern);
    let live = source.size.is_none();
    let reader = BufReader::new(source.reader);
    let reader = tokio::task::spawn_blocking(move || cut(reader, live, each, &batches));
    let mut report = Report::default();
    while let Some(batch) = next.recv().await {
        let until = batch.until;
        report.take(door, queue, pattern, batch, ids).await;
        bar.set_position(if bar.length().is_some() {
            until
        } else {
            report.sent
        });
        bar.set_message(text::count(report.sent, "message"));
        if report.stopped.is_some() {
            break;
        }
    }
    // The reader ends with the last batch, or when it finds nobody to take the next one.
    drop(next);
    bar.finish_and_clear();
    if report.stopped.is_none() {
        report.blank = reader.await.map_err(std::io::Error::other)??;
    }
    Ok(report)
}

impl Report {
    async fn take(
        &mut self,
        door: &Door,
        queue: &QueueName,
        pattern: &NewMessage,
        batch: Batch,
        ids: bool,
    ) {
        for line in batch.too_long {
            let detail = format!("the line has more than {} bytes", limits::MAX_INLINE);
            self.refused.push(Refused {
                line,
                code: Code::TooLarge,
                detail,
            });
        }
        // A stack instead of recursion; the earlier half is on top.
        let mut parts = vec![batch.lines];
        while let Some(mut lines) = parts.pop() {
            if lines.is_empty() {
                continue;
            }
            let messages = lines.iter().map(|line| NewMessage {
                body: line.body.clone(),
                ..pattern.clone()
            });
            match door.send_all(queue, messages.collect()).await {
                Ok(sent) => self.note_sent(sent, ids),
                Err(problem) if !is_definite(problem.code) => {
                    // What was read after these lines was not sent.
                    self.stop(&lines, problem);
                    return;
                }
                Err(problem) if lines.len() == 1 || problem.code == Code::QueueNotFound => {
                    self.note_refused(&lines, &problem);
                }
                Err(_) => {
                    let later = lines.split_off(lines.len() / 2);
                    parts.extend([later, lines]);
                }
            }
        }
    }

    fn note_sent(&mut self, sent: Vec<Sent>, ids: bool) {
        self.sent += sent.len() as u64;
        self.duplicates += sent.iter().filter(|one| one.duplicate).count() as u64;
        if ids {
            self.ids.extend(sent.into_iter().map(|one| one.id));
        }
    }

    fn note_refused(&mut self, lines: &[Line], problem: &Problem) {
        self.refused.extend(lines.iter().map(|line| Refused {
            line: line.number,
            code: problem.code,
            detail: problem.detail.clone(),
        }));
    }

    fn stop(&mut self, lines: &[Line], problem: Problem) {
        if let (Some(first), Some(last)) = (lines.first(), lines.last()) {
            self.stopped = Some(Stopped {
                first_line: first.number,
                last_line: last.number,
                code: problem.code,
                detail: problem.detail,
            });
        }
    }

    /// Shows what became of all lines.
    pub fn show(mut self, screen: Screen) -> Result<(), Failure> {
        self.refused.sort_by_key(|refused| refused.line);
        if screen.json {
            screen.json(&self)?;
        } else {
            for refused in &self.refused {
                eprintln!(
                    "line {}: refused: {}",
                    refused.line,
                    text::line(&refused.detail)
                );
            }
            let summary = self.summary();
            if self.ids.is_empty() {
                screen.result(&summary)?;
            } else {
                screen.result(&self.ids.join("\n"))?;
                screen.talk(&summary);
            }
        }
        match (&self.stopped, self.refused.first()) {
            (Some(stopped), _) => {
                let Stopped {
                    first_line,
                    last_line,
                    code,
                    detail,
                } = stopped;
                let message = format!(
                    "lines {first_line} to {last_line}: {detail}. Lines after {last_line} were not sent"
                );
                Err(Failure::new(exit_of(*code), message))
            }
            (None, Some(_)) => Err(Failure::silent(crate::cli::exit::Exit::Failed)),
            (None, None) => Ok(()),
        }
    }

    fn summary(&self) -> String {
        let mut summary = format!("{} sent, {} refused", self.sent, self.refused.len());
        for (number, what) in [
            (self.duplicates, "duplicates"),
            (self.blank, "blank lines skipped"),
        ] {
            if number > 0 {
                summary.push_str(&format!(", {number} {what}"));
            }
        }
        summary
    }
}

/// Whether a problem says for certain that nothing was accepted, and the next may fare better.
fn is_definite(code: Code) -> bool {
    match code {
        Code::BadRequest
        | Code::InvalidMessage
        | Code::TooLarge
        | Code::QueueNotFound
        | Code::QueueFull
        | Code::Unmatched
        | Code::DiskFull
        | Code::DiskReserve
        | Code::Busy => true,
        Code::TooSlow
        | Code::MessageNotFound
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::OutcomeUnknown
        | Code::Damaged
        | Code::StoreFailed
        | Code::Unreachable
        | Code::CronNotFound
        | Code::RedriveNotFound
        | Code::MessageInFlight
        | Code::MessageDead
        | Code::ReplyNotFound
        | Code::NotPull
        | Code::LeaseLost
        | Code::ReceiptInvalid
        | Code::RequestDied
        | Code::Other => false,
    }
}

/// What a message like this adds to a batch beside its body.
fn cost(pattern: &NewMessage) -> usize {
    let envelope = &pattern.envelope;
    let attributes: usize = envelope
        .attributes
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    let fields = [
        &envelope.content_type,
        &envelope.group,
        &envelope.correlation_id,
        &envelope.message_type,
        &envelope.schema_version,
        &envelope.source,
        &envelope.traceparent,
        &envelope.tracestate,
    ];
    OVERHEAD + attributes + fields.into_iter().flatten().map(String::len).sum::<usize>()
}

/// Cuts a source into batches of lines, until nobody takes them. Says how many lines were blank.
fn cut(
    mut source: BufReader<impl Read>,
    live: bool,
    each: usize,
    batches: &mpsc::Sender<Batch>,
) -> std::io::Result<u64> {
    let mut batch = Batch::default();
    let (mut bytes, mut blank, mut number, mut until) = (0, 0, 0, 0);
    while let Some((line, read)) = read_line(&mut source)? {
        number += 1;
        until += read;
        match line {
            Some(body) if body.is_empty() => blank += 1,
            Some(body) => {
                bytes += body.len() + each;
                batch.lines.push(Line { number, body });
            }
            None => batch.too_long.push(number),
        }
        // What a person types, or a slow program writes, is not held back until there is more.
        let waits = live && source.buffer().is_empty();
        if batch.len() >= MAX_LINES || bytes >= MAX_BYTES || (waits && batch.len() > 0) {
            bytes = 0;
            batch.until = until;
            if batches.blocking_send(std::mem::take(&mut batch)).is_err() {
                return Ok(blank);
            }
        }
    }
    if batch.len() > 0 {
        batch.until = until;
        // If nobody takes it, sending has stopped, and the report says so.
        let _ = batches.blocking_send(batch);
    }
    Ok(blank)
}

/// The next line without its end, and how many bytes were read; the line is `None` if it is longer
/// than any body. `None` at the end of the source.
fn read_line(source: &mut impl BufRead) -> std::io::Result<Option<(Option<Bytes>, u64)>> {
    let (mut line, mut read, mut too_long) = (Vec::new(), 0, false);
    loop {
        let found = match source.fill_buf() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if found.is_empty() {
            if read == 0 {
                return Ok(None);
            }
            break;
        }
        let end = found.iter().position(|&byte| byte == b'\n');
        let part = &found[..end.unwrap_or(found.len())];
        too_long |= line.len() + part.len() > MAX_LINE;
        if !too_long {
            line.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        source.consume(taken);
        read += taken as u64;
        if end.is_some() {
            break;
        }
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    Ok(Some(((!too_long).then(|| line.into()), read)))
}

fn progress(size: Option<u64>, screen: Screen) -> ProgressBar {
    if screen.quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (
            ProgressBar::new(size),
            "{wide_bar} {percent} % {msg} {elapsed}",
        ),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
    };
    // The templates are constants, and a test reads them.
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.with_style(style)
}

#[cfg(test)]
mod tests;
