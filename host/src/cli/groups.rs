//! `gristmill groups`

use gristmill_queue::QueueName;

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen};
use super::{Global, text};
use crate::api::{HaltedGroupView, Items, MAX_PAGE};

#[derive(clap::Args, Debug)]
pub struct Groups {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
}

impl Groups {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let items = self.items(&door).await;
        door.close().await;
        let items = items?;
        if screen.json {
            return screen.json(&Items { items });
        }
        if items.is_empty() {
            screen.talk(&format!("no group of {} is halted", self.queue));
            return Ok(());
        }
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
        screen.result(&table(&items, screen, now))
    }

    async fn items(&self, door: &Door) -> Result<Vec<HaltedGroupView>, Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = door
                .halted_groups(&self.queue, cursor.as_deref(), MAX_PAGE)
                .await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }
}

fn table(groups: &[HaltedGroupView], screen: Screen, now_ms: u64) -> String {
    let mut rows = screen.table(&[
        Column::Words("group"),
        Column::Words("halted"),
        Column::Number("waiting"),
        Column::Words("reason"),
        Column::Words("message that died"),
    ]);
    let word = |word: &Option<String>| text::line(word.as_deref().unwrap_or("(damaged)"));
    for group in groups {
        let since = group
            .halted_at_ms
            .map(|since| text::relative(since, now_ms));
        rows.add([
            word(&group.group),
            word(&since),
            group.waiting.to_string(),
            word(&group.reason),
            word(&group.message),
        ]);
    }
    rows.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halted_group_says_since_when_and_why_and_cannot_act_on_the_terminal() {
        let group = HaltedGroupView {
            group: Some("customer\u{1b}[2J 7".into()),
            halted_at_ms: Some(1_000),
            message: Some("m".into()),
            reason: Some("rejected".into()),
            waiting: 12,
        };
        let damaged = HaltedGroupView {
            group: None,
            halted_at_ms: None,
            message: None,
            reason: None,
            waiting: 0,
        };
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let shown = table(&[group, damaged], screen, 61_000);
        assert_eq!(
            shown,
            "group                halted     waiting  reason     message that died\n\
             customer\\u{1b}[2J 7  1 min ago       12  rejected   m\n\
             (damaged)            (damaged)        0  (damaged)  (damaged)"
        );
    }
}
