//! `gristmill topics`

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen, Tone};
use super::{Global, text};
use crate::api::{Items, TopicView};

#[derive(clap::Args, Debug)]
pub struct Topics {}

impl Topics {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let items = door.topics().await;
        let host = door.is_host();
        door.close().await;
        let items = items?;
        if screen.json {
            return screen.json(&Items { items });
        }
        if items.is_empty() {
            screen.talk("no topics: declare one with [topic.NAME] in the configuration");
            return Ok(());
        }
        screen.result(&table(&items, screen))?;
        if !host {
            screen.talk("no host runs: nothing is counted");
        }
        Ok(())
    }
}

/// A line for each topic, and one for each of its subscriptions.
fn table(topics: &[TopicView], screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Words("topic"),
        Column::Words("queue"),
        Column::Words("gets"),
        Column::Number("copies"),
    ]);
    let plain = |text: String| (text, Tone::Plain);
    for topic in topics {
        for one in &topic.subscriptions {
            rows.add_toned([
                plain(text::line(&topic.name)),
                plain(text::line(&one.queue)),
                plain(text::preview(&one.filter, 100)),
                plain(one.copies.to_string()),
            ]);
        }
        let (what, count) = match topic.on_unmatched.as_str() {
            "refuse" => ("refused: no subscription matched", topic.refused),
            _ => ("nowhere: no subscription matched", topic.unmatched),
        };
        let tone = if count > 0 { Tone::Bad } else { Tone::Plain };
        rows.add_toned([
            plain(text::line(&topic.name)),
            plain("-".to_owned()),
            (what.to_owned(), tone),
            (count.to_string(), tone),
        ]);
    }
    rows.text()
}
