//! The part of a line that gathers leased messages into batches and runs them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Message, Transaction};
use gristmill_store::{Evidence, Leased, SettleBatch};
use tokio::time::Instant;

use super::gather::{BatchLimits, Gather};
use super::line::{Line, Under};
use super::{threads, told};
use crate::runtime::BatchDelivery;

/// What of a line that has batches is not yet under way.
pub(super) struct Batching {
    /// How many messages of the queue can be in flight.
    most: usize,
    /// How many are, with those that wait here.
    held: AtomicUsize,
    waiting: Mutex<Waiting>,
}

struct Waiting {
    gather: Gather<Leased>,
    /// A task looks again when the first message has waited long enough.
    is_timed: bool,
    /// The line is closed: whatever still comes does not wait.
    is_closed: bool,
}

impl Batching {
    pub fn new(limits: BatchLimits, most: u32) -> Self {
        Batching {
            most: most as usize,
            held: AtomicUsize::new(0),
            waiting: Mutex::new(Waiting {
                gather: Gather::new(limits),
                is_timed: false,
                is_closed: false,
            }),
        }
    }

    /// Notes that messages are no longer under way.
    pub fn end(&self, count: usize) {
        self.held.fetch_sub(count, Ordering::AcqRel);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is to be started now, and when to look again if nothing else comes.
#[derive(Default)]
struct Ready {
    alone: Vec<Leased>,
    batches: Vec<Vec<Leased>>,
    timer: Option<Instant>,
}

impl Line {
    /// Gathers leased messages, and starts what is complete.
    pub(super) fn gather(self: &Arc<Self>, batching: &Batching, leased: Vec<Leased>) {
        let held = batching.held.fetch_add(leased.len(), Ordering::AcqRel) + leased.len();
        let now = Instant::now();
        let mut ready = Ready::default();
        let mut waiting = batching.waiting();
        for leased in leased {
            // A large body has its memory, or its file, to itself.
            if leased.alone || leased.message.blob.is_some() {
                ready.alone.push(leased);
                continue;
            }
            let bytes = weight(&leased.message);
            ready.batches.extend(waiting.gather.add(leased, bytes, now));
        }
        let most = if waiting.is_closed { 0 } else { batching.most };
        ready
            .batches
            .extend(waiting.gather.take_if_due(now, held, most));
        if !waiting.is_timed {
            ready.timer = waiting.gather.due();
            waiting.is_timed = ready.timer.is_some();
        }
        drop(waiting);
        self.start(ready);
    }

    /// One task is handed to the guests' threads for all of it; see [`Line`]'s `deliver`.
    fn start(self: &Arc<Self>, ready: Ready) {
        let line = Arc::clone(self);
        self.shared.guests.clone().spawn(async move {
            for leased in ready.alone {
                line.shared
                    .guests
                    .spawn_delivery(&line.pace, Arc::clone(&line).run(leased));
            }
            for batch in ready.batches {
                line.shared
                    .guests
                    .spawn_delivery(&line.pace, Arc::clone(&line).run_batch(batch));
            }
            if let Some(due) = ready.timer {
                line.wait(due).await;
            }
        });
    }

    /// Starts what has waited long enough, until nothing waits. There is one such task at a time.
    async fn wait(self: Arc<Self>, mut due: Instant) {
        let Some(batching) = &self.batching else {
            return;
        };
        loop {
            tokio::time::sleep_until(due).await;
            let held = batching.held.load(Ordering::Acquire);
            let (batch, next) = {
                let mut waiting = batching.waiting();
                let batch = waiting
                    .gather
                    .take_if_due(Instant::now(), held, batching.most);
                let next = waiting.gather.due();
                waiting.is_timed = next.is_some();
                (batch, next)
            };
            if let Some(batch) = batch {
                let guests = &self.shared.guests;
                guests.spawn_delivery(&self.pace, Arc::clone(&self).run_batch(batch));
            }
            match next {
                Some(next) => due = next,
                None => return,
            }
        }
    }

    /// Hands back what waits: the queue gets no more from here.
    pub(super) fn let_go(&self, why: HandedBack) {
        let Some(batching) = &self.batching else {
            return;
        };
        let left = {
            let mut waiting = batching.waiting();
            waiting.is_closed = true;
            waiting.gather.take()
        };
        let _under = Under::new(self, left.len());
        for leased in left {
            let back = self.hand_back(&leased, why);
            self.shared.queues.settle_without_sends(back);
        }
    }

    async fn run_batch(self: Arc<Self>, batch: Vec<Leased>) {
        let Some(serving) = self.handler.serving() else {
            let _under = Under::new(&self, batch.len());
            for leased in batch {
                let back = self.hand_back(&leased, HandedBack::Reload);
                self.shared.queues.settle_without_sends(back);
            }
            return;
        };
        if !serving.version.takes_batches() {
            // It has just been replaced, and so will this line be.
            for leased in batch {
                let guests = &self.shared.guests;
                guests.spawn_delivery(&self.pace, Arc::clone(&self).run(leased));
            }
            return;
        }
        let _under = Under::new(&self, batch.len());
        self.handler.count_batch(batch.len());
        let queues = &self.shared.queues;
        let started_at = queues.now();
        let spec = serving.version.spec();
        let max_attempts = batch.first().map(|leased| leased.max_attempts);
        let (fences, messages): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|leased| (leased.fence, (leased.message, leased.attempt)))
            .unzip();
        let delivery = BatchDelivery {
            transaction: Transaction::new(
                Arc::clone(&serving.state),
                queues.ids(),
                Arc::clone(&spec.grants.send_to),
                spec.limits.effects.of_batch(messages.len()),
                started_at,
            ),
            messages,
            max_attempts,
            ending: serving.ending.clone(),
        };
        let named = told::is_asked().then(|| delivery.messages.clone());
        let report = serving.version.run_batch(delivery).await;
        let named = named.iter().flatten().zip(&report.outcomes);
        for ((message, attempt), outcome) in named {
            told::tell(message, *attempt, outcome, report.usage.wall);
        }
        report.outcomes.iter().for_each(threads::weigh);
        let settle = SettleBatch {
            ended: fences.into_iter().zip(report.outcomes).collect(),
            effects: report.effects,
            evidence: Evidence {
                started_at,
                usage: report.usage,
                diagnostics: report.diagnostics,
                module: Arc::clone(&serving.module),
                config: Arc::clone(&self.config),
                handler: Arc::clone(self.handler.name()),
            },
        };
        queues.settle_batch(settle).await;
    }
}

/// What of a message goes into the guest's memory, but for a few short fields.
fn weight(message: &Message) -> u64 {
    let attributes = message.envelope.attributes.iter();
    let attributes = attributes.map(|(name, value)| name.len() + value.len());
    (message.body.len() + attributes.sum::<usize>()) as u64
}
