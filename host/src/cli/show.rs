//! `gristmill show`

use std::fmt::Write as _;
use std::io::Write as _;

use gristmill_queue::MessageId;

use super::door::Door;
use super::exit::Failure;
use super::parts::{attempts, section};
use super::print::Screen;
use super::{Global, body, envelope, text};
use crate::api::MessageView;

#[derive(clap::Args, Debug)]
pub struct Show {
    /// The message
    id: MessageId,
    /// Only write the body, exactly as it was sent
    #[arg(long, conflicts_with = "json")]
    body: bool,
}

impl Show {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        if self.body {
            let mut out = std::io::stdout().lock();
            let written = door.body(self.id, |piece| out.write_all(&piece)).await;
            door.close().await;
            written?;
            return Ok(out.flush()?);
        }
        let message = door.find(self.id).await;
        door.close().await;
        let message = message?;
        if screen.json {
            return screen.json(&message);
        }
        screen.result(&render(&message, screen))
    }
}

fn render(message: &MessageView, screen: Screen) -> String {
    let mut out = String::new();
    for (name, value) in facts(message) {
        let _ = writeln!(out, "{name:<12} {value}");
    }
    if !message.history.is_empty() {
        section(&mut out, "attempts", &attempts(&message.history, screen));
    }
    let title = format!("body, {}", text::size(message.size as u64));
    let shown = body::shown(&message.body, message.body_omitted);
    section(&mut out, &title, &shown);
    out
}

/// One fact on each line, as far as there are any.
fn facts(message: &MessageView) -> Vec<(&'static str, String)> {
    let counters = &message.counters;
    let not_zero = |number: u32| (number > 0).then(|| number.to_string());
    let state = match (message.state.as_str(), message.behind_group) {
        (state, true) => format!("{}, behind others of its group", text::line(state)),
        ("dead", false) => "dead: see `gristmill dead show`".to_owned(),
        (state, false) => text::line(state),
    };
    let rows = [
        ("id", Some(text::line(&message.id))),
        ("queue", Some(text::line(&message.queue))),
        ("state", Some(state)),
        ("due", message.due_at_ms.map(text::time)),
        ("sent", Some(text::time(message.enqueued_at_ms))),
        ("expires", message.expires_at_ms.map(text::time)),
        ("died", message.died_at_ms.map(text::time)),
        ("reason", message.reason.as_deref().map(text::line)),
        ("attempts", Some(counters.attempts.to_string())),
        ("postponed", not_zero(counters.postponed)),
        ("crashes", not_zero(counters.crashes)),
        ("redriven", not_zero(counters.redriven)),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    rows.chain(envelope::facts(&message.envelope)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::message::Body;
    use crate::api::view::{CountersView, EnvelopeView};

    #[test]
    fn a_message_is_shown_with_its_state_and_its_body() {
        let message = MessageView {
            id: "019a9b5e-7c11-7f00-8000-000000000001".into(),
            queue: "orders".into(),
            state: "scheduled".into(),
            due_at_ms: Some(1_763_640_000_000),
            behind_group: true,
            enqueued_at_ms: 1_763_630_000_000,
            expires_at_ms: None,
            died_at_ms: None,
            reason: None,
            counters: CountersView::default(),
            envelope: EnvelopeView {
                group: Some("a\u{1b}b".into()),
                ..EnvelopeView::default()
            },
            size: 2,
            body_omitted: false,
            body: Body {
                body: Some("hi".into()),
                body_base64: None,
            },
            history: Vec::new(),
        };
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let shown = render(&message, screen);
        for expected in [
            "state        scheduled, behind others of its group\n",
            "\ndue          20",
            "group        a\\u{1b}b\n",
            "\nbody, 2 B\n  hi\n",
        ] {
            assert!(
                shown.contains(expected),
                "{expected:?} is missing in\n{shown}"
            );
        }
        assert!(!shown.contains("expires"), "{shown}");
        let large = MessageView {
            body_omitted: true,
            body: Body::default(),
            ..message
        };
        assert!(render(&large, screen).contains(body::ELSEWHERE));
    }
}
