//! `gristmill dead purge`

use serde::Serialize;

use super::{Chosen, list};
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::print::Screen;
use crate::cli::{Global, confirm, text};

#[derive(clap::Args, Debug)]
pub struct Purge {
    #[command(flatten)]
    chosen: Chosen,
    /// Only count them
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

#[derive(Serialize)]
struct Done {
    count: u64,
    dry_run: bool,
}

impl Purge {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let done = self.purge(&door, screen).await;
        door.close().await;
        let done = done?;
        if screen.json {
            return screen.json(&done);
        }
        let letters = text::count(done.count, "dead letter");
        let queue = &self.chosen.queue;
        screen.result(&match done.dry_run {
            true => format!("{letters} of {queue} would be removed"),
            false => format!("{letters} of {queue} removed"),
        })
    }

    async fn purge(&self, door: &Door, screen: Screen) -> Result<Done, Failure> {
        let (queue, filter) = (&self.chosen.queue, self.chosen.filter());
        let groups = door.dead_groups(queue, &filter, false).await?;
        let count = groups.iter().map(|group| group.count).sum();
        let dry_run = self.dry_run;
        if count > 0 {
            list::show_first(&groups, screen);
        }
        if dry_run || count == 0 {
            return Ok(Done { count, dry_run });
        }
        let letters = text::count(count, "dead letter");
        confirm::ask(&format!("Remove {letters} of {queue} for good?"), self.yes)?;
        let count = door.purge_dead(queue, &filter).await?;
        Ok(Done { count, dry_run })
    }
}
