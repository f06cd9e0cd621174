//! `gristmill peek`

use gristmill_queue::QueueName;

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen};
use super::{Global, body, text};
use crate::api::{Items, MAX_PEEK, WaitingView};

#[derive(clap::Args, Debug)]
pub struct Peek {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// How many messages, at most 100
    #[arg(short = 'n', long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=MAX_PEEK as i64))]
    limit: u16,
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
        screen.result(&table(&items, screen, u64::try_from(now).unwrap_or(0)))
    }
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
        // What cannot be decoded was checked when it was made.
        let bytes = one.body.clone().into_bytes().unwrap_or_default();
        rows.add([
            text::line(&one.id),
            state,
            text::relative(one.enqueued_at_ms, now_ms),
            one.counters.attempts.to_string(),
            text::preview(one.envelope.group.as_deref().unwrap_or("-"), 20),
            text::size(one.size as u64),
            body::preview(&bytes),
        ]);
    }
    rows.text()
}
