//! The way of a leased message: run → outcome → settle.
//!
//! A queue that has a handler has a [`Line`]: the writer delivers leased messages to it, and each
//! runs as a task of its own on the guests' threads. Permits are slots of the queue and of the handler, which the board
//! counts: nothing is leased without one, and one is free again when the settlement is durable. So
//! with `concurrency = 1` a message sees all that the one before has stored.
//!
//! This room knows neither the store's tables nor wasmtime; it passes a version of a handler what
//! it needs and passes on what comes back.

mod batch;
mod gather;
mod large;
mod line;
#[cfg(test)]
mod tests;
mod threads;
mod told;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gristmill_queue::QueueName;
use gristmill_queue::outcome::HandedBack;
use gristmill_store::Slots;
use tokio::sync::Notify;

use crate::queues::Queues;
use batch::Batching;
pub use gather::BatchLimits;
use large::Whole;
pub use line::HandlerSlot;
use line::Line;
pub use threads::{GuestThreads, Guests};
pub use told::DELIVERIES;

/// How a queue's messages are delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSpec {
    /// How many at once.
    pub slots: Slots,
    /// How batches are gathered, if the handler gets some.
    pub batch: Option<BatchLimits>,
    /// The fingerprint of the handler's configuration, kept with dead letters.
    pub config: Arc<str>,
}

/// Runs the messages of all queues that have handlers.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Queues,
    guests: Guests,
    lines: Mutex<HashMap<QueueName, Arc<Line>>>,
    running: Running,
    whole: Whole,
}

/// Counts deliveries that are under way, and tells when there is none.
#[derive(Default)]
struct Running {
    count: AtomicUsize,
    idle: Notify,
}

impl Running {
    fn begin(&self, count: usize) {
        self.count.fetch_add(count, Ordering::AcqRel);
    }

    fn end(&self, count: usize) {
        if self.count.fetch_sub(count, Ordering::AcqRel) == count {
            self.idle.notify_waiters();
        }
    }

    async fn wait(&self) {
        loop {
            let idle = self.idle.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Dispatcher {
    /// Runs guests on the threads of `guests`, which serve nothing else: a busy guest must not keep
    /// the API or a timer waiting.
    #[must_use]
    pub fn new(queues: Queues, guests: impl Into<Guests>) -> Self {
        let guests = guests.into();
        let lines = Mutex::default();
        let running = Running::default();
        Dispatcher {
            shared: Arc::new(Shared {
                queues,
                guests,
                lines,
                running,
                whole: Whole::default(),
            }),
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<QueueName, Arc<Line>>> {
        self.shared
            .lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to deliver a queue's messages to a handler.
    pub fn open(&self, queue: &QueueName, handler: &Arc<HandlerSlot>, how: LineSpec) {
        let LineSpec {
            slots,
            batch,
            config,
        } = how;
        let shared = slots
            .shared
            .as_ref()
            .map_or(u32::MAX, |shared| shared.slots.get());
        let most = slots.own.min(shared);
        let line = Arc::new(Line {
            shared: Arc::clone(&self.shared),
            handler: Arc::clone(handler),
            config,
            pace: Arc::default(),
            batching: batch.map(|limits| Batching::new(limits, most)),
        });
        let before = self.lines().insert(queue.clone(), Arc::clone(&line));
        self.shared.queues.attach(queue.clone(), slots, line);
        if let Some(before) = before {
            before.let_go(HandedBack::Reload);
        }
    }

    /// Stops delivering a queue's messages. Those in flight end as they end.
    pub async fn close(&self, queue: &QueueName) {
        self.close_because(queue, HandedBack::Reload).await;
    }

    async fn close_because(&self, queue: &QueueName, why: HandedBack) {
        let closed = self.lines().remove(queue);
        if let Some(line) = closed {
            // A store that has closed leases nothing either.
            let _ = self.shared.queues.detach(queue.clone()).await;
            line.let_go(why);
        }
    }

    /// How many deliveries are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.running.count.load(Ordering::Acquire)
    }

    /// Leases nothing more, tells running handlers to wind up, and waits for them. Says whether all
    /// have ended; those that have not are handed back, uncounted, when the guests' threads stop.
    pub async fn stop(&self, drain: Duration) -> bool {
        let queues: Vec<QueueName> = self.lines().keys().cloned().collect();
        for line in self.lines().values() {
            line.handler.end_current();
        }
        for queue in queues {
            self.close_because(&queue, HandedBack::Shutdown).await;
        }
        tokio::time::timeout(drain, self.shared.running.wait())
            .await
            .is_ok()
    }
}
