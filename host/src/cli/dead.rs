//! `gristmill dead`

mod change;
mod list;
mod show;

use gristmill_queue::{MessageId, QueueName, Reason};
use gristmill_store::DeadFilter;

use super::Global;
use super::exit::Failure;
use super::print::Screen;
use crate::api::dead::{parse_fingerprint, parse_reason};

#[derive(clap::Subcommand, Debug)]
pub enum Dead {
    /// Show what the dead letters of a queue died of, or each of them
    List(list::List),
    /// Show one dead letter in full
    Show(show::Show),
    /// Take dead letters back into their queue, in original order, with fresh attempts
    Redrive(change::Change),
    /// Remove dead letters for good
    Purge(change::Change),
}

impl Dead {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        match self {
            Dead::List(verb) => verb.run(global, screen).await,
            Dead::Show(verb) => verb.run(global, screen).await,
            Dead::Redrive(verb) => verb.run(change::What::Redrive, global, screen).await,
            Dead::Purge(verb) => verb.run(change::What::Purge, global, screen).await,
        }
    }
}

/// Which dead letters of which queue.
#[derive(clap::Args, Debug)]
struct Chosen {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// Only those that died of this, such as trap, deadline or rejected
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only those that died alike: the fingerprint from the list
    #[arg(long, value_parser = fingerprint)]
    fingerprint: Option<u64>,
    /// Only this message; may be given several times
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<MessageId>,
}

impl Chosen {
    fn filter(&self) -> DeadFilter {
        DeadFilter {
            ids: self.ids.clone(),
            reason: self.reason,
            fingerprint: self.fingerprint,
        }
    }

    fn is_all(&self) -> bool {
        self.filter() == DeadFilter::default()
    }
}

fn reason(code: &str) -> Result<Reason, String> {
    parse_reason(code).map_err(|problem| problem.detail)
}

fn fingerprint(text: &str) -> Result<u64, String> {
    parse_fingerprint(text).map_err(|problem| problem.detail)
}
