//! `gristmill dead redrives` and `gristmill dead cancel`

use crate::api::{Count, Items, RedriveView};
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::print::{Column, Screen};
use crate::cli::{Global, text};

#[derive(clap::Args, Debug)]
pub struct Redrives {}

#[derive(clap::Args, Debug)]
pub struct Cancel {
    /// The number of the redrive
    number: u64,
}

impl Redrives {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let items = door.redrives().await;
        door.close().await;
        let items = items?;
        if screen.json {
            return screen.json(&Items { items });
        }
        if items.is_empty() {
            screen.talk("no redrive is under way");
            return Ok(());
        }
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
        screen.result(&table(&items, screen, now))
    }
}

fn table(items: &[RedriveView], screen: Screen, now_ms: u64) -> String {
    let mut rows = screen.table(&[
        Column::Number("redrive"),
        Column::Words("from"),
        Column::Words("to"),
        Column::Words("rate"),
        Column::Words("started"),
        Column::Number("done"),
        Column::Words("filter"),
    ]);
    for one in items {
        let to = match (&one.to, one.to_source) {
            (Some(queue), _) => text::line(queue),
            (None, true) => "where they died".to_owned(),
            (None, false) => text::line(&one.queue),
        };
        let filter = serde_json::to_string(&one.filter).unwrap_or_default();
        rows.add([
            one.redrive.to_string(),
            text::line(&one.queue),
            to,
            one.rate.as_deref().map_or("-".to_owned(), text::line),
            text::relative(one.started_at_ms, now_ms),
            one.done.to_string(),
            if filter == "{}" {
                "all".to_owned()
            } else {
                text::preview(&filter, 80)
            },
        ]);
    }
    rows.text()
}

impl Cancel {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let taken = door.cancel_redrive(self.number).await;
        door.close().await;
        let count = taken?;
        if screen.json {
            return screen.json(&Count { count });
        }
        let letters = text::count(count, "dead letter");
        screen.result(&format!(
            "redrive {} has ended: it took {letters}, the rest stays dead",
            self.number
        ))
    }
}
