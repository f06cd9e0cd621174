//! `gristmill ack`, `gristmill nack`, `gristmill extend` and `gristmill release`

use std::time::Duration;

use gristmill_queue::QueueName;

use super::door::Door;
use super::exit::{Exit, Failure, exit_of};
use super::print::Screen;
use super::{Global, receive, text};
use crate::api::pull::{ExtendOrder, RejectOrder, RetryOrder};
use crate::api::{Items, SettleOrder, SettledView};
use crate::config::value::{self, Show as _};

/// What is settled.
#[derive(clap::Args, Debug)]
struct Which {
    /// The queue that it was received from
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// The receipts, as `gristmill receive` printed them
    #[arg(required = true, value_name = "RECEIPT")]
    receipts: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub struct Ack {
    #[command(flatten)]
    which: Which,
}

#[derive(clap::Args, Debug)]
pub struct Nack {
    #[command(flatten)]
    which: Which,
    /// When to try again, instead of after the queue's back-off
    #[arg(long, value_name = "TIME", value_parser = value::typed, conflicts_with = "reject")]
    delay: Option<Duration>,
    /// It will never work: to the dead store with it
    #[arg(long)]
    reject: bool,
    /// Why, in words
    #[arg(long, value_name = "TEXT", default_value = "")]
    error: String,
}

#[derive(clap::Args, Debug)]
pub struct Extend {
    #[command(flatten)]
    which: Which,
    /// How long the messages are yours from now on, at most 12h from their receive on
    #[arg(long, value_name = "TIME", value_parser = receive::visibility)]
    visibility: Duration,
}

#[derive(clap::Args, Debug)]
pub struct Release {
    #[command(flatten)]
    which: Which,
}

impl Ack {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let order = SettleOrder {
            ack: self.which.receipts,
            ..SettleOrder::default()
        };
        settle(&self.which.queue, order, global, screen).await
    }
}

impl Nack {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let receipts = self.which.receipts.into_iter();
        let error = self.error;
        let order = if self.reject {
            let reject = |receipt| RejectOrder {
                receipt,
                error: error.clone(),
            };
            SettleOrder {
                reject: receipts.map(reject).collect(),
                ..SettleOrder::default()
            }
        } else {
            let retry = |receipt| RetryOrder {
                receipt,
                delay: self.delay.map(|delay| delay.show()),
                error: error.clone(),
            };
            SettleOrder {
                retry: receipts.map(retry).collect(),
                ..SettleOrder::default()
            }
        };
        settle(&self.which.queue, order, global, screen).await
    }
}

impl Extend {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let extend = |receipt| ExtendOrder {
            receipt,
            visibility: self.visibility.show(),
        };
        let order = SettleOrder {
            extend: self.which.receipts.into_iter().map(extend).collect(),
            ..SettleOrder::default()
        };
        settle(&self.which.queue, order, global, screen).await
    }
}

impl Release {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let order = SettleOrder {
            release: self.which.receipts,
            ..SettleOrder::default()
        };
        settle(&self.which.queue, order, global, screen).await
    }
}

async fn settle(
    queue: &QueueName,
    order: SettleOrder,
    global: &Global,
    screen: Screen,
) -> Result<(), Failure> {
    let door = Door::open(global).await?;
    let settled = door.settle_pulled(queue, order).await;
    door.close().await;
    let settled = settled?;
    let failed = failures(&settled);
    if screen.json {
        screen.json(&Items { items: settled })?;
        return failed;
    }
    for one in settled.iter().filter(|one| one.problem.is_none()) {
        let id = one.id.as_deref().unwrap_or(&one.receipt);
        let done = match one.verdict.as_str() {
            "ack" => "acknowledged",
            "retry" => "is tried again",
            "reject" => "rejected",
            "release" => "released",
            _ => "extended",
        };
        screen.result(&format!("{} {done}", text::line(id)))?;
    }
    failed
}

/// What is said of receipts that could not be settled.
pub(super) fn failures(settled: &[SettledView]) -> Result<(), Failure> {
    let problem = |one: &SettledView| {
        let problem = one.problem.clone()?;
        let name = one.id.as_deref().unwrap_or(&one.receipt);
        Some((
            problem.code,
            format!(
                "{}: {}",
                text::preview(name, 40),
                text::line(&problem.detail)
            ),
        ))
    };
    let problems: Vec<_> = settled.iter().filter_map(problem).collect();
    let exit = match problems.as_slice() {
        [] => return Ok(()),
        [(code, _)] if settled.len() == 1 => exit_of(*code),
        _ => Exit::Failed,
    };
    let details: Vec<String> = problems.into_iter().map(|(_, detail)| detail).collect();
    Err(Failure::new(exit, details.join("\n")))
}
