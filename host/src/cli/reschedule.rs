//! `gristmill move`

use std::time::Duration;

use clap::ArgGroup;
use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, Timestamp};

use super::door::Door;
use super::exit::Failure;
use super::print::Screen;
use super::{Global, text};
use crate::config::value;

#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("to").required(true))]
pub struct Move {
    /// The message
    id: MessageId,
    /// Due at this time, such as 2026-12-24T18:00:00Z or 2026-12-24T18:00[Europe/Berlin]
    #[arg(long, value_name = "TIME", group = "to", value_parser = super::point_in_time)]
    at: Option<Timestamp>,
    /// Due this long from now on, such as 30s or 2h
    #[arg(long, value_name = "TIME", group = "to", value_parser = value::typed)]
    delay: Option<Duration>,
    /// Due at once
    #[arg(long, group = "to")]
    now: bool,
}

impl Move {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let to = match (self.at, self.delay) {
            (Some(time), _) => Due::At(time),
            (None, Some(delay)) => Due::After(delay),
            (None, None) => Due::Now,
        };
        let door = Door::open(global).await?;
        let moved = door.move_to(self.id, to).await;
        door.close().await;
        let moved = moved?;
        if screen.json {
            return screen.json(&moved);
        }
        let due = text::time(moved.due_at_ms);
        screen.result(&format!("{} is due {due}", text::line(&moved.id)))
    }
}
