//! A queue as the host's API shows it.

use serde_json::Value;

/// A queue as the host counts it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Due and not leased.
    pub ready: u64,
    /// Due later.
    pub scheduled: u64,
    /// Leased.
    pub in_flight: u64,
    /// In the dead store.
    pub dead: u64,
    /// Accepted since the start of the host.
    pub sent: u64,
    /// Acknowledged since then.
    pub acked: u64,
    /// Attempts that failed and counted, since then.
    pub failed: u64,
    /// Leases given back uncounted, since then.
    pub handed_back: u64,
    /// Dead since then.
    pub died: u64,
    /// What keeps it from delivering.
    pub gate: Option<String>,
    /// More about that.
    pub gate_detail: Option<String>,
}

impl Queue {
    /// Whether nothing is left to be done.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.ready + self.scheduled + self.in_flight == 0
    }

    pub(crate) fn of(value: &Value) -> Self {
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let totals = &value["totals"];
        Queue {
            name: text(&value["name"]).unwrap_or_default(),
            ready: number(&value["ready"]),
            scheduled: number(&value["scheduled"]),
            in_flight: number(&value["in_flight"]),
            dead: number(&value["dead"]),
            sent: number(&totals["sent"]),
            acked: number(&totals["acked"]),
            failed: number(&totals["failed"]),
            handed_back: number(&totals["handed_back"]),
            died: number(&totals["died"]),
            gate: text(&value["gate"]),
            gate_detail: text(&value["gate_detail"]),
        }
    }
}
