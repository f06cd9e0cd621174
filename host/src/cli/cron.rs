//! `gristmill cron`

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen, Tone};
use super::{Global, text};
use crate::api::{CronView, Items};

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Cron {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show all entries: their last and their next tick, and what went wrong. The same as no verb
    List,
    /// Send the message of an entry now; its ticks go on as they are
    Run(Run),
}

#[derive(clap::Args, Debug)]
struct Run {
    /// The entry
    #[arg(value_parser = entry)]
    name: String,
}

impl Cron {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        match self.verb {
            None | Some(Verb::List) => list(global, screen).await,
            Some(Verb::Run(verb)) => verb.run(global, screen).await,
        }
    }
}

impl Run {
    async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let sent = door.run_cron(&self.name).await;
        door.close().await;
        let sent = sent?;
        if screen.json {
            return screen.json(&sent);
        }
        screen.result(&sent.id)
    }
}

async fn list(global: &Global, screen: Screen) -> Result<(), Failure> {
    let door = Door::open(global).await?;
    let items = door.cron().await;
    let host = door.is_host();
    door.close().await;
    let items = items?;
    if screen.json {
        return screen.json(&Items { items });
    }
    if items.is_empty() {
        screen.talk("no cron entries: declare one with [cron.NAME] in the configuration");
        return Ok(());
    }
    screen.result(&table(&items, screen))?;
    if !host {
        screen.talk("no host runs: nothing ticks");
    }
    Ok(())
}

fn table(entries: &[CronView], screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Words("entry"),
        Column::Words("schedule"),
        Column::Words("zone"),
        Column::Words("queue"),
        Column::Words("last tick"),
        Column::Words("next tick"),
        Column::Words("problem"),
    ]);
    let time = |at: Option<u64>| at.map_or_else(|| "-".to_owned(), text::time);
    for entry in entries {
        let plain = |text: String| (text, Tone::Plain);
        let next = if entry.enabled {
            time(entry.next_tick_at_ms)
        } else {
            "not enabled".to_owned()
        };
        let problem = entry
            .error
            .as_deref()
            .map(|error| text::preview(error, 100));
        rows.add_toned([
            plain(text::line(&entry.name)),
            plain(text::line(&entry.schedule)),
            plain(text::line(&entry.zone)),
            plain(text::line(&entry.queue)),
            plain(time(entry.last_tick_at_ms)),
            plain(next),
            (problem.unwrap_or_default(), Tone::Bad),
        ]);
    }
    rows.text()
}

/// It stands in an address; which names there are, the host says.
fn entry(name: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !name.is_empty() && name.bytes().all(plain) {
        Ok(name.to_owned())
    } else {
        Err("names of entries have letters, digits, '-', '_' and '.'".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_shown_with_its_ticks_and_its_problem() {
        let entry = CronView {
            name: "nightly".into(),
            schedule: "0 3 * * *".into(),
            zone: "UTC".into(),
            queue: "reports".into(),
            enabled: true,
            missed: "last".into(),
            last_tick_at_ms: None,
            last_fired_at_ms: None,
            last_message: None,
            next_tick_at_ms: Some(1_763_640_000_000),
            error: Some("queue reports is full\u{1b}".into()),
        };
        let off = CronView {
            enabled: false,
            next_tick_at_ms: None,
            error: None,
            ..entry.clone()
        };
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let shown = table(&[entry, off], screen);
        for expected in [
            "nightly  0 3 * * *  UTC   reports  -",
            "queue reports is full\\u{1b}",
            "not enabled",
        ] {
            assert!(
                shown.contains(expected),
                "{expected:?} is missing in\n{shown}"
            );
        }
    }
}
