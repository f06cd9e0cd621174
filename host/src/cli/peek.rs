//! `gristmill peek`

use std::fmt::Write as _;

use gristmill_queue::QueueName;

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen};
use super::{Global, body, envelope, text};
use crate::api::{Items, MAX_PEEK, WaitingView};

#[derive(clap::Args, Debug)]
pub struct Peek {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// How many messages, at most 100
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=MAX_PEEK as i64))]
    limit: u16,
    /// Each message with all that is known of it, instead of a table
    #[arg(long, short)]
    full: bool,
}

impl Peek {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let items = door.peek(&self.queue, usize::from(self.limit)).await;
        door.close().await;
        let items = items?;
        if screen.json {
            return screen.json(&Items { items });
        }
        if items.is_empty() {
            screen.talk(&format!("nothing waits in {}", self.queue));
            return Ok(());
        }
        let now = jiff::Timestamp::now().as_millisecond();
        if self.full {
            return screen.result(&items.iter().map(whole).collect::<Vec<_>>().join("\n"));
        }
        screen.result(&table(&items, screen, u64::try_from(now).unwrap_or(0)))
    }
}

/// One fact on each line, and the body.
fn whole(one: &WaitingView) -> String {
    let counters = &one.counters;
    let not_zero = |number: u32| (number > 0).then(|| number.to_string());
    let rows = [
        ("id", Some(text::line(&one.id))),
        ("state", Some(text::line(&one.state))),
        ("sent", Some(text::time(one.enqueued_at_ms))),
        ("due", Some(text::time(one.due_at_ms))),
        ("expires", one.expires_at_ms.map(text::time)),
        ("attempts", Some(counters.attempts.to_string())),
        ("postponed", not_zero(counters.postponed)),
        ("crashes", not_zero(counters.crashes)),
        ("redriven", not_zero(counters.redriven)),
        (
            "last error",
            one.history
                .last()
                .map(|last| text::preview(&last.error, 80)),
        ),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut out = String::new();
    for (name, value) in rows.chain(envelope::facts(&one.envelope)) {
        let _ = writeln!(out, "{name:<12} {value}");
    }
    let _ = writeln!(out, "\nbody, {}", text::size(one.size as u64));
    for line in body::shown(&one.body, one.body_omitted).lines() {
        let _ = writeln!(out, "  {line}");
    }
    out
}

fn table(waiting: &[WaitingView], screen: Screen, now_ms: u64) -> String {
    let mut rows = screen.table(&[
        Column::Words("id"),
        Column::Words("state"),
        Column::Words("sent"),
        Column::Number("attempts"),
        Column::Words("group"),
        Column::Number("size"),
        Column::Words("body"),
    ]);
    for one in waiting {
        let state = match one.state.as_str() {
            "scheduled" => text::relative(one.due_at_ms, now_ms),
            other => text::line(other),
        };
        rows.add([
            text::line(&one.id),
            state,
            text::relative(one.enqueued_at_ms, now_ms),
            one.counters.attempts.to_string(),
            text::preview(one.envelope.group.as_deref().unwrap_or("-"), 20),
            text::size(one.size as u64),
            body::previewed(&one.body, one.body_omitted),
        ]);
    }
    rows.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::message::{Attributes, Body};
    use crate::api::view::{CountersView, EnvelopeView};

    #[test]
    fn a_message_is_shown_whole_with_every_field_of_its_envelope() {
        let text = |text: &str| Some(text.to_owned());
        let shown = whole(&WaitingView {
            id: "019a9b5e-7c11-7f00-8000-000000000001".into(),
            state: "ready".into(),
            due_at_ms: 1_763_640_000_000,
            enqueued_at_ms: 1_763_640_000_000,
            expires_at_ms: None,
            counters: CountersView::default(),
            suspect: false,
            envelope: EnvelopeView {
                content_type: text("text/plain"),
                attributes: Attributes(vec![("tenant".into(), "a\u{1b}b".into())]),
                group: text("g"),
                correlation_id: text("c"),
                causation_id: text("019a9b5e-7c11-7f00-8000-000000000002"),
                reply_to: text("answers"),
                message_type: text("order.placed"),
                schema_version: text("2"),
                source: text("shop"),
                traceparent: text("00-1"),
                tracestate: text("a=1"),
                priority: 4,
            },
            size: 2,
            body_omitted: false,
            body: Body::of(&"hi".into()),
            history: Vec::new(),
        });
        for expected in [
            "id           019a9b5e-7c11-7f00-8000-000000000001\n",
            "content type text/plain\n",
            "attribute    tenant = a\\u{1b}b\n",
            "group        g\n",
            "correlation  c\n",
            "causation    019a9b5e-7c11-7f00-8000-000000000002\n",
            "reply to     answers\n",
            "type         order.placed\n",
            "schema       2\n",
            "source       shop\n",
            "traceparent  00-1\n",
            "tracestate   a=1\n",
            "priority     4\n",
            "\nbody, 2 B\n  hi\n",
        ] {
            assert!(
                shown.contains(expected),
                "{expected:?} is missing in\n{shown}"
            );
        }
        assert!(!shown.contains("postponed"), "{shown}");
    }
}
