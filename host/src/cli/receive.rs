//! `gristmill receive`

use std::fmt::Write as _;
use std::time::Duration;

use gristmill_queue::{QueueName, limits};

use super::door::Door;
use super::exit::Failure;
use super::print::Screen;
use super::settle;
use super::{Global, body, envelope, text};
use crate::api::{Items, LeaseView, ReceiveOrder, SettleOrder};
use crate::config::value::{self, Show as _};

#[derive(clap::Args, Debug)]
pub struct Receive {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// How many messages, at most 100
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::MAX_RECEIVE)))]
    max: u32,
    /// How long to wait for a message if there is none, at most 1m
    #[arg(long, value_name = "TIME", value_parser = wait)]
    wait: Option<Duration>,
    /// How long the messages are yours, at most 12h, instead of as long as the queue says
    #[arg(long, value_name = "TIME", value_parser = visibility)]
    visibility: Option<Duration>,
    /// Take several messages of one group, in order
    #[arg(long)]
    group_batch: bool,
    /// Acknowledge them when they have been printed
    #[arg(long)]
    ack: bool,
}

impl Receive {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let order = ReceiveOrder {
            max: Some(self.max),
            wait: self.wait.map(|wait| wait.show()),
            visibility: self.visibility.map(|visibility| visibility.show()),
            group_batch: self.group_batch,
        };
        let door = Door::open(global).await?;
        let done = self.take(order, &door, screen).await;
        door.close().await;
        done
    }

    async fn take(&self, order: ReceiveOrder, door: &Door, screen: Screen) -> Result<(), Failure> {
        let items = door.receive(&self.queue, order).await?;
        let receipts: Vec<String> = items.iter().map(|one| one.receipt.clone()).collect();
        if screen.json {
            screen.json(&Items { items })?;
        } else if items.is_empty() {
            screen.talk(&format!("nothing is there in {}", self.queue));
        } else {
            screen.result(&items.iter().map(whole).collect::<Vec<_>>().join("\n"))?;
        }
        if !self.ack || receipts.is_empty() {
            return Ok(());
        }
        let order = SettleOrder {
            ack: receipts,
            ..SettleOrder::default()
        };
        let settled = door.settle_pulled(&self.queue, order).await?;
        settle::failures(&settled)
    }
}

/// One fact on each line, and the body.
fn whole(one: &LeaseView) -> String {
    let rows = [
        ("id", text::line(&one.id)),
        ("receipt", text::line(&one.receipt)),
        ("attempt", one.attempt.to_string()),
        ("lease ends", text::time(one.lease_ends_at_ms)),
        ("sent", text::time(one.enqueued_at_ms)),
    ];
    let mut out = String::new();
    for (name, value) in rows.into_iter().chain(envelope::facts(&one.envelope)) {
        let _ = writeln!(out, "{name:<12} {value}");
    }
    let _ = writeln!(out, "\nbody, {}", text::size(one.size));
    match &one.body_url {
        Some(_) => {
            let _ = writeln!(
                out,
                "  large: `gristmill show {} --body` writes it",
                text::line(&one.id)
            );
        }
        None => {
            for line in body::shown(&one.body, false).lines() {
                let _ = writeln!(out, "  {line}");
            }
        }
    }
    out
}

fn wait(typed: &str) -> Result<Duration, String> {
    at_most(typed, limits::MAX_RECEIVE_WAIT)
}

/// How long a lease lasts.
pub(super) fn visibility(typed: &str) -> Result<Duration, String> {
    at_most(typed, limits::MAX_VISIBILITY)
}

fn at_most(typed: &str, most: Duration) -> Result<Duration, String> {
    let time = value::typed(typed)?;
    if time <= most {
        return Ok(time);
    }
    Err(format!("the longest is {}", most.show()))
}
