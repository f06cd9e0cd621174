//! `gristmill dead show`

use std::fmt::Write as _;

use gristmill_queue::{MessageId, QueueName};

use crate::api::DeadLetterView;
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::parts::{attempts, section};
use crate::cli::print::Screen;
use crate::cli::{Global, body, envelope, text};

#[derive(clap::Args, Debug)]
pub struct Show {
    /// The queue
    #[arg(value_parser = crate::cli::queue_name)]
    queue: QueueName,
    /// The message
    id: MessageId,
}

impl Show {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let letter = door.dead_letter(&self.queue, self.id).await;
        door.close().await;
        let letter = letter?;
        if screen.json {
            return screen.json(&letter);
        }
        screen.result(&render(&letter, screen))
    }
}

fn render(letter: &DeadLetterView, screen: Screen) -> String {
    let mut out = String::new();
    for (name, value) in facts(letter) {
        let _ = writeln!(out, "{name:<12} {value}");
    }
    section(&mut out, "error", &text::lines(&letter.error));
    if !letter.history.is_empty() {
        section(&mut out, "attempts", &attempts(&letter.history, screen));
    }
    if !letter.backtrace.is_empty() {
        section(
            &mut out,
            "backtrace",
            &text::lines(&letter.backtrace.join("\n")),
        );
    }
    if !letter.output_tail.is_empty() || letter.output_dropped > 0 {
        let mut tail = text::lines(letter.output_tail.trim_end());
        if letter.output_dropped > 0 {
            let _ = write!(
                tail,
                "\n(and {} before it)",
                text::size(letter.output_dropped)
            );
        }
        section(&mut out, "output", &tail);
    }
    section(
        &mut out,
        &format!("body, {}", text::size(letter.size as u64)),
        &body::shown(&letter.body, letter.body_omitted),
    );
    out
}

/// One fact on each line, as far as there are any.
fn facts(letter: &DeadLetterView) -> Vec<(&'static str, String)> {
    let counters = &letter.counters;
    let not_zero = |number: u32| (number > 0).then(|| number.to_string());
    let not_empty = |value: &String| (!value.is_empty()).then(|| text::line(value));
    let rows = [
        ("id", Some(text::line(&letter.id))),
        ("queue", Some(text::line(&letter.queue))),
        ("reason", Some(text::line(&letter.reason))),
        ("sent", Some(text::time(letter.enqueued_at_ms))),
        ("died", Some(text::time(letter.died_at_ms))),
        ("expires", letter.expires_at_ms.map(text::time)),
        ("attempts", Some(counters.attempts.to_string())),
        ("postponed", not_zero(counters.postponed)),
        ("crashes", not_zero(counters.crashes)),
        ("redriven", not_zero(counters.redriven)),
        ("fingerprint", Some(text::line(&letter.fingerprint))),
        ("module", not_empty(&letter.module)),
        ("config", not_empty(&letter.config)),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    rows.chain(envelope::facts(&letter.envelope)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::message::{Attributes, Body};
    use crate::api::view::{AttemptView, CountersView, EnvelopeView};

    #[test]
    fn a_letter_is_shown_whole_and_cannot_act_on_the_terminal() {
        let letter = DeadLetterView {
            body_omitted: false,
            id: "019a9b5e-7c11-7f00-8000-000000000001".into(),
            queue: "orders".into(),
            enqueued_at_ms: 1_763_640_000_000,
            expires_at_ms: None,
            died_at_ms: 1_763_640_060_000,
            reason: "trap".into(),
            error: "unreachable\u{7}".into(),
            fingerprint: "00000000000000ff".into(),
            counters: CountersView {
                attempts: 2,
                ..CountersView::default()
            },
            history: vec![AttemptView {
                attempt: 2,
                started_at_ms: 1_763_640_059_000,
                reason: "trap".into(),
                error: "unreachable".into(),
                wall_us: 1_200,
                cpu_us: 900,
                peak_memory_bytes: 1024 * 1024,
                module: "0123456789abcdef".into(),
            }],
            backtrace: vec!["orders.wasm!handle\u{1b}[31m".into()],
            output_tail: "last words\n".into(),
            output_dropped: 2048,
            module: "0123".into(),
            config: String::new(),
            envelope: EnvelopeView {
                attributes: Attributes(vec![("tenant".into(), "a\u{1b}b".into())]),
                priority: 4,
                ..EnvelopeView::default()
            },
            size: 7,
            body: Body {
                body: Some(r#"{"a":1}"#.into()),
                body_base64: None,
            },
        };
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let shown = render(&letter, screen);
        for expected in [
            "queue        orders\n",
            "attribute    tenant = a\\u{1b}b\n",
            "\nerror\n  unreachable\\u{7}\n",
            "1.2 ms  900 µs",
            "1.0 MiB",
            "\nbacktrace\n  orders.wasm!handle\\u{1b}[31m\n",
            "\noutput\n  last words\n  (and 2.0 KiB before it)\n",
            "\nbody, 7 B\n  {\n    \"a\": 1\n  }\n",
        ] {
            assert!(
                shown.contains(expected),
                "{expected:?} is missing in\n{shown}"
            );
        }
        assert!(
            !shown.contains("postponed") && !shown.contains("config"),
            "{shown}"
        );
        assert!(!shown.contains(['\u{1b}', '\u{7}']));
    }
}
