//! Store, dispatch and sandbox in one process, set up as the program does it, and messages that flow
//! through all of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gristmill::dispatch::{Dispatcher, GuestThreads, HandlerSlot, LineSpec};
use gristmill::queues::Queues;
use gristmill::runtime::spec::{
    CommandRules, Grants, GuaranteeClass, HandlerLimits, HandlerSpec, MaxCalls, Secret,
};
use gristmill::runtime::{CompileMode, Runtime, RuntimeOptions};
use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp};
use gristmill_store::{Declaration, Evidence, Leased, Options, Outgoing, Settle, Sink, Store};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};

use crate::compare::report;

const GUESTS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/guests/wasm32-wasip2/handler/"
);
/// How many producers wait for durability.
const PRODUCERS: u64 = 256;
/// How many messages are sent and not handled yet, at most.
pub const IN_FLIGHT: u32 = 1024;
/// How many messages one send has when a queue is filled, and how many of these are under way.
const BATCH: u64 = 500;
const FILLERS: u64 = 4;
/// So many flow before anything is timed.
const WARM_UP: u64 = 30_000;
/// So many are timed.
const TIMED: u64 = 300_000;

/// The module of a package among the handlers.
pub fn module(name: &str) -> Vec<u8> {
    let module = std::fs::read(format!("{GUESTS}{name}.wasm"));
    module.expect("the handlers are built; see the head of main.rs")
}

pub fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// A folder on the disk that is measured.
pub fn folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Compiled code stays from run to run.
pub fn compiled() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("scale-compiled")
}

/// What is set up.
pub struct Setup {
    /// Queues besides `out`, each with as many slots as may be in flight.
    pub queues: Vec<QueueName>,
    /// The most deliveries at once.
    pub in_flight: u32,
}

impl Setup {
    pub fn of(queues: Vec<QueueName>) -> Self {
        Setup {
            queues,
            in_flight: IN_FLIGHT,
        }
    }
}

pub struct Rig {
    pub store: Store,
    pub queues: Queues,
    pub runtime: Runtime,
    pub serving: tokio::runtime::Runtime,
    dispatcher: Dispatcher,
    guests: GuestThreads,
    slots: u32,
    folder: TempDir,
}

impl Rig {
    pub fn new(setup: &Setup) -> Self {
        let folder = folder();
        let serving = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let answering = serving.handle().clone();
        let declare = |name: &QueueName, concurrency| Declaration {
            name: name.clone(),
            policy: QueuePolicy {
                concurrency,
                ..QueuePolicy::default()
            },
        };
        let mut declared: Vec<Declaration> = setup
            .queues
            .iter()
            .map(|name| declare(name, setup.in_flight))
            .collect();
        declared.push(declare(&queue("out"), u32::MAX));
        let options = Options {
            queues: declared,
            answer_elsewhere: Some(Box::new(move |answers| {
                answering.spawn(async move { answers() });
            })),
            ..Options::default()
        };
        let (store, _) = Store::open(&folder.path().join("store"), options).unwrap();
        let queues = Queues::new(store.clone());
        let mut options = RuntimeOptions::new(compiled(), CompileMode::InProcess);
        options.max_instances = setup.in_flight;
        let runtime = Runtime::new(options).unwrap();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let guests = GuestThreads::start(cores).unwrap();
        Rig {
            dispatcher: Dispatcher::new(queues.clone(), guests.guests()),
            store,
            queues,
            runtime,
            serving,
            guests,
            slots: setup.in_flight,
            folder,
        }
    }

    /// Loads a module under a name, to serve any queues.
    pub fn load(&self, name: &str, module: &[u8]) -> Arc<HandlerSlot> {
        let version = self.runtime.load(&spec(name), module).unwrap();
        let slot = Arc::new(HandlerSlot::new(name));
        slot.serve(version, &self.queues);
        slot
    }

    /// Delivers a queue to a handler.
    pub fn open(&self, queue: &QueueName, handler: &Arc<HandlerSlot>) {
        let how = LineSpec {
            slots: self.slots.into(),
            batch: None,
            config: "".into(),
        };
        self.dispatcher.open(queue, handler, how);
    }

    pub fn file_bytes(&self) -> u64 {
        let file = self.folder.path().join("store/store.redb");
        std::fs::metadata(file).unwrap().len()
    }

    /// Has orders sent to these queues in turn, handled, and their sums taken from `out`, and says
    /// what that took. The handler of the queues is `bench`.
    pub fn flow(&self, to: &[QueueName]) {
        let taker = Arc::new(Taker::new(&self.store));
        let sink = Arc::clone(&taker) as Arc<dyn Sink>;
        self.queues.attach(queue("out"), u32::MAX, sink);
        self.send_and_wait(&taker, to, WARM_UP);
        let (began, cpu) = (Instant::now(), cpu_time());
        self.send_and_wait(&taker, to, TIMED);
        let (elapsed, cpu) = (began.elapsed(), cpu_time() - cpu);
        report("messages/s", TIMED as f64 / elapsed.as_secs_f64());
        report(
            "CPU per message, µs",
            cpu.as_secs_f64() * 1e6 / TIMED as f64,
        );
    }

    fn send_and_wait(&self, taker: &Arc<Taker>, to: &[QueueName], messages: u64) {
        let next = Arc::new(AtomicU64::new(0));
        let to: Arc<[QueueName]> = to.into();
        taker.left.store(messages as i64, Ordering::Release);
        self.serving.block_on(async {
            for _ in 0..PRODUCERS {
                let (taker, next, to) = (Arc::clone(taker), Arc::clone(&next), Arc::clone(&to));
                let queues = self.queues.clone();
                self.serving.spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= messages {
                            return;
                        }
                        taker.room.acquire().await.unwrap().forget();
                        let at = usize::try_from(number).unwrap() % to.len();
                        queues.send(to[at].clone(), order(number)).await.unwrap();
                    }
                });
            }
            taker.all.notified().await;
        });
    }

    /// Lets so many of these messages wait in a queue.
    pub fn fill(&self, queue: &QueueName, count: u64, message: fn(u64) -> NewMessage) {
        self.serving
            .block_on(fill(&self.store, queue, count, message));
    }

    /// Leases nothing of a queue.
    pub fn pause(&self, queue: &QueueName) {
        let paused = self.queues.pause(queue.clone());
        self.serving.block_on(paused).unwrap();
    }

    pub fn close(self) {
        self.serving.block_on(async {
            self.dispatcher.stop(Duration::from_secs(30)).await;
            self.guests.stop().await;
            self.queues.close().await;
        });
    }
}

/// Sends `count` messages in batches, several of them under way at a time.
pub async fn fill(store: &Store, queue: &QueueName, count: u64, message: fn(u64) -> NewMessage) {
    let next = Arc::new(AtomicU64::new(0));
    let mut fillers = tokio::task::JoinSet::new();
    for _ in 0..FILLERS {
        let (store, queue, next) = (store.clone(), queue.clone(), Arc::clone(&next));
        fillers.spawn(async move {
            loop {
                let first = next.fetch_add(BATCH, Ordering::Relaxed);
                if first >= count {
                    return;
                }
                let batch = (first..count.min(first + BATCH)).map(|number| Outgoing {
                    queue: queue.clone(),
                    message: message(number),
                });
                store.send(batch.collect()).await.unwrap();
            }
        });
    }
    while let Some(filled) = fillers.join_next().await {
        filled.unwrap();
    }
}

/// 256 bytes of JSON.
pub fn order(number: u64) -> NewMessage {
    let line = r#"{"sku":"A-1","quantity":2,"unit_price_cents":1250}"#;
    let mut order =
        format!(r#"{{"id":"o-{number}","customer":"c-7","lines":[{line},{line},{line}]"#);
    order.push_str(r#","note":""#);
    order.push_str(&"n".repeat(256 - order.len() - 2));
    order.push_str(r#""}"#);
    NewMessage::with_body(order)
}

/// Takes what the handlers sent, and acknowledges it.
struct Taker {
    store: Store,
    /// For messages that are sent and not handled.
    room: Semaphore,
    /// Below zero if more were taken than sent, because some waited already.
    left: AtomicI64,
    all: Notify,
    evidence: Evidence,
}

impl Taker {
    fn new(store: &Store) -> Self {
        Taker {
            store: store.clone(),
            room: Semaphore::new(IN_FLIGHT as usize),
            left: AtomicI64::new(0),
            all: Notify::new(),
            evidence: Evidence {
                started_at: Timestamp::ZERO,
                usage: Usage::default(),
                diagnostics: None,
                module: "".into(),
                config: "".into(),
                handler: "taker".into(),
            },
        }
    }
}

impl Sink for Taker {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        let count = leased.len();
        for leased in leased {
            self.store.settle(Settle {
                fence: leased.fence,
                outcome: Outcome::Done,
                effects: Effects::default(),
                evidence: self.evidence.clone(),
            });
        }
        self.room.add_permits(count);
        let count = count as i64;
        let before = self.left.fetch_sub(count, Ordering::AcqRel);
        if (1..=count).contains(&before) {
            self.all.notify_one();
        }
    }
}

fn spec(name: &str) -> HandlerSpec {
    const LONG: Duration = Duration::from_secs(3600);
    HandlerSpec {
        name: name.to_owned(),
        path: format!("{name}.wasm").into(),
        grants: Grants {
            send_to: Arc::new([(queue("out"), 256 * 1024)].into()),
            state: true,
            reply: true,
            secrets: [("none".to_owned(), Secret::new("nothing".to_owned()))].into(),
            ..Grants::default()
        },
        limits: HandlerLimits {
            max_calls: MaxCalls::Fixed(1),
            timeout: LONG,
            max_timeout: LONG,
            ..HandlerLimits::default()
        },
        require: GuaranteeClass::default(),
        batches: Vec::new(),
        form: None,
        command: CommandRules::default(),
        sha256: None,
    }
}

pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
