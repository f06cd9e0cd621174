//! One queue of the board: its order, its gates, and what is counted about it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ages::Ages;
use super::flow::Flow;
use super::pool::PoolId;
use super::{Depths, Gate, Removal, Row, Totals};
use crate::meter::Meter;
use crate::outcome::{Outcome, Reason};
use crate::ready::ReadyOrder;
use crate::settle::Settlement;
use crate::{QueueName, QueuePolicy, Timestamp};

#[derive(Debug)]
pub(super) struct Queue {
    pub name: QueueName,
    pub policy: Arc<QueuePolicy>,
    pub declared: bool,
    pub paused: bool,
    pub slots: u32,
    pub order: ReadyOrder,
    /// What is limited beyond concurrency, if anything is.
    pub flow: Option<Box<Flow>>,
    /// The slots it shares with others.
    pub pool: Option<PoolId>,
    /// Whether it stands in the line of that pool.
    pub in_line: bool,
    /// When the waiting messages expire. A running attempt never does, so what is leased is not
    /// in here.
    pub expiring: BTreeSet<(Timestamp, u64)>,
    /// Which waiting messages are the oldest, if the queue drops them.
    pub ages: Option<Box<Ages>>,
    /// The groups that wait for an operator.
    pub halted: BTreeSet<u64>,
    /// In flight, and nothing else of the queue starts beside it.
    pub exclusive: Option<u64>,
    /// In flight, be it in a handler or with a pull consumer.
    pub in_flight: u32,
    /// Those of them that pull consumers hold.
    pub pulled: u32,
    /// Whether pull consumers wait for messages.
    pub receivers: bool,
    /// Whether it stands among the board's called.
    pub called: bool,
    pub bytes: u64,
    pub dead: u64,
    pub totals: Totals,
    pub sent: Meter,
    pub acked: Meter,
    /// Whether it stands among the board's candidates.
    pub candidate: bool,
    /// Where it stands among the board's wakes: when it has something due, or a token.
    pub wake: Option<Timestamp>,
    /// Where it stands among the board's expiries.
    pub expiry: Option<Timestamp>,
}

impl Queue {
    pub fn new(name: QueueName, paused: bool, dead: u64) -> Self {
        Queue {
            name,
            policy: Arc::new(QueuePolicy::default()),
            declared: false,
            paused,
            slots: 0,
            order: ReadyOrder::default(),
            flow: None,
            pool: None,
            in_line: false,
            expiring: BTreeSet::new(),
            ages: None,
            halted: BTreeSet::new(),
            exclusive: None,
            in_flight: 0,
            pulled: 0,
            receivers: false,
            called: false,
            bytes: 0,
            dead,
            totals: Totals::default(),
            sent: Meter::default(),
            acked: Meter::default(),
            candidate: false,
            wake: None,
            expiry: None,
        }
    }

    /// The gates that stay closed until somebody opens them. None of them costs an attempt.
    pub fn stopped(&self) -> Option<Gate> {
        if self.paused {
            Some(Gate::Paused)
        } else if self.slots == 0 || !self.declared {
            Some(Gate::NoHandler)
        } else {
            None
        }
    }

    /// The gate that opens when a message in flight ends.
    pub fn is_full(&self) -> bool {
        self.exclusive.is_some() || self.in_handlers() >= self.slots.min(self.policy.concurrency)
    }

    /// How many messages are in flight in the handler.
    pub fn in_handlers(&self) -> u32 {
        self.in_flight - self.pulled
    }

    /// Whether pull consumers may take messages.
    pub fn is_pullable(&self) -> bool {
        self.declared && self.policy.pull.allowed.unwrap_or(self.slots == 0)
    }

    /// Whether a pull consumer could be given a message now, as far as this queue is concerned.
    pub fn is_open_to_pull(&self) -> bool {
        self.is_pullable() && !self.paused && self.pulled < self.policy.pull.max_in_flight
    }

    /// Whether a message could start if none were in flight.
    pub fn could_run(&self) -> bool {
        self.stopped().is_none() && self.policy.concurrency > 0
    }

    /// Whether a message could start now, as far as this queue is concerned.
    pub fn is_open(&self) -> bool {
        self.stopped().is_none() && !self.is_full()
    }

    /// Whether an expired message waits; it has to go before anything is delivered.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.next_expiry().is_some_and(|expiry| expiry <= now)
    }

    /// When something may start that cannot now, unless an operation brings that about.
    pub fn next_wake(&self) -> Option<Timestamp> {
        match (self.order.next_due(), self.next_token()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    pub fn next_expiry(&self) -> Option<Timestamp> {
        self.expiring.first().map(|&(expiry, _)| expiry)
    }

    /// How many messages count against the queue's capacity.
    pub fn held(&self) -> u64 {
        self.order.ready() + self.order.scheduled() + u64::from(self.in_flight)
    }

    pub fn depths(&self) -> Depths {
        Depths {
            ready: self.order.ready(),
            scheduled: self.order.scheduled(),
            in_flight: u64::from(self.in_flight),
            dead: self.dead,
            bytes: self.bytes,
        }
    }

    /// A message is new here.
    pub fn enter(&mut self, row: &Row, now: Timestamp) {
        self.bytes += u64::from(row.size);
        self.watch(row);
        self.pass(now);
        self.order.admit(row.place, now);
    }

    /// A leased message waits again.
    pub fn put_back(&mut self, row: &Row, now: Timestamp) {
        self.watch(row);
        self.pass(now);
        self.order.put_back(row.place, now);
    }

    /// A message that is no longer waiting has left for good.
    pub fn depart(&mut self, row: &Row, now: Timestamp) {
        self.bytes -= u64::from(row.size);
        self.unwatch(row);
        self.pass(now);
        self.order.leave(row.place.sequence, row.place.group, now);
    }

    /// Lets go of a message about which only its number is known, and says whether it was found.
    pub fn evict(&mut self, sequence: u64, now: Timestamp) -> bool {
        self.expiring.retain(|&(_, expiring)| expiring != sequence);
        if let Some(ages) = &mut self.ages {
            ages.evict(sequence);
        }
        self.pass(now);
        self.order.evict(sequence, now)
    }

    fn watch(&mut self, row: &Row) {
        if let Some(expires) = row.expires_at {
            self.expiring.insert((expires, row.place.sequence));
        }
        if let Some(ages) = &mut self.ages {
            ages.note(row);
        }
    }

    /// A running attempt never expires.
    pub fn unwatch(&mut self, row: &Row) {
        if let Some(expires) = row.expires_at {
            self.expiring.remove(&(expires, row.place.sequence));
        }
        if let Some(ages) = &mut self.ages {
            ages.strike(row);
        }
    }

    pub fn count_end(&mut self, outcome: &Outcome, settlement: &Settlement, now: Timestamp) {
        match outcome {
            Outcome::Failed { .. } | Outcome::Rejected { .. } => self.totals.failed += 1,
            Outcome::Postponed { .. } | Outcome::HandedBack(_) => self.totals.handed_back += 1,
            Outcome::Done => {}
        }
        match settlement {
            Settlement::Ack => {
                self.totals.acked += 1;
                self.acked.mark(now);
            }
            Settlement::Dead { reason, .. } => {
                self.totals.died += 1;
                self.totals.expired += u64::from(*reason == Reason::Expired);
                self.dead += 1;
            }
            Settlement::Drop { .. } => self.totals.expired += 1,
            Settlement::Requeue { .. } => {}
        }
    }

    pub fn count_removal(&mut self, why: Removal) {
        match why {
            Removal::ExpiredToDead => {
                self.totals.expired += 1;
                self.totals.died += 1;
                self.dead += 1;
            }
            Removal::GroupFailed => {
                self.totals.died += 1;
                self.dead += 1;
            }
            Removal::ExpiredAndDropped => self.totals.expired += 1,
            Removal::Purged => self.totals.purged += 1,
            Removal::Dropped => self.totals.dropped += 1,
            Removal::Cancelled => self.totals.cancelled += 1,
            Removal::Taken => self.totals.acked += 1,
            Removal::Damaged | Removal::Returned => {}
        }
    }
}
