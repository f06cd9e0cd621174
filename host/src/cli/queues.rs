//! `gristmill queues`

use std::io::Write as _;
use std::time::Duration;

use gristmill_queue::QueueName;
use gristmill_store::AdminError;

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen, Tone};
use super::{Global, text};
use crate::api::{Items, Problem, QueueView};

/// How often `--watch` looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

#[derive(clap::Args, Debug)]
pub struct Queues {
    /// Only these queues
    #[arg(value_name = "QUEUE", value_parser = super::queue_name)]
    only: Vec<QueueName>,
    /// Show them again every second
    #[arg(long, short)]
    watch: bool,
}

impl Queues {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        if !self.watch {
            return show(&self.only, global, screen, false).await;
        }
        loop {
            show(&self.only, global, screen, true).await?;
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }
}

/// Each look opens its own door, so that watching does not keep a host from starting.
async fn show(
    only: &[QueueName],
    global: &Global,
    screen: Screen,
    watch: bool,
) -> Result<(), Failure> {
    let door = Door::open(global).await?;
    let queues = door.queues().await;
    let host = door.is_host();
    door.close().await;
    let items = choose(queues?, only)?;
    if watch && screen.terminal {
        // To the upper left corner, and clear what is below.
        print!("\x1b[H\x1b[J");
        std::io::stdout().flush()?;
    }
    if screen.json {
        return screen.json(&Items { items });
    }
    if items.is_empty() {
        screen.talk("no queues: declare one with [queue.NAME] in the configuration");
        return Ok(());
    }
    screen.result(&table(&items, screen))?;
    if !host {
        screen.talk("no host runs: this is what the store holds");
    }
    Ok(())
}

/// Those that are asked for, in the order of their names.
///
/// # Errors
/// If there is no queue of one of the names.
fn choose(mut all: Vec<QueueView>, only: &[QueueName]) -> Result<Vec<QueueView>, Problem> {
    let is_asked = |queue: &QueueView| only.iter().any(|name| name.as_str() == queue.name);
    if let Some(missing) = only
        .iter()
        .find(|name| !all.iter().any(|queue| queue.name == name.as_str()))
    {
        return Err(AdminError::UnknownQueue(missing.clone()).into());
    }
    if !only.is_empty() {
        all.retain(is_asked);
    }
    Ok(all)
}

fn table(queues: &[QueueView], screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Words("queue"),
        Column::Number("ready"),
        Column::Number("scheduled"),
        Column::Number("in flight"),
        Column::Number("dead"),
        Column::Number("sent/s"),
        Column::Number("acked/s"),
        Column::Words("handler"),
        Column::Words("waits for"),
    ]);
    for queue in queues {
        let plain = |text: String| (text, Tone::Plain);
        let dead = if queue.dead > 0 {
            Tone::Bad
        } else {
            Tone::Plain
        };
        rows.add_toned([
            plain(queue.name.clone()),
            plain(queue.ready.to_string()),
            plain(queue.scheduled.to_string()),
            plain(queue.in_flight.to_string()),
            (queue.dead.to_string(), dead),
            plain(text::rate(queue.sent_per_second)),
            plain(text::rate(queue.acked_per_second)),
            plain(text::line(queue.handler.as_deref().unwrap_or("-"))),
            (waits_for(queue), Tone::Attention),
        ]);
    }
    rows.text()
}

/// What keeps a queue, or some of its groups, from delivering, in words.
fn waits_for(queue: &QueueView) -> String {
    let halted = match queue.halted_groups {
        0 => None,
        1 => Some("1 group is halted".to_owned()),
        count => Some(format!("{count} groups are halted")),
    };
    let gate = Some(gate(queue)).filter(|gate| !gate.is_empty());
    let all: Vec<String> = gate.into_iter().chain(halted).collect();
    all.join("; ")
}

fn gate(queue: &QueueView) -> String {
    let detail = queue
        .gate_detail
        .as_deref()
        .map(|detail| text::preview(detail, 100));
    match (queue.gate.as_deref(), detail) {
        (None, _) => String::new(),
        (Some("paused"), _) => "paused".to_owned(),
        (Some("no-handler"), Some(detail)) => format!("no handler: {detail}"),
        (Some("no-handler"), None) => "no handler".to_owned(),
        (Some("suspects"), _) => {
            "messages that may have killed the host run first, alone".to_owned()
        }
        (Some("concurrency"), _) => "a free slot".to_owned(),
        (Some("keys"), _) => "its keys, which are at their limits".to_owned(),
        (Some("rate"), _) => "its rate".to_owned(),
        (Some(other), _) => text::line(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(gate: Option<&str>, detail: Option<&str>) -> QueueView {
        QueueView {
            name: "orders".into(),
            declared: true,
            ready: 12,
            scheduled: 0,
            in_flight: 3,
            pulled: 0,
            dead: 1,
            bytes: 0,
            halted_groups: 0,
            sent_per_second: 0.5,
            acked_per_second: 120.0,
            totals: crate::api::queue::TotalsView::default(),
            gate: gate.map(str::to_owned),
            gate_opens_at_ms: None,
            gate_detail: detail.map(str::to_owned),
            handler: Some("orders.wasm".into()),
        }
    }

    #[test]
    fn only_the_queues_that_are_asked_for_are_shown_and_a_wrong_name_is_told() {
        let named = |name: &str| QueueView {
            name: name.into(),
            ..queue(None, None)
        };
        let all = || vec![named("a"), named("b"), named("c")];
        let asked = |names: &[&str]| {
            let names: Vec<_> = names
                .iter()
                .map(|name| QueueName::new(name).unwrap())
                .collect();
            let chosen = choose(all(), &names)?;
            Ok(chosen.into_iter().map(|queue| queue.name).collect())
        };
        let shown = |names: &[&str]| -> Vec<String> { asked(names).unwrap() };
        assert_eq!(shown(&[]), ["a", "b", "c"]);
        assert_eq!(shown(&["c", "a"]), ["a", "c"]);
        let problem: Problem = asked(&["a", "d"]).unwrap_err();
        assert!(problem.detail.starts_with("there is no queue d"));
    }

    #[test]
    fn a_queue_says_what_it_waits_for() {
        let missing = queue(Some("no-handler"), Some("orders.wasm is missing"));
        assert_eq!(waits_for(&missing), "no handler: orders.wasm is missing");
        assert_eq!(waits_for(&queue(Some("paused"), None)), "paused");
        assert_eq!(waits_for(&queue(None, None)), "");
        for (gate, halted_groups, expected) in [
            (None, 1, "1 group is halted"),
            (Some("paused"), 2, "paused; 2 groups are halted"),
        ] {
            let halted = QueueView {
                halted_groups,
                ..queue(gate, None)
            };
            assert_eq!(waits_for(&halted), expected);
        }
        assert_eq!(waits_for(&queue(Some("rate"), None)), "its rate");
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let shown = table(&[queue(None, None), missing], screen);
        assert_eq!(
            shown,
            "queue   ready  scheduled  in flight  dead  sent/s  acked/s  handler      waits for\n\
             orders     12          0          3     1     0.5      120  orders.wasm\n\
             orders     12          0          3     1     0.5      120  orders.wasm  no handler: orders.wasm is missing"
        );
    }
}
