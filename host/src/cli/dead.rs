//! `gristmill dead`

mod edit;
mod list;
mod purge;
mod redrive;
mod redrives;
mod show;

use gristmill_queue::{MessageId, QueueName, Reason, Timestamp};
use gristmill_store::DeadFilter;

use super::Global;
use super::exit::Failure;
use super::print::Screen;
use crate::api::dead::{parse_fingerprint, parse_module, parse_reason};
use crate::config::value;

#[derive(clap::Subcommand, Debug)]
pub enum Dead {
    /// Show what the dead letters of a queue died of, or each of them
    List(list::List),
    /// Show one dead letter in full
    Show(show::Show),
    /// Take dead letters back into their queue, in original order, with fresh attempts
    Redrive(redrive::Redrive),
    /// Show the redrives that go on by themselves, because they have a rate
    Redrives(redrives::Redrives),
    /// End such a redrive where it is
    Cancel(redrives::Cancel),
    /// Remove dead letters for good
    Purge(purge::Purge),
}

impl Dead {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        match self {
            Dead::List(verb) => verb.run(global, screen).await,
            Dead::Show(verb) => verb.run(global, screen).await,
            Dead::Redrive(verb) => verb.run(global, screen).await,
            Dead::Redrives(verb) => verb.run(global, screen).await,
            Dead::Cancel(verb) => verb.run(global, screen).await,
            Dead::Purge(verb) => verb.run(global, screen).await,
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
    /// Only those that died in this version of the handler: how the SHA-256 of its module begins
    #[arg(long, value_name = "SHA256", value_parser = module)]
    module: Option<String>,
    /// Only those that died then or later: a point in time such as 2026-12-24T18:00:00Z, or 2h for
    /// the last two hours
    #[arg(long, value_name = "TIME", value_parser = past)]
    since: Option<Timestamp>,
    /// Only those that died before
    #[arg(long, value_name = "TIME", value_parser = past)]
    until: Option<Timestamp>,
    /// Only those with this attribute; may be given several times
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = super::send::attribute)]
    attributes: Vec<(String, String)>,
    /// Only those of this type
    #[arg(long = "type", value_name = "TYPE")]
    message_type: Option<String>,
    /// Only those from this source
    #[arg(long)]
    source: Option<String>,
}

impl Chosen {
    fn filter(&self) -> DeadFilter {
        DeadFilter {
            ids: self.ids.clone(),
            reason: self.reason,
            fingerprint: self.fingerprint,
            handler: self.module.clone(),
            since: self.since,
            until: self.until,
            attributes: self.attributes.clone(),
            message_type: self.message_type.clone(),
            source: self.source.clone(),
        }
    }

    fn is_all(&self) -> bool {
        self.filter() == DeadFilter::default()
    }
}

fn reason(code: &str) -> Result<Reason, String> {
    parse_reason(code).map_err(|problem| problem.detail)
}

fn module(text: &str) -> Result<String, String> {
    parse_module(text).map_err(|problem| problem.detail)
}

/// A point in time, or how long ago it was.
fn past(text: &str) -> Result<Timestamp, String> {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    match value::duration(text) {
        Some(ago) => {
            let ago = u64::try_from(ago.as_millis()).unwrap_or(u64::MAX);
            Ok(Timestamp::from_unix_ms(now.saturating_sub(ago)))
        }
        None => super::point_in_time(text),
    }
}

fn fingerprint(text: &str) -> Result<u64, String> {
    parse_fingerprint(text).map_err(|problem| problem.detail)
}
