//! One queue's line from the writer to its handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::effects::StateReader;
use gristmill_queue::outcome::{HandedBack, Usage};
use gristmill_queue::{Effects, Outcome, Transaction};
use gristmill_store::{Evidence, Leased, Settle, Sink};

use super::Shared;
use super::batch::Batching;
use super::large::Undelivered;
use super::threads::{self, Pace};
use super::told;
use crate::queues::Queues;
use crate::runtime::{Delivery, EndingFlag, HandlerVersion};

/// The version of a handler that serves now. Queues with the same handler share it; a reload
/// replaces what is in it, while deliveries go on with the version they began with.
pub struct HandlerSlot {
    name: Arc<str>,
    current: ArcSwapOption<Serving>,
    batches: AtomicU64,
    batched: AtomicU64,
}

/// A version, with what every delivery to it needs.
pub(super) struct Serving {
    pub version: Arc<HandlerVersion>,
    pub module: Arc<str>,
    pub state: Arc<dyn StateReader>,
    pub ending: EndingFlag,
}

impl HandlerSlot {
    /// A slot without a version, for the handler of this name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        HandlerSlot {
            name: name.into(),
            current: ArcSwapOption::empty(),
            batches: AtomicU64::new(0),
            batched: AtomicU64::new(0),
        }
    }

    /// Puts a version into service. Deliveries under way are told to wind up.
    pub fn serve(&self, version: Arc<HandlerVersion>, queues: &Queues) {
        let serving = Serving {
            module: version.hash().into(),
            state: queues.state(Arc::clone(&self.name)),
            version,
            ending: EndingFlag::default(),
        };
        if let Some(before) = self.current.swap(Some(Arc::new(serving))) {
            before.ending.set();
        }
    }

    /// Takes the version out of service. Deliveries under way are told to wind up.
    pub fn clear(&self) {
        if let Some(before) = self.current.swap(None) {
            before.ending.set();
        }
    }

    /// The version that serves now.
    #[must_use]
    pub fn version(&self) -> Option<Arc<HandlerVersion>> {
        self.current
            .load()
            .as_ref()
            .map(|serving| Arc::clone(&serving.version))
    }

    /// How many batches were run since the start of the host, and how many messages were in them.
    #[must_use]
    pub fn batches(&self) -> (u64, u64) {
        (
            self.batches.load(Ordering::Relaxed),
            self.batched.load(Ordering::Relaxed),
        )
    }

    pub(super) fn count_batch(&self, messages: usize) {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.batched.fetch_add(messages as u64, Ordering::Relaxed);
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn serving(&self) -> Option<Arc<Serving>> {
        self.current.load_full()
    }

    /// Whether this version serves still.
    fn serves(&self, serving: &Arc<Serving>) -> bool {
        let current = self.current.load();
        current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, serving))
    }

    /// Tells deliveries under way to wind up, because the host stops.
    pub(super) fn end_current(&self) {
        if let Some(serving) = self.current.load().as_ref() {
            serving.ending.set();
        }
    }
}

/// Where the writer delivers a queue's leased messages.
pub(super) struct Line {
    pub shared: Arc<Shared>,
    pub handler: Arc<HandlerSlot>,
    pub config: Arc<str>,
    pub pace: Arc<Pace>,
    /// If its handler gets batches.
    pub batching: Option<Batching>,
}

impl Sink for Line {
    /// One task is handed to the guests' threads for all of them, and spawns the rest there: that
    /// wakes another thread once for each group and not once for each message.
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.shared.running.begin(leased.len());
        if let Some(batching) = &self.batching {
            self.gather(batching, leased);
            return;
        }
        let guests = self.shared.guests.clone();
        guests.spawn(async move {
            for leased in leased {
                let guests = &self.shared.guests;
                guests.spawn_delivery(&self.pace, Arc::clone(&self).run(leased));
            }
        });
    }
}

/// Counts messages as no longer under way however that ends, also when their task is dropped.
pub(super) struct Under<'a> {
    line: &'a Line,
    count: usize,
}

impl<'a> Under<'a> {
    pub fn new(line: &'a Line, count: usize) -> Self {
        Under { line, count }
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        if let Some(batching) = &self.line.batching {
            batching.end(self.count);
        }
        self.line.shared.running.end(self.count);
    }
}

impl Line {
    pub(super) async fn run(self: Arc<Self>, leased: Leased) {
        let _under = Under::new(&self, 1);
        let queues = &self.shared.queues;
        let Some(serving) = self.handler.serving() else {
            let back = self.hand_back(&leased, HandedBack::Reload);
            return queues.settle_without_sends(back);
        };
        let message = Arc::clone(&leased.message);
        let prepared = self.shared.whole.prepare(message, &serving.version, queues);
        let large = match prepared.await {
            Ok(large) => large,
            Err(Undelivered::Damaged) => return queues.put_aside(leased.fence),
            Err(Undelivered::Ended(outcome)) => {
                let settle = self.unhandled(&leased, outcome);
                return queues.settle_without_sends(settle);
            }
        };
        let started_at = queues.now();
        let grants = &serving.version.spec().grants;
        let delivery = Delivery {
            transaction: Transaction::new(
                Arc::clone(&serving.state),
                queues.ids(),
                Arc::clone(&grants.send_to),
                serving.version.spec().limits.effects,
                started_at,
            ),
            message: large.message,
            attempt: leased.attempt,
            max_attempts: Some(leased.max_attempts),
            previous_failure: leased.previous_failure,
            ending: serving.ending.clone(),
            fresh: leased.fresh,
            large: large.reader,
        };
        let report = serving.version.run(delivery).await;
        drop(large.room);
        if is_planted(Bug::ReloadDropsDeliveries) && !self.handler.serves(&serving) {
            return;
        }
        if report.damaged_body {
            return queues.put_aside(leased.fence);
        }
        told::tell(
            &leased.message,
            leased.attempt,
            &report.outcome,
            report.usage.wall,
        );
        threads::weigh(&report.outcome);
        let settle = Settle {
            fence: leased.fence,
            outcome: report.outcome,
            effects: report.effects,
            evidence: Evidence {
                started_at,
                usage: report.usage,
                diagnostics: report.diagnostics,
                module: Arc::clone(&serving.module),
                config: Arc::clone(&self.config),
                handler: Arc::clone(&self.handler.name),
            },
        };
        queues.settle(settle).await;
    }

    pub(super) fn hand_back(&self, leased: &Leased, why: HandedBack) -> Settle {
        self.unhandled(leased, Outcome::HandedBack(why))
    }

    /// Ends an attempt that did not reach the handler.
    pub(super) fn unhandled(&self, leased: &Leased, outcome: Outcome) -> Settle {
        Settle {
            fence: leased.fence,
            outcome,
            effects: Effects::default(),
            evidence: Evidence {
                started_at: leased.leased_at,
                usage: Usage::default(),
                diagnostics: None,
                module: Arc::from(""),
                config: Arc::clone(&self.config),
                handler: Arc::clone(&self.handler.name),
            },
        }
    }
}
