//! A store with one queue, a consumer that acknowledges at once, and how both are timed.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp};
use gristmill_store::{
    Clock, Declaration, Evidence, Leased, Options, Outgoing, Settle, Sink, Store,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::compare::report;

/// The body of every message.
pub const BODY: [u8; 256] = [b'x'; 256];
/// How many messages one send has when a queue is filled.
const BATCH: u64 = 500;
/// How many producers wait for durability when messages flow.
const PRODUCERS: u64 = 256;
/// How often a flow is timed; the median counts.
pub const ROUNDS: usize = 5;
/// When the clock of a rig begins.
const START_MS: u64 = 1_700_000_000_000;

pub struct Rig {
    pub store: Store,
    pub clock: Arc<AtomicU64>,
    pub queue: QueueName,
    runtime: Runtime,
    folder: TempDir,
}

/// What something took per message, in microseconds.
#[derive(Clone, Copy)]
pub struct Cost {
    pub wall: f64,
    pub cpu: f64,
}

impl Cost {
    pub fn report(self, what: &str) {
        report(&format!("{what}, µs"), self.wall);
        report(&format!("{what}, µs of CPU"), self.cpu);
    }
}

impl Rig {
    pub fn new(dedup_window: Duration) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let queue = QueueName::new("in").unwrap();
        let policy = QueuePolicy {
            concurrency: 1024,
            dedup_window,
            ..QueuePolicy::default()
        };
        let clock = Arc::new(AtomicU64::new(START_MS));
        let options = Options {
            clock: Clock::Manual(Arc::clone(&clock)),
            queues: vec![Declaration {
                name: queue.clone(),
                policy,
            }],
            ..Options::default()
        };
        let (store, _) = Store::open(folder.path(), options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Rig {
            store,
            clock,
            queue,
            runtime,
            folder,
        }
    }

    /// How many messages were acknowledged.
    pub fn handled(&self) -> u64 {
        self.block_on(self.store.views()).unwrap()[0].totals.acked
    }

    pub fn file_bytes(&self) -> u64 {
        let file = self.folder.path().join("store.redb");
        std::fs::metadata(file).unwrap().len()
    }

    fn block_on<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.clock.fetch_add(ms, Ordering::SeqCst);
        self.block_on(self.store.tick()).unwrap();
    }

    /// Sends `count` messages in batches, four of them under way at a time.
    pub fn fill(&self, count: u64, message: impl Fn(u64) -> NewMessage) -> Cost {
        let next = AtomicU64::new(0);
        let producer = || async {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return;
                }
                let batch = (first..count.min(first + BATCH)).map(|n| Outgoing {
                    queue: self.queue.clone(),
                    message: message(n),
                });
                self.store.send(batch.collect()).await.unwrap();
            }
        };
        timed(count, || {
            self.block_on(async {
                let (a, b, c, d) = (producer(), producer(), producer(), producer());
                tokio::join!(a, b, c, d);
            });
        })
    }

    /// Handles `count` of the messages that wait, at most `slots` at a time.
    pub fn drain(&self, count: u64, slots: u32) -> Cost {
        self.drain_watched(count, slots, |_| {})
    }

    /// The same; says every 10 ms how many were handled.
    pub fn drain_watched(&self, count: u64, slots: u32, mut watch: impl FnMut(u64)) -> Cost {
        let consumer = Consumer::new(&self.store);
        let cost = timed(count, || {
            let sink = Arc::clone(&consumer) as Arc<dyn Sink>;
            self.store.attach(self.queue.clone(), slots, sink);
            while consumer.handled.load(Ordering::Relaxed) < count {
                std::thread::sleep(Duration::from_millis(10));
                watch(consumer.handled.load(Ordering::Relaxed));
            }
            self.settle_down();
        });
        self.block_on(self.store.detach(self.queue.clone()))
            .unwrap();
        cost
    }

    /// Times messages that are sent one by one, each durable before its producer sends the next, and
    /// acknowledged as they come: `count` of them in each round, the median of the rounds.
    pub fn flow(&self, count: u64, message: impl Fn(u64) -> NewMessage + 'static) -> Cost {
        self.flow_in_rounds(count, message, || {})
    }

    /// The same, with something done before each round.
    pub fn flow_in_rounds(
        &self,
        count: u64,
        message: impl Fn(u64) -> NewMessage + 'static,
        before: impl Fn(),
    ) -> Cost {
        let consumer = Consumer::new(&self.store);
        let sink = Arc::clone(&consumer) as Arc<dyn Sink>;
        self.store.attach(self.queue.clone(), 1024, sink);
        let next = Rc::new(Cell::new(0));
        let message: Rc<dyn Fn(u64) -> NewMessage> = Rc::new(message);
        let mut rounds: Vec<Cost> = (1..=ROUNDS as u64)
            .map(|round| {
                before();
                timed(count, || self.produce(&next, round * count, &message))
            })
            .collect();
        self.block_on(self.store.detach(self.queue.clone()))
            .unwrap();
        let median = |of: fn(&Cost) -> f64, rounds: &mut Vec<Cost>| {
            rounds.sort_by(|a, b| of(a).total_cmp(&of(b)));
            of(&rounds[ROUNDS / 2])
        };
        Cost {
            wall: median(|cost| cost.wall, &mut rounds),
            cpu: median(|cost| cost.cpu, &mut rounds),
        }
    }

    fn produce(&self, next: &Rc<Cell<u64>>, until: u64, message: &Rc<dyn Fn(u64) -> NewMessage>) {
        let producer = |_| {
            let (store, queue) = (self.store.clone(), self.queue.clone());
            let (next, message) = (Rc::clone(next), Rc::clone(message));
            async move {
                while next.get() < until {
                    let n = next.replace(next.get() + 1);
                    let outgoing = Outgoing {
                        queue: queue.clone(),
                        message: message(n),
                    };
                    store.send(vec![outgoing]).await.unwrap();
                }
            }
        };
        self.block_on(async {
            let local = LocalSet::new();
            for producer in (0..PRODUCERS).map(producer) {
                local.spawn_local(producer);
            }
            local.await;
        });
        self.settle_down();
    }

    /// Waits until the acknowledgements that are under way are durable.
    fn settle_down(&self) {
        self.block_on(async {
            while self.store.views().await.unwrap()[0].depths.in_flight > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}

/// Acknowledges what is delivered to it.
struct Consumer {
    store: Store,
    handled: AtomicU64,
    evidence: Evidence,
}

impl Consumer {
    fn new(store: &Store) -> Arc<Self> {
        Arc::new(Consumer {
            store: store.clone(),
            handled: AtomicU64::new(0),
            evidence: Evidence {
                started_at: Timestamp::ZERO,
                usage: Usage::default(),
                diagnostics: None,
                module: "".into(),
                config: "".into(),
                handler: "bench".into(),
            },
        })
    }
}

impl Sink for Consumer {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for leased in leased {
            self.store.settle(Settle {
                fence: leased.fence,
                outcome: Outcome::Done,
                effects: Effects::default(),
                evidence: self.evidence.clone(),
            });
            self.handled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Times something that is done to `count` messages.
pub fn timed(count: u64, what: impl FnOnce()) -> Cost {
    let (cpu, began) = (cpu_time(), Instant::now());
    what();
    let per_message = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    Cost {
        wall: per_message(began.elapsed()),
        cpu: per_message(cpu_time() - cpu),
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Bytes of this process that are in memory.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.unwrap().parse::<u64>().unwrap() * 1024
}
