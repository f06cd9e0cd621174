//! Many messages, one from each line.
//!
//! A thread reads and cuts; meanwhile the batch before is sent. One batch is under way at a time, so
//! that messages are accepted in the order of their lines. A batch is accepted whole or not at all:
//! one that is refused is halved until the lines that are at fault are alone, so that every line
//! has its own fate.

mod cut;

use std::io::{BufReader, IsTerminal};

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
use cut::{Batch, Line, cost, cut};

/// Batches that are read ahead.
const AHEAD: usize = 2;

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
        | Code::RateLimited
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
        | Code::QueueFromFile
        | Code::TooManyQueues
        | Code::NotPull
        | Code::LeaseLost
        | Code::ReceiptInvalid
        | Code::MessageInFlight
        | Code::MessageDead
        | Code::ReplyNotFound
        | Code::RequestDied
        | Code::HandlerNotFound
        | Code::TokenNotFound
        | Code::Unauthorized
        | Code::Forbidden
        | Code::UnsupportedMediaType
        | Code::Other => false,
    }
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
