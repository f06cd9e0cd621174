//! The way of a leased message: run → outcome → settle.
//!
//! A queue that has a handler has a [`Line`]: the writer delivers leased messages to it, and each
//! runs as a task of its own on the guests' threads. Permits are slots of the queue and of the handler, which the board
//! counts: nothing is leased without one, and one is free again when the settlement is durable. So
//! with `concurrency = 1` a message sees all that the one before has stored.
//!
//! This room knows neither the store's tables nor wasmtime; it passes a version of a handler what
//! it needs and passes on what comes back.

mod large;
mod line;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gristmill_queue::QueueName;
use gristmill_store::Slots;
use tokio::sync::Notify;

use crate::queues::Queues;
use large::Whole;
pub use line::HandlerSlot;
use line::Line;

/// Runs the messages of all queues that have handlers.
#[derive(Clone)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

struct Shared {
    queues: Queues,
    guests: tokio::runtime::Handle,
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

    fn end(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
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
    pub fn new(queues: Queues, guests: tokio::runtime::Handle) -> Self {
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

    /// Begins to deliver a queue's messages to a handler, as many at once as `slots` says. `config` is the
    /// fingerprint of the handler's configuration, kept with dead letters.
    pub fn open(&self, queue: &QueueName, handler: &Arc<HandlerSlot>, slots: Slots, config: &str) {
        let line = Arc::new(Line {
            shared: Arc::clone(&self.shared),
            handler: Arc::clone(handler),
            config: config.into(),
        });
        self.lines().insert(queue.clone(), Arc::clone(&line));
        self.shared.queues.attach(queue.clone(), slots, line);
    }

    /// Stops delivering a queue's messages. Those in flight end as they end.
    pub async fn close(&self, queue: &QueueName) {
        if self.lines().remove(queue).is_some() {
            // A store that has closed leases nothing either.
            let _ = self.shared.queues.detach(queue.clone()).await;
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
            self.close(&queue).await;
        }
        tokio::time::timeout(drain, self.shared.running.wait())
            .await
            .is_ok()
    }
}
