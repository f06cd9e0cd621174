//! `gristmill purge`

use clap::ArgGroup;
use gristmill_queue::QueueName;
use gristmill_store::PurgeStates;

use super::door::Door;
use super::exit::{Exit, Failure};
use super::print::Screen;
use super::{Global, confirm, text};
use crate::api::{Count, QueueView};

#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("states").required(true).multiple(true))]
pub struct Purge {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// Remove messages that are due
    #[arg(long, group = "states")]
    ready: bool,
    /// Remove messages that are due later, retries included
    #[arg(long, group = "states")]
    scheduled: bool,
    /// Remove dead letters
    #[arg(long, group = "states")]
    dead: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Purge {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let removed = self.purge(&door).await;
        door.close().await;
        let count = removed?;
        if screen.json {
            return screen.json(&Count { count });
        }
        screen.result(&format!("{} removed", text::count(count, "message")))
    }

    async fn purge(&self, door: &Door) -> Result<u64, Failure> {
        let queues = door.queues().await?;
        let queue = queues.iter().find(|one| one.name == self.queue.as_str());
        let queue = queue.ok_or_else(|| {
            let message = format!("there is no queue {}: see `gristmill queues`", self.queue);
            Failure::new(Exit::NotFound, message)
        })?;
        confirm::ask(&self.question(queue), self.yes)?;
        let states = PurgeStates {
            ready: self.ready,
            scheduled: self.scheduled,
            dead: self.dead,
        };
        Ok(door.purge(&self.queue, states).await?)
    }

    fn question(&self, queue: &QueueView) -> String {
        let chosen: Vec<String> = [
            (self.ready, queue.ready, "ready"),
            (self.scheduled, queue.scheduled, "scheduled"),
            (self.dead, queue.dead, "dead"),
        ]
        .into_iter()
        .filter(|(chosen, _, _)| *chosen)
        .map(|(_, count, state)| format!("{count} {state}"))
        .collect();
        format!(
            "Remove {} of {} for good?",
            chosen.join(" and "),
            self.queue
        )
    }
}
