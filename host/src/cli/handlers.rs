//! `gristmill handlers`

use super::door::Door;
use super::exit::Failure;
use super::print::{Column, Screen, Tone};
use super::{Global, inspect, text};
use crate::api::{HandlerStatus, HandlerView, Items, VersionView};

/// Digits of a module's hash in a table.
const SHORT_HASH: usize = 12;

#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Handlers {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Show the handlers of the running host. The same as no verb
    List,
    /// Look into a module: what it is, what it asks for, what a call costs. Needs no host
    Inspect(Box<inspect::Inspect>),
}

impl Handlers {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        if let Some(Verb::Inspect(verb)) = self.verb {
            return verb.run(global, screen).await;
        }
        let items = Door::host(global).await?.handlers().await?;
        if screen.json {
            return screen.json(&Items { items });
        }
        if items.is_empty() {
            screen.talk(
                "no handlers: name one with handler = \"….wasm\" or \"….js\" in [queue.NAME]",
            );
            return Ok(());
        }
        screen.result(&table(&items, screen))
    }
}

/// Handlers as a table, and below it what does not fit into one.
pub fn table(handlers: &[HandlerView], screen: Screen) -> String {
    let mut rows = screen.table(&[
        Column::Words("handler"),
        Column::Words("status"),
        Column::Words("queues"),
        Column::Words("module"),
        Column::Words("form"),
        Column::Words("guarantee"),
        Column::Number("size"),
        Column::Words("compiled in"),
        Column::Words("batches"),
        Column::Words("instances"),
    ]);
    for handler in handlers {
        let of = |show: &dyn Fn(&VersionView) -> String| {
            handler
                .version
                .as_ref()
                .map_or_else(|| "-".to_owned(), show)
        };
        let plain = |text: String| (text, Tone::Plain);
        rows.add_toned([
            plain(text::line(&handler.name)),
            (handler.status.as_str().to_owned(), tone(handler)),
            plain(text::line(&handler.queues.join(", "))),
            plain(of(&|version| {
                text::line(&version.hash).chars().take(SHORT_HASH).collect()
            })),
            plain(of(&|version| text::line(&version.form))),
            plain(of(&|version| text::line(&version.guarantee))),
            plain(of(&|version| text::size(version.module_bytes))),
            plain(of(&|version| match version.compile_ms {
                Some(ms) => text::micros(ms.saturating_mul(1000)),
                None => "from cache".to_owned(),
            })),
            plain(batches(handler)),
            plain(of(&reuse)),
        ]);
    }
    let mut shown = rows.text();
    for handler in handlers {
        if let Some(ms) = handler.loading_ms {
            shown.push_str(&format!(
                "\n{}: compiling {}, {} s so far",
                text::line(&handler.name),
                text::line(&handler.file),
                ms / 1000
            ));
        }
        if let Some(problem) = &handler.problem {
            shown.push_str(&format!(
                "\n{}: {}",
                text::line(&handler.name),
                text::lines(problem)
            ));
        }
    }
    shown
}

fn tone(handler: &HandlerView) -> Tone {
    match (handler.status, &handler.problem) {
        (HandlerStatus::Serving, None) => Tone::Good,
        (HandlerStatus::Serving, Some(_)) | (HandlerStatus::Loading, _) => Tone::Attention,
        (HandlerStatus::Missing | HandlerStatus::Refused, _) => Tone::Bad,
    }
}

/// Whether it gets batches, and how large they were.
fn batches(handler: &HandlerView) -> String {
    match &handler.batches {
        None => "-".to_owned(),
        Some(batches) if batches.calls == 0 => "none yet".to_owned(),
        Some(batches) => {
            let tenths = batches.messages.saturating_mul(10) / batches.calls;
            format!("{}.{} on average", tenths / 10, tenths % 10)
        }
    }
}

/// How often an instance is used, and who said so.
pub fn reuse(version: &VersionView) -> String {
    let takes = text::micros(version.instantiation_us);
    if version.calls_per_instance <= 1 {
        format!("fresh for each message: instantiation takes {takes}")
    } else if version.reuse_chosen_by_host {
        format!(
            "reused up to {} calls, chosen by the host: instantiation takes {takes}",
            version.calls_per_instance
        )
    } else {
        format!(
            "reused up to {} calls, as configured: instantiation takes {takes}",
            version.calls_per_instance
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::BatchesView;

    fn version(calls: u32, chosen: bool) -> VersionView {
        VersionView {
            hash: "0123456789abcdef".into(),
            loaded_at_ms: 0,
            form: "queue".into(),
            module_bytes: 1536,
            compiled_bytes: 0,
            compile_ms: None,
            instantiation_us: 900,
            calls_per_instance: calls,
            reuse_chosen_by_host: chosen,
            guarantee: "atomic".into(),
            imports: vec![],
            warm_instances: 0,
        }
    }

    #[test]
    fn reuse_says_who_chose_it() {
        assert_eq!(
            reuse(&version(64, true)),
            "reused up to 64 calls, chosen by the host: instantiation takes 900 µs"
        );
        assert_eq!(
            reuse(&version(8, false)),
            "reused up to 8 calls, as configured: instantiation takes 900 µs"
        );
        assert_eq!(
            reuse(&version(1, false)),
            "fresh for each message: instantiation takes 900 µs"
        );
    }

    #[test]
    fn a_handler_that_is_missing_has_a_row_and_a_reason() {
        let missing = HandlerView {
            name: "orders".into(),
            file: "orders.wasm".into(),
            queues: vec!["orders".into(), "returns".into()],
            status: HandlerStatus::Missing,
            problem: Some("there is no handlers/orders.wasm".into()),
            version: None,
            batches: None,
            loading_ms: None,
        };
        let serving = HandlerView {
            status: HandlerStatus::Serving,
            problem: None,
            version: Some(version(1, false)),
            batches: Some(BatchesView {
                queues: vec!["orders".into()],
                calls: 4,
                messages: 50,
            }),
            loading_ms: Some(4321),
            ..missing.clone()
        };
        let screen = Screen {
            json: false,
            quiet: false,
            terminal: false,
            color: false,
        };
        let shown = table(&[missing, serving], screen);
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines[1].starts_with("orders   missing  orders, returns  -"),
            "{shown}"
        );
        assert!(
            lines[2]
                .contains("0123456789ab  queue  atomic     1.5 KiB  from cache   12.5 on average"),
            "{shown}"
        );
        assert_eq!(lines[3], "orders: there is no handlers/orders.wasm");
        assert_eq!(lines[4], "orders: compiling orders.wasm, 4 s so far");
    }
}
