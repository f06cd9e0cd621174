//! `gristmill dead redrive` and `gristmill dead purge`

use serde::Serialize;

use super::Chosen;
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::print::Screen;
use crate::cli::{Global, confirm, text};

#[derive(clap::Args, Debug)]
pub struct Change {
    #[command(flatten)]
    chosen: Chosen,
    /// Only count them
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// What is done with them.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// They go back into their queue.
    Redrive,
    /// They are removed.
    Purge,
}

#[derive(Serialize)]
struct Done {
    count: u64,
    dry_run: bool,
}

impl Change {
    pub async fn run(self, what: What, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let done = self.change(what, &door).await;
        door.close().await;
        let done = done?;
        if screen.json {
            return screen.json(&done);
        }
        let letters = text::count(done.count, "dead letter");
        let queue = &self.chosen.queue;
        screen.result(&match (what, done.dry_run) {
            (What::Redrive, true) => format!("{letters} would go back to {queue}"),
            (What::Redrive, false) => format!("{letters} went back to {queue}"),
            (What::Purge, true) => format!("{letters} of {queue} would be removed"),
            (What::Purge, false) => format!("{letters} of {queue} removed"),
        })
    }

    async fn change(&self, what: What, door: &Door) -> Result<Done, Failure> {
        let (queue, filter) = (&self.chosen.queue, self.chosen.filter());
        let count = match what {
            What::Redrive => door.redrive(queue, &filter, true).await?,
            What::Purge => door.purge_dead(queue, &filter, true).await?,
        };
        if self.dry_run || count == 0 {
            let dry_run = self.dry_run;
            return Ok(Done { count, dry_run });
        }
        let letters = text::count(count, "dead letter");
        let question = match what {
            What::Redrive => format!("Take {letters} back to {queue}?"),
            What::Purge => format!("Remove {letters} of {queue} for good?"),
        };
        confirm::ask(&question, self.yes)?;
        let count = match what {
            What::Redrive => door.redrive(queue, &filter, false).await?,
            What::Purge => door.purge_dead(queue, &filter, false).await?,
        };
        Ok(Done {
            count,
            dry_run: false,
        })
    }
}
