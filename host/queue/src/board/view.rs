//! What an operator sees of a queue.

use super::{Board, QueueId};
use crate::{QueueName, Timestamp};

/// Why a queue does not deliver, in the order of the gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// An operator paused it.
    Paused,
    /// No handler is loaded for it, or the configuration does not name it.
    NoHandler,
    /// Suspects run first, one at a time.
    Suspects,
    /// All that is due is of keys of which as many messages as allowed are in flight, or whose rate
    /// is used up.
    Keys,
    /// As many messages as allowed are in flight: the handler's slots, the queue's concurrency, or
    /// one that runs with no other of its queue after too many conflicts.
    Concurrency,
    /// Something is due, and the queue's rate is used up.
    Rate,
}

impl Gate {
    /// The stable code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Paused => "paused",
            Gate::NoHandler => "no-handler",
            Gate::Suspects => "suspects",
            Gate::Keys => "keys",
            Gate::Concurrency => "concurrency",
            Gate::Rate => "rate",
        }
    }
}

/// How many messages a queue holds, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Due, or waiting behind another of their group or for their group to be resumed.
    pub ready: u64,
    /// Due later.
    pub scheduled: u64,
    /// Leased.
    pub in_flight: u64,
    /// In the dead store.
    pub dead: u64,
    /// Bytes of the bodies of all that are not dead.
    pub bytes: u64,
}

/// What happened in a queue since the host started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
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
    pub cancelled: u64,
    /// Removed to make room for others.
    pub dropped: u64,
    /// Taken back from the dead.
    pub redriven: u64,
    /// Deaths of messages of a group that went on without them, as `on_group_failure = "skip"` says.
    pub groups_skipped: u64,
}

/// A queue, as an operator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Its name.
    pub name: QueueName,
    /// Whether the configuration declares it.
    pub declared: bool,
    /// How many messages it holds.
    pub depths: Depths,
    /// Those of the messages in flight that pull consumers hold.
    pub pulled: u64,
    /// Groups that deliver nothing until an operator resumes them.
    pub halted_groups: u64,
    /// What happened since the host started.
    pub totals: Totals,
    /// Messages accepted per second, over the last minute.
    pub sent_per_second: f64,
    /// Messages acknowledged per second, over the last minute.
    pub acked_per_second: f64,
    /// What keeps it from delivering, if anything does.
    pub gate: Option<Gate>,
    /// When that gate opens, if time alone opens it.
    pub gate_opens_at: Option<Timestamp>,
}

impl Board {
    /// The queue as an operator sees it.
    #[must_use]
    pub fn view(&self, queue: QueueId, now: Timestamp) -> QueueView {
        let entry = self.queue(queue);
        let suspects = || {
            self.waits_for_suspects(now)
                .then_some((Gate::Suspects, None))
        };
        let keys = || Some((Gate::Keys, entry.waits_for_keys()?));
        let is_full = entry.is_full() || !self.pool_has_room(queue);
        let full = || is_full.then_some((Gate::Concurrency, None));
        let rate = || Some((Gate::Rate, Some(entry.waits_for_rate(now)?)));
        let stopped = entry.stopped().map(|gate| (gate, None));
        let gate = stopped
            .or_else(suspects)
            .or_else(keys)
            .or_else(full)
            .or_else(rate);
        QueueView {
            name: entry.name.clone(),
            declared: entry.declared,
            depths: entry.depths(),
            pulled: u64::from(entry.pulled),
            halted_groups: entry.halted.len() as u64,
            totals: entry.totals,
            sent_per_second: entry.sent.per_second(now),
            acked_per_second: entry.acked.per_second(now),
            gate: gate.map(|(gate, _)| gate),
            gate_opens_at: gate.and_then(|(_, time)| time),
        }
    }
}
