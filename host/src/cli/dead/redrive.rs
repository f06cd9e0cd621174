//! `gristmill dead redrive`

use std::time::Duration;

use clap::ArgGroup;
use gristmill_queue::{MessageId, QueueName};
use gristmill_store::{DeadFilter, Destination, RedriveOrder};
use serde::Serialize;

use super::{Chosen, edit, list};
use crate::api::{DeadGroupView, RedriveOut};
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::print::Screen;
use crate::cli::{Global, confirm, text};

#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("other body"))]
pub struct Redrive {
    #[command(flatten)]
    chosen: Chosen,
    /// Only these messages
    #[arg(value_name = "ID")]
    messages: Vec<MessageId>,
    /// Into this queue instead of the one in which they died
    #[arg(long, value_name = "QUEUE", value_parser = crate::cli::queue_name)]
    to: Option<QueueName>,
    /// QUEUE takes what dies in others: each message goes back to where it died
    #[arg(long, conflicts_with = "to")]
    to_source: bool,
    /// How fast, such as 50/s; it then goes on by itself, also after a restart
    #[arg(long, value_parser = rate)]
    rate: Option<(u32, Duration)>,
    /// With the body in this file, - for stdin: a new message takes the place of the one ID
    #[arg(long, value_name = "FILE", group = "other body", conflicts_with_all = ["to", "to_source", "rate"])]
    body: Option<std::path::PathBuf>,
    /// The same, with the body changed in $VISUAL or $EDITOR
    #[arg(long, group = "other body", conflicts_with_all = ["to", "to_source", "rate"])]
    edit: bool,
    /// Only count them
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

fn rate(text: &str) -> Result<(u32, Duration), String> {
    crate::api::redrive::parse_rate(text).map_err(|problem| problem.detail)
}

/// What is printed for scripts: what would be done, or was.
#[derive(Serialize)]
struct Done {
    count: u64,
    dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    redrive: Option<u64>,
    groups: Vec<DeadGroupView>,
}

impl Redrive {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let done = self.redrive(&door, screen).await;
        let at_rest = !door.is_host();
        door.close().await;
        let Some(done) = done? else {
            return Ok(());
        };
        if screen.json {
            return screen.json(&done);
        }
        screen.result(&self.told(&done, at_rest))
    }

    fn told(&self, done: &Done, at_rest: bool) -> String {
        let letters = text::count(done.count, "dead letter");
        let to = self.destination();
        match done.redrive {
            _ if done.dry_run => format!("{letters} would go back to {to}"),
            None => format!("{letters} went back to {to}"),
            Some(number) => {
                let host = if at_rest {
                    " as soon as a host runs"
                } else {
                    ""
                };
                format!(
                    "redrive {number} takes {letters} back to {to}{host}: `gristmill dead redrives` shows how far it is, `gristmill dead cancel {number}` ends it"
                )
            }
        }
    }

    fn destination(&self) -> String {
        match (&self.to, self.to_source) {
            (Some(queue), _) => queue.to_string(),
            (None, true) => "where they died".to_owned(),
            (None, false) => self.chosen.queue.to_string(),
        }
    }

    fn order(&self) -> RedriveOrder {
        let mut filter: DeadFilter = self.chosen.filter();
        filter.ids.extend(&self.messages);
        let to = match (&self.to, self.to_source) {
            (Some(queue), _) => Destination::Queue(queue.clone()),
            (None, true) => Destination::Source,
            (None, false) => Destination::Home,
        };
        RedriveOrder {
            filter,
            to,
            rate: self.rate,
        }
    }

    async fn redrive(&self, door: &Door, screen: Screen) -> Result<Option<Done>, Failure> {
        let (queue, order) = (&self.chosen.queue, self.order());
        if self.edit || self.body.is_some() {
            let [id] = order.filter.ids[..] else {
                return Err(Failure::usage(
                    "another body is for one message: name its id".to_owned(),
                ));
            };
            let from = self.body.as_deref();
            edit::redrive(door, queue, id, from, self.dry_run, self.yes, screen).await?;
            return Ok(None);
        }
        let groups = door.dead_groups(queue, &order.filter, self.to_source);
        let groups = groups.await?;
        let count = groups.iter().map(|group| group.count).sum();
        let planned = Done {
            count,
            dry_run: self.dry_run,
            redrive: None,
            groups,
        };
        if count > 0 {
            list::show_first(&planned.groups, screen);
        }
        if self.dry_run || count == 0 {
            return Ok(Some(planned));
        }
        let letters = text::count(count, "dead letter");
        let question = format!("Take {letters} back to {}?", self.destination());
        confirm::ask(&question, self.yes)?;
        let RedriveOut {
            count: taken,
            redrive,
        } = door.redrive(queue, &order).await?;
        let count = if redrive.is_some() { count } else { taken };
        Ok(Some(Done {
            count,
            redrive,
            ..planned
        }))
    }
}
