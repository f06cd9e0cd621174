//! `gristmill resume`

use clap::ArgGroup;
use gristmill_queue::QueueName;

use super::door::Door;
use super::exit::Failure;
use super::pause::set_paused;
use super::print::Screen;
use super::{Global, text};
use crate::api::{Count, ResumeOrder};

#[derive(clap::Args, Debug)]
#[command(group = ArgGroup::new("groups"))]
pub struct Resume {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// Only this group, which was halted by the death of one of its messages
    #[arg(long, group = "groups")]
    group: Option<String>,
    /// All groups of the queue that are halted
    #[arg(long, group = "groups")]
    all_groups: bool,
}

impl Resume {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        if self.group.is_none() && !self.all_groups {
            return set_paused(&self.queue, false, global, screen).await;
        }
        let order = ResumeOrder {
            group: self.group.clone(),
            all: self.all_groups,
        };
        let door = Door::open(global).await?;
        let resumed = door.resume_groups(&self.queue, order).await;
        door.close().await;
        let count = resumed?;
        if screen.json {
            return screen.json(&Count { count });
        }
        screen.talk(&self.done(count));
        Ok(())
    }

    fn done(&self, count: u64) -> String {
        let queue = &self.queue;
        match &self.group {
            Some(group) if count == 0 => format!(
                "group {} of {queue} is not halted: see `gristmill groups {queue}`",
                text::line(group)
            ),
            Some(group) => format!("group {} of {queue} delivers again", text::line(group)),
            None if count == 0 => format!("no group of {queue} is halted"),
            None => format!("resumed: {} of {queue}", text::count(count, "group")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_goes_on() {
        let resume = |group: Option<&str>| Resume {
            queue: QueueName::new("orders").unwrap(),
            group: group.map(str::to_owned),
            all_groups: group.is_none(),
        };
        for (order, count, expected) in [
            (resume(Some("7")), 1, "group 7 of orders delivers again"),
            (
                resume(Some("7")),
                0,
                "group 7 of orders is not halted: see `gristmill groups orders`",
            ),
            (resume(None), 2, "resumed: 2 groups of orders"),
            (resume(None), 0, "no group of orders is halted"),
        ] {
            assert_eq!(order.done(count), expected);
        }
    }
}
