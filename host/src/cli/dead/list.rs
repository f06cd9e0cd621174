//! `gristmill dead list`

use super::Chosen;
use crate::api::{DeadGroupView, DeadItem, Items, MAX_PAGE};
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::print::{Column, Rows, Screen};
use crate::cli::{Global, text};

/// Characters of an error in a table.
const MAX_ERROR: usize = 80;

#[derive(clap::Args, Debug)]
pub struct List {
    #[command(flatten)]
    chosen: Chosen,
    /// One line for each dead letter, as is shown whenever some are chosen
    #[arg(long, short)]
    all: bool,
    /// One line for each group of the chosen ones
    #[arg(long, short, conflicts_with = "all")]
    groups: bool,
}

impl List {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let shown = self.show(&door, screen).await;
        door.close().await;
        shown
    }

    async fn show(&self, door: &Door, screen: Screen) -> Result<(), Failure> {
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
        let queue = &self.chosen.queue;
        let (text, none) = if self.all || (!self.chosen.is_all() && !self.groups) {
            let items = self.items(door).await?;
            if screen.json {
                return screen.json(&Items { items });
            }
            (letters(&items, screen, now), items.is_empty())
        } else {
            let items = door
                .dead_groups(queue, &self.chosen.filter(), false)
                .await?;
            if screen.json {
                return screen.json(&Items { items });
            }
            (groups(&items, screen, now), items.is_empty())
        };
        if none {
            screen.talk(&format!("no such dead letters in {queue}"));
            return Ok(());
        }
        screen.result(&text)
    }

    async fn items(&self, door: &Door) -> Result<Vec<DeadItem>, Failure> {
        let filter = self.chosen.filter();
        let (mut items, mut cursor) = (Vec::new(), None);
        loop {
            let page = door
                .dead(&self.chosen.queue, &filter, cursor, MAX_PAGE)
                .await?;
            items.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(items),
            }
        }
    }
}

fn groups(groups: &[DeadGroupView], screen: Screen, now_ms: u64) -> String {
    let mut rows = screen.table(&[
        Column::Number("count"),
        Column::Words("reason"),
        Column::Words("fingerprint"),
        Column::Words("first"),
        Column::Words("latest"),
        Column::Words("modules"),
        Column::Words("id of the latest"),
        Column::Words("error"),
    ]);
    for group in groups {
        rows.add([
            group.count.to_string(),
            text::line(&group.reason),
            text::line(&group.fingerprint),
            text::relative(group.first_died_at_ms, now_ms),
            text::relative(group.latest.died_at_ms, now_ms),
            versions(group),
            id(&group.latest),
            text::preview(&group.latest.error, MAX_ERROR),
        ]);
    }
    rows.text()
}

/// The modules in which they died, short, and how many in each if there are several.
fn versions(group: &DeadGroupView) -> String {
    let short = |module: &str| text::line(&module.chars().take(8).collect::<String>());
    match &group.versions[..] {
        [] => "-".to_owned(),
        [only] => short(&only.module),
        several => {
            let each = several
                .iter()
                .map(|one| format!("{} ({})", short(&one.module), one.count));
            each.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Shows what is about to be changed, as far as somebody looks.
pub fn show_first(items: &[DeadGroupView], screen: Screen) {
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    if !screen.json {
        screen.talk(&groups(items, screen, now));
    }
}

fn letters(items: &[DeadItem], screen: Screen, now_ms: u64) -> String {
    let mut rows: Rows = screen.table(&[
        Column::Words("id"),
        Column::Words("died"),
        Column::Words("reason"),
        Column::Number("attempts"),
        Column::Words("fingerprint"),
        Column::Words("error"),
    ]);
    for item in items {
        rows.add([
            id(item),
            text::relative(item.died_at_ms, now_ms),
            text::line(&item.reason),
            item.attempts.to_string(),
            text::line(&item.fingerprint),
            text::preview(&item.error, MAX_ERROR),
        ]);
    }
    rows.text()
}

fn id(item: &DeadItem) -> String {
    text::line(item.id.as_deref().unwrap_or("(damaged)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_handlers_cannot_act_on_the_terminal() {
        let item = DeadItem {
            id: Some("i".into()),
            died_at_ms: 1_000,
            forget_at_ms: None,
            reason: "retry".into(),
            fingerprint: "f".into(),
            attempts: 3,
            error: "\u{1b}[2Jboom\nsecond line".into(),
            module: String::new(),
        };
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let group = DeadGroupView {
            fingerprint: "f".into(),
            reason: "retry".into(),
            count: 7,
            first_died_at_ms: 1_000,
            versions: Vec::new(),
            latest: item.clone(),
        };
        let damaged = DeadItem {
            id: None,
            ..item.clone()
        };
        for shown in [
            groups(&[group], screen, 61_000),
            letters(&[item, damaged], screen, 61_000),
        ] {
            assert!(shown.contains("1 min ago"), "{shown}");
            assert!(
                shown.contains("\\u{1b}[2Jboom\\nsecond line") && !shown.contains('\u{1b}'),
                "{shown}"
            );
        }
    }
}
