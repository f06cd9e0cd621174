//! Queues as they are shown.

use gristmill_queue::board::{self, Gate};
use gristmill_queue::{QueueName, Timestamp, limits};
use gristmill_store::AdminError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::handler::{HandlerStatus, HandlerView};
use super::{Api, MAX_PAGE, Problem};

/// A queue, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Whether the configuration declares it.
    pub declared: bool,
    /// Messages that are due.
    pub ready: u64,
    /// Messages that are due later.
    pub scheduled: u64,
    /// Messages that are leased.
    pub in_flight: u64,
    /// Those of them that pull consumers hold.
    #[serde(default)]
    pub pulled: u64,
    /// Dead letters.
    pub dead: u64,
    /// Bytes of the bodies of all that are not dead.
    pub bytes: u64,
    /// Groups that deliver nothing until they are resumed.
    pub halted_groups: u64,
    /// Messages accepted per second, over the last minute.
    pub sent_per_second: f64,
    /// Messages acknowledged per second, over the last minute.
    pub acked_per_second: f64,
    /// What happened since the host started.
    pub totals: TotalsView,
    /// The code of what keeps it from delivering: `paused`, `no-handler`, `suspects`, `keys`,
    /// `concurrency` or `rate`.
    pub gate: Option<String>,
    /// When that opens at the earliest, if time alone opens it: milliseconds since 1970.
    pub gate_opens_at_ms: Option<u64>,
    /// The same in words, where more is known.
    pub gate_detail: Option<String>,
    /// The file of its handler, if a host runs and the queue has one.
    pub handler: Option<String>,
}

/// Some of the queues, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueuePage {
    /// The queues.
    pub items: Vec<QueueView>,
    /// What to ask for to get the next ones; `None` if these were the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What happened in a queue since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TotalsView {
    /// Accepted.
    pub sent: u64,
    /// Acknowledged.
    pub acked: u64,
    /// Attempts that failed and counted.
    pub failed: u64,
    /// Attempts that ended uncounted.
    pub handed_back: u64,
    /// Died.
    pub died: u64,
    /// Expired, whether they died of it or were dropped.
    pub expired: u64,
    /// Removed by an operator.
    pub purged: u64,
    /// Cancelled by their id.
    #[serde(default)]
    pub cancelled: u64,
    /// Removed to make room for others.
    pub dropped: u64,
    /// Taken back from the dead.
    pub redriven: u64,
    /// Deaths of messages of a group that went on without them.
    pub groups_skipped: u64,
}

impl From<board::Totals> for TotalsView {
    fn from(totals: board::Totals) -> Self {
        let board::Totals {
            sent,
            acked,
            failed,
            handed_back,
            died,
            expired,
            purged,
            cancelled,
            dropped,
            redriven,
            groups_skipped,
        } = totals;
        TotalsView {
            sent,
            acked,
            failed,
            handed_back,
            died,
            expired,
            purged,
            cancelled,
            dropped,
            redriven,
            groups_skipped,
        }
    }
}

impl QueueView {
    /// A queue as it is shown; `handlers` are those of the host, if one runs.
    #[must_use]
    pub fn of(view: &board::QueueView, handlers: Option<&[HandlerView]>) -> Self {
        let name = view.name.to_string();
        let handler = handlers.and_then(|all| all.iter().find(|one| one.queues.contains(&name)));
        let gate_detail = match view.gate {
            Some(Gate::NoHandler) => Some(why_no_handler(view, handlers.is_some(), handler)),
            _ => None,
        };
        QueueView {
            declared: view.declared,
            ready: view.depths.ready,
            scheduled: view.depths.scheduled,
            in_flight: view.depths.in_flight,
            pulled: view.pulled,
            dead: view.depths.dead,
            bytes: view.depths.bytes,
            halted_groups: view.halted_groups,
            sent_per_second: view.sent_per_second,
            acked_per_second: view.acked_per_second,
            totals: view.totals.into(),
            gate: view.gate.map(|gate| gate.as_str().to_owned()),
            gate_opens_at_ms: view.gate_opens_at.map(Timestamp::unix_ms),
            gate_detail,
            handler: handler.map(|handler| handler.file.clone()),
            name,
        }
    }
}

impl Api {
    /// All queues.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn queues(&self) -> Result<Vec<QueueView>, Problem> {
        let handlers = self.handlers();
        let mut views = self.queues.list().await?;
        // The host's own queue is of interest only when something is in it.
        let depths = |view: &board::QueueView| view.depths != board::Depths::default();
        views.retain(|view| view.name.as_str() != limits::REPLIES || depths(view));
        views.sort_by(|a, b| a.name.cmp(&b.name));
        let show = |view| QueueView::of(view, handlers.as_deref());
        Ok(views.iter().map(show).collect())
    }

    /// A page of the queues that are `shown`; `cursor` is the [`QueuePage::next`] of the page before.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn queue_page(
        &self,
        cursor: Option<&str>,
        limit: usize,
        shown: impl Fn(&str) -> bool,
    ) -> Result<QueuePage, Problem> {
        let mut items = self.queues().await?;
        items.retain(|view| {
            shown(&view.name) && cursor.is_none_or(|after| view.name.as_str() > after)
        });
        let limit = limit.clamp(1, MAX_PAGE);
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().map(|view| view.name.clone());
        Ok(QueuePage {
            items,
            next: last.filter(|_| more),
        })
    }

    /// One queue.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn queue_view(&self, name: &QueueName) -> Result<QueueView, Problem> {
        let handlers = self.handlers();
        let views = self.queues.list().await?;
        let found = views.iter().find(|view| view.name == *name);
        let found = found.ok_or_else(|| AdminError::UnknownQueue(name.clone()))?;
        Ok(QueueView::of(found, handlers.as_deref()))
    }
}

fn why_no_handler(
    view: &board::QueueView,
    host_runs: bool,
    handler: Option<&HandlerView>,
) -> String {
    if !view.declared {
        return "the configuration does not declare the queue".to_owned();
    }
    match handler {
        _ if !host_runs => "no host runs".to_owned(),
        None => "the configuration names none, so it waits for consumers that receive".to_owned(),
        Some(handler) => match (&handler.problem, handler.status) {
            (Some(problem), _) => problem.clone(),
            (None, HandlerStatus::Missing) => format!("{} is missing", handler.file),
            (None, status) => format!("{} is {}", handler.file, status.as_str()),
        },
    }
}

#[cfg(test)]
mod tests {
    use gristmill_queue::QueueName;
    use gristmill_queue::board::{Depths, Totals};

    use super::*;

    fn queue(gate: Option<Gate>, declared: bool) -> board::QueueView {
        board::QueueView {
            name: QueueName::new("orders").unwrap(),
            declared,
            depths: Depths::default(),
            pulled: 0,
            halted_groups: 0,
            totals: Totals::default(),
            sent_per_second: 0.0,
            acked_per_second: 0.0,
            gate,
            gate_opens_at: None,
        }
    }

    #[test]
    fn a_queue_without_a_handler_says_why() {
        let missing = HandlerView {
            name: "orders".into(),
            file: "orders.wasm".into(),
            queues: vec!["orders".into()],
            status: HandlerStatus::Missing,
            problem: None,
            version: None,
            batches: None,
            loading_ms: None,
        };
        let refused = HandlerView {
            status: HandlerStatus::Refused,
            problem: Some("orders.wasm is not WebAssembly".into()),
            ..missing.clone()
        };
        let other = HandlerView {
            queues: vec!["else".into()],
            ..missing.clone()
        };
        let gate = Some(Gate::NoHandler);
        let table = [
            (queue(gate, true), None, Some("no host runs")),
            (
                queue(gate, true),
                Some(vec![missing]),
                Some("orders.wasm is missing"),
            ),
            (
                queue(gate, true),
                Some(vec![refused]),
                Some("orders.wasm is not WebAssembly"),
            ),
            (
                queue(gate, true),
                Some(vec![other]),
                Some("the configuration names none, so it waits for consumers that receive"),
            ),
            (
                queue(gate, false),
                Some(vec![]),
                Some("the configuration does not declare the queue"),
            ),
            (queue(Some(Gate::Paused), true), Some(vec![]), None),
        ];
        for (view, handlers, expected) in table {
            let shown = QueueView::of(&view, handlers.as_deref());
            assert_eq!(shown.gate_detail.as_deref(), expected);
        }
    }
}
