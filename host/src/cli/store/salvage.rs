//! `gristmill store salvage`

use std::path::PathBuf;

use gristmill_queue::QueueName;
use gristmill_store::{Salvage as How, SalvageError, Salvaged, salvage_store};
use serde::Serialize;

use super::Bar;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::{Column, Screen, Tone};
use crate::cli::{Global, queue_name};

/// Rescues what can be read of a damaged store into a new data folder.
///
/// The damaged one stays as it is. Messages that only old pages have may have been handled before the
/// damage: they are rescued too, and come again, unless --certain-only is given.
#[derive(clap::Args, Debug)]
pub struct Salvage {
    /// The folder to make: a data folder for a host
    #[arg(value_name = "DEST")]
    to: PathBuf,
    /// Only what is certainly still to be handled
    #[arg(long)]
    certain_only: bool,
    /// The name of a queue that may be in the store and is not in the configuration; may be repeated
    #[arg(long, value_name = "QUEUE", value_parser = queue_name)]
    queue: Vec<QueueName>,
}

#[derive(Serialize)]
struct SalvagedJson {
    tables: Vec<TableJson>,
    large_bodies: u64,
    missing_messages: u64,
    missing_dead: u64,
    without_body: u64,
    paused: bool,
}

#[derive(Serialize)]
struct TableJson {
    name: &'static str,
    found: u64,
    rescued: u64,
    loose: u64,
    doubtful: u64,
    unreadable_parts: u64,
}

impl Salvage {
    pub fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let config = global.load();
        let folder = global.data_dir(&config);
        let mut names = self.queue;
        if let Ok(config) = &config {
            names.extend(config.queues.keys().cloned());
        }
        let how = How {
            names,
            certain_only: self.certain_only,
        };
        let bar = Bar::new(screen);
        let salvaged = salvage_store(&folder, &self.to, how, &mut |what, done, of| {
            bar.show(what, done, of);
        });
        drop(bar);
        let salvaged = salvaged.map_err(|error| match error {
            SalvageError::Open(error) => error.into(),
            other => Failure::new(Exit::Failed, other),
        })?;
        if screen.json {
            return screen.json(&json(&salvaged));
        }
        screen.result(&table(&salvaged, screen))?;
        for remark in remarks(&salvaged) {
            screen.talk(&remark);
        }
        Ok(())
    }
}

fn json(salvaged: &Salvaged) -> SalvagedJson {
    let tables = salvaged.tables.iter().map(|table| TableJson {
        name: table.name,
        found: table.found,
        rescued: table.rescued,
        loose: table.loose,
        doubtful: table.doubtful,
        unreadable_parts: table.unreadable,
    });
    SalvagedJson {
        tables: tables.collect(),
        large_bodies: salvaged.bodies.count,
        missing_messages: salvaged.missing,
        missing_dead: salvaged.missing_dead,
        without_body: salvaged.without_body,
        paused: salvaged.paused,
    }
}

/// What is shown of the tables: meta, queues and ends of dedup ids are made anew.
fn table(salvaged: &Salvaged, screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Words("table"),
        Column::Number("found"),
        Column::Number("rescued"),
        Column::Number("from old pages"),
        Column::Number("doubtful"),
        Column::Number("unreadable parts"),
    ]);
    let made_anew = [
        "meta",
        "queue",
        "index",
        "dead_index",
        "blob",
        "dedup_expiry",
    ];
    for table in &salvaged.tables {
        if made_anew.contains(&table.name) && table.unreadable == 0 {
            continue;
        }
        let tone = |number: u64, tone| if number > 0 { tone } else { Tone::Plain };
        let plain = |number: u64| (number.to_string(), Tone::Plain);
        rows.add_toned([
            (table.name.to_owned(), Tone::Plain),
            plain(table.found),
            plain(table.rescued),
            plain(table.loose),
            (
                table.doubtful.to_string(),
                tone(table.doubtful, Tone::Attention),
            ),
            (
                table.unreadable.to_string(),
                tone(table.unreadable, Tone::Bad),
            ),
        ]);
    }
    rows.text()
}

fn remarks(salvaged: &Salvaged) -> Vec<String> {
    let mut remarks = Vec::new();
    if salvaged.missing > 0 || salvaged.missing_dead > 0 {
        remarks.push(format!(
            "lost: {} messages and {} dead letters are named by their index and were found nowhere",
            salvaged.missing, salvaged.missing_dead
        ));
    }
    if salvaged.without_body > 0 {
        remarks.push(format!(
            "the large bodies of {} messages are damaged or missing",
            salvaged.without_body
        ));
    }
    if salvaged.tables.iter().any(|table| table.doubtful > 0) {
        remarks.push("what is doubtful may have been handled before the damage, and comes again; --certain-only leaves it out".to_owned());
    }
    if salvaged.paused {
        remarks.push("all queues are paused, because which groups were halted is not known: look at their dead letters, then `gristmill resume` them".to_owned());
    }
    remarks
}
