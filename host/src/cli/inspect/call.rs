//! One message for a module that is inspected: what it does with it, and what that costs.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::effects::Write;
use gristmill_queue::{Effects, Outcome};
use serde::Serialize;

use crate::api::message::Body;
use crate::cli::parts::section;
use crate::cli::{body, text};
use crate::runtime::{AttemptReport, CallCost, HandlerVersion, Rehearsal};

/// Calls that are made to learn what one costs, and how long that may take.
const CALLS: usize = 50;
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of the message.
#[derive(Debug, Serialize)]
pub struct Called {
    /// `done`, `retry`, `rejected`, …
    pub outcome: String,
    /// Why it is not done.
    pub error: Option<String>,
    /// When it would come again, if the handler said so.
    pub delay_ms: Option<u64>,
    /// What it would have sent.
    pub sent: Vec<Sent>,
    /// How it would have changed its state.
    pub state: Vec<Change>,
    wall_us: u64,
    cpu_us: u64,
    peak_memory_bytes: u64,
    backtrace: Vec<String>,
    output_tail: String,
    /// The median of calls of fresh instances.
    pub fresh_us: Option<u64>,
    /// The median of calls of instances that have served before.
    pub reused_us: Option<u64>,
}

/// A message that it would have sent.
#[derive(Debug, Serialize)]
pub struct Sent {
    /// Where to.
    pub to: String,
    /// To the queue that the sender named for the answer.
    pub reply: bool,
    group: Option<String>,
    content_type: Option<String>,
    attributes: Vec<(String, String)>,
    #[serde(flatten)]
    body: Body,
}

/// A change of its state.
#[derive(Debug, Serialize)]
pub struct Change {
    key: String,
    /// `set`, `add` or `remove`.
    change: &'static str,
    #[serde(flatten)]
    value: Body,
}

/// Calls the handler once to see what it does, and a few times more to see what a call costs.
/// `reusing` is the same version with instances that are reused.
pub async fn call(
    rehearsal: &Rehearsal,
    version: &Arc<HandlerVersion>,
    reusing: &Arc<HandlerVersion>,
) -> Called {
    let report = rehearsal.run(version, true).await;
    let done = report.outcome == Outcome::Done;
    // What fails may take as long as it is let: once is enough.
    let (fresh, reused) = if done {
        (
            rehearsal.cost(version, true, CALLS, PATIENCE).await,
            rehearsal.cost(reusing, false, CALLS, PATIENCE).await,
        )
    } else {
        (None, None)
    };
    Called::of(report, rehearsal, fresh, reused)
}

impl Called {
    fn of(
        report: AttemptReport,
        rehearsal: &Rehearsal,
        fresh: Option<CallCost>,
        reused: Option<CallCost>,
    ) -> Self {
        let (outcome, error, delay) = words(report.outcome);
        let diagnostics = report.diagnostics.unwrap_or_default();
        let Effects { sends, writes, .. } = report.effects;
        let reply_to = rehearsal.envelope.reply_to.as_ref();
        let median = |cost: Option<CallCost>| cost.map(|cost| micros(cost.wall));
        Called {
            outcome,
            error,
            delay_ms: delay.map(|delay| u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)),
            sent: sends
                .into_iter()
                .map(|send| Sent {
                    reply: Some(&send.to) == reply_to,
                    to: send.to.to_string(),
                    group: send.message.envelope.group,
                    content_type: send.message.envelope.content_type,
                    attributes: send.message.envelope.attributes,
                    body: Body::of(&send.message.body),
                })
                .collect(),
            state: writes
                .into_iter()
                .map(|(key, write)| Change::of(key, &write))
                .collect(),
            wall_us: micros(report.usage.wall),
            cpu_us: micros(report.usage.cpu),
            peak_memory_bytes: report.usage.peak_memory,
            backtrace: diagnostics.backtrace,
            output_tail: diagnostics.output_tail,
            fresh_us: median(fresh),
            reused_us: median(reused),
        }
    }

    /// Whether the message would be acknowledged.
    pub fn is_done(&self) -> bool {
        self.outcome == DONE
    }

    /// The parts that are shown below the facts about the module.
    pub fn show(&self, out: &mut String) {
        let mut facts = format!("outcome      {}\n", text::line(&self.outcome));
        if let Some(delay) = self.delay_ms {
            let _ = writeln!(facts, "again in     {}", text::micros(delay * 1000));
        }
        let _ = writeln!(
            facts,
            "took         {}, {} of it on the CPU",
            text::micros(self.wall_us),
            text::micros(self.cpu_us)
        );
        let _ = writeln!(facts, "peak memory  {}", text::size(self.peak_memory_bytes));
        for (name, cost) in [
            ("fresh call", self.fresh_us),
            ("reused call", self.reused_us),
        ] {
            if let Some(us) = cost {
                let _ = writeln!(
                    facts,
                    "{name:<12} {}, the median of a few",
                    text::micros(us)
                );
            }
        }
        section(out, "called once; nothing of it was kept", &facts);
        if let Some(error) = &self.error {
            section(out, "error", &text::lines(error));
        }
        if !self.backtrace.is_empty() {
            section(out, "backtrace", &text::lines(&self.backtrace.join("\n")));
        }
        if !self.output_tail.is_empty() {
            section(out, "output", &text::lines(&self.output_tail));
        }
        let lines = |lines: Vec<String>| lines.join("\n");
        if !self.sent.is_empty() {
            let sent = self.sent.iter().map(Sent::line).collect();
            section(out, "it would send", &lines(sent));
        }
        if !self.state.is_empty() {
            let changes = self.state.iter().map(Change::line).collect();
            section(out, "it would store", &lines(changes));
        }
    }
}

impl Sent {
    fn line(&self) -> String {
        let mut line = format!("to {}", text::line(&self.to));
        if self.reply {
            line.push_str(" (the answer)");
        }
        if let Some(group) = &self.group {
            let _ = write!(line, ", group {}", text::line(group));
        }
        for (name, value) in &self.attributes {
            let _ = write!(line, ", {} = {}", text::line(name), text::line(value));
        }
        let _ = write!(line, ": {}", body::previewed(&self.body, false));
        line
    }
}

impl Change {
    fn of(key: String, write: &Write) -> Self {
        let (change, value) = match write {
            Write::Set { value, .. } => ("set", Body::of(value)),
            Write::Remove => ("remove", Body::default()),
            Write::Add(by) => ("add", Body::of(&by.to_string().into())),
        };
        Change { key, change, value }
    }

    fn line(&self) -> String {
        let key = text::line(&self.key);
        let value = body::previewed(&self.value, false);
        match self.change {
            "remove" => format!("{key} removed"),
            "add" => format!("{key} += {value}"),
            _ => format!("{key} = {value}"),
        }
    }
}

const DONE: &str = "done";

/// An outcome: its code, why, and when the message would come again.
fn words(outcome: Outcome) -> (String, Option<String>, Option<Duration>) {
    match outcome {
        Outcome::Done => (DONE.to_owned(), None, None),
        Outcome::Failed {
            reason,
            error,
            delay,
        } => (reason.as_str().to_owned(), Some(error), delay),
        Outcome::Rejected { error } => ("rejected".to_owned(), Some(error), None),
        Outcome::Postponed { delay } => ("postponed".to_owned(), None, Some(delay)),
        Outcome::HandedBack(why) => ("handed back".to_owned(), Some(format!("{why:?}")), None),
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_would_do_is_said_in_lines() {
        let called = Called {
            outcome: DONE.to_owned(),
            error: None,
            delay_ms: None,
            sent: vec![Sent {
                to: "invoices".into(),
                reply: false,
                group: Some("customer 7".into()),
                content_type: None,
                attributes: vec![("a\u{1b}".into(), "b".into())],
                body: Body::of(&"{\"order\":7}".into()),
            }],
            state: vec![
                Change::of("cents".into(), &Write::Add(-5)),
                Change::of("old".into(), &Write::Remove),
            ],
            wall_us: 1500,
            cpu_us: 900,
            peak_memory_bytes: 1 << 20,
            backtrace: vec![],
            output_tail: String::new(),
            fresh_us: Some(120),
            reused_us: None,
        };
        let mut out = String::new();
        called.show(&mut out);
        for line in [
            "  outcome      done\n",
            "  took         1.5 ms, 900 µs of it on the CPU\n",
            "  fresh call   120 µs, the median of a few\n",
            "  to invoices, group customer 7, a\\u{1b} = b: {\"order\":7}\n",
            "  cents += -5\n  old removed\n",
        ] {
            assert!(out.contains(line), "{line:?} is missing in\n{out}");
        }
        assert!(!out.contains("reused") && !out.contains("error"), "{out}");
    }

    #[test]
    fn a_failure_says_when_it_would_be_tried_again() {
        let failed = Outcome::Failed {
            reason: gristmill_queue::Reason::Retry,
            error: "not now".into(),
            delay: Some(Duration::from_secs(30)),
        };
        let (outcome, error, delay) = words(failed);
        assert_eq!(
            (outcome.as_str(), error.as_deref(), delay),
            ("retry", Some("not now"), Some(Duration::from_secs(30)))
        );
    }
}
