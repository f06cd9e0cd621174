//! What is left of a quiet queue's throughput while hostile handlers run beside it, four times as
//! many at once as there are cores.
//!
//! `cargo bench -p gristmill --bench neighbours` prints a table; words after `--` choose rows, and a number
//! says how many producers there are. With one, a rate is the inverse of a latency. The handlers have to be built
//! before: `cargo build --target wasm32-wasip2 --profile handler --target-dir target/guests -p
//! misbehave -p sink`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stops at what it does not expect"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gristmill::dispatch::{Dispatcher, GuestThreads, HandlerSlot, LineSpec};
use gristmill::queues::Queues;
use gristmill::runtime::spec::{
    CommandRules, Grants, GuaranteeClass, HandlerLimits, HandlerSpec, Secret,
};
use gristmill::runtime::{CompileMode, Runtime, RuntimeOptions, compile_child_main};
use gristmill_queue::retry::{Jitter, RetryPolicy};
use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Declaration, Options, Store};

const FOLDER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/guests/wasm32-wasip2/handler/"
);
/// No message, but modules that take the compiler seconds, one after the other.
const COMPILE: &str = "compile";
/// What the neighbours are asked to do, again and again. The second is no evil: it is what any
/// busy neighbour takes.
const EVILS: [&str; 12] = [
    COMPILE,
    "retry why",
    "trap boo",
    "spin",
    "naps",
    "sleep",
    "memory",
    "recurse",
    "flood",
    "lines",
    "host-calls 100000000",
    "storm list",
];
const TIMEOUT: Duration = Duration::from_millis(500);
/// How long each row is measured.
const ROW: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    if std::env::args()
        .nth(1)
        .is_some_and(|arg| arg == "__compile")
    {
        return compile_child_main();
    }
    // `cargo test --benches` passes an argument that a benchmark has to leave alone.
    if std::env::args().any(|arg| arg == "--test") {
        return ExitCode::SUCCESS;
    }
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let many = u32::try_from(4 * cores).unwrap_or(8);
    let chosen: Vec<String> = std::env::args().skip(1).collect();
    let producers = chosen.iter().find_map(|word| word.parse().ok());
    let producers = producers.unwrap_or(64);
    println!(
        "a quiet queue beside {many} hostile deliveries at once on {cores} cores; {producers} \
         producers that wait for durability; the rate alone is measured before and after each row\n"
    );
    println!(
        "{:>22}  {:>9}  {:>9}  {:>6}  {:>14}",
        "beside", "alone/s", "beside/s", "left", "attempts ended"
    );
    let rig = Rig::new(many, producers);
    let mut before = rig.rate();
    let is_chosen = |evil: &&str| chosen.iter().any(|word| evil.contains(&**word));
    let all = !EVILS.iter().any(is_chosen);
    for evil in EVILS.into_iter().filter(|evil| all || is_chosen(evil)) {
        let ended = rig.evil_ended();
        let beside = if evil == COMPILE {
            rig.rate_beside_the_compiler()
        } else {
            rig.begin(evil, many);
            let beside = rig.rate();
            rig.end();
            beside
        };
        let ended = rig.evil_ended() - ended;
        let after = rig.rate();
        let alone = f64::midpoint(before, after);
        let left = 100.0 * beside / alone;
        println!("{evil:>22}  {alone:>9.0}  {beside:>9.0}  {left:>5.0}%  {ended:>14}");
        before = after;
    }
    rig.close();
    ExitCode::SUCCESS
}

/// A component of one long function, another one for each number.
fn bomb(number: usize) -> Vec<u8> {
    let steps = "(local.set 0 (i32.add (i32.load (local.get 0)) (local.get 1)))".repeat(200_000);
    let module = format!(
        "(component (core module (memory 1) (func (param i32) (local i32) {steps} \
         (local.set 1 (i32.const {number})))))"
    );
    wat::parse_str(module).unwrap()
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

struct Rig {
    queues: Queues,
    dispatcher: Dispatcher,
    runtime: Runtime,
    serving: tokio::runtime::Runtime,
    guests: GuestThreads,
    evil: Arc<HandlerSlot>,
    producers: usize,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn new(many: u32, producers: usize) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let declare = |name: &str, concurrency| Declaration {
            name: queue(name),
            policy: QueuePolicy {
                concurrency,
                // What fails is there again at once, for as long as the row takes.
                retry: RetryPolicy {
                    max_attempts: 1_000_000,
                    base: Duration::ZERO,
                    jitter: Jitter::None,
                    ..RetryPolicy::default()
                },
                ..QueuePolicy::default()
            },
        };
        let options = Options {
            queues: vec![
                declare("evil", many),
                declare("quiet", 64),
                declare("out", 1),
            ],
            ..Options::default()
        };
        let (store, _) = Store::open(&folder.path().join("store"), options).unwrap();
        let queues = Queues::new(store);
        let compiled = folder.path().join("compiled");
        let exe = std::env::current_exe().unwrap();
        let runtime = RuntimeOptions::new(compiled, CompileMode::Child { exe });
        let runtime = Runtime::new(runtime).unwrap();
        let mut serving = tokio::runtime::Builder::new_multi_thread();
        let serving = serving.worker_threads(2).enable_all().build().unwrap();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let guests = GuestThreads::start(cores).unwrap();
        let dispatcher = Dispatcher::new(queues.clone(), guests.guests());
        let slot = |name: &str| {
            let path = format!("{FOLDER}{name}.wasm");
            let module = std::fs::read(&path);
            let module = module.expect("the handlers are built; see the head of this file");
            let version = runtime.load(&spec(name, &path), &module).unwrap();
            let slot = Arc::new(HandlerSlot::new(name));
            slot.serve(version, &queues);
            slot
        };
        let (quiet, evil) = (slot("sink"), slot("misbehave"));
        for (name, slot, slots) in [("quiet", &quiet, 64), ("evil", &evil, many)] {
            let how = LineSpec {
                slots: slots.into(),
                batch: None,
                config: "".into(),
            };
            dispatcher.open(&queue(name), slot, how);
        }
        Rig {
            queues,
            dispatcher,
            runtime,
            serving,
            guests,
            evil,
            producers,
            _folder: folder,
        }
    }

    /// Messages a second that the quiet queue handles.
    fn rate(&self) -> f64 {
        let (began, before) = (Instant::now(), self.totals("quiet").0);
        self.serving.block_on(async {
            let mut producers = tokio::task::JoinSet::new();
            for _ in 0..self.producers {
                let queues = self.queues.clone();
                producers.spawn(async move {
                    while began.elapsed() < ROW {
                        let message = NewMessage::with_body("x");
                        queues.send(queue("quiet"), message).await.unwrap();
                    }
                });
            }
            while producers.join_next().await.is_some() {}
        });
        while self.totals("quiet").1 > 0 {
            std::thread::yield_now();
        }
        (self.totals("quiet").0 - before) as f64 / began.elapsed().as_secs_f64()
    }

    fn rate_beside_the_compiler(&self) -> f64 {
        let bombs: Vec<Vec<u8>> = (0..8).map(bomb).collect();
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for bomb in &bombs {
                    let began = Instant::now();
                    let refused = self.runtime.load(&spec("bomb", "bomb"), bomb).unwrap_err();
                    eprintln!("a module took {:?}: {refused}", began.elapsed());
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
            let rate = self.rate();
            is_over.store(true, Ordering::Relaxed);
            rate
        })
    }

    fn begin(&self, evil: &str, many: u32) {
        self.serving.block_on(async {
            for _ in 0..many {
                let message = NewMessage::with_body(evil.to_owned());
                self.queues.send(queue("evil"), message).await.unwrap();
            }
        });
    }

    /// Those that still try are cleared away as soon as they are not in flight.
    fn end(&self) {
        while self.totals("evil").1 > 0 {
            self.serving.block_on(async {
                self.queues.pause(queue("evil")).await.unwrap();
                let every = gristmill_store::PurgeStates {
                    ready: true,
                    scheduled: true,
                    dead: true,
                };
                let filter = gristmill_store::DeadFilter::default();
                let purged = self.queues.purge(queue("evil"), every, filter).await;
                purged.unwrap();
                tokio::time::sleep(Duration::from_millis(50)).await;
            });
        }
        self.serving
            .block_on(self.queues.resume(queue("evil")))
            .unwrap();
    }

    fn evil_ended(&self) -> u64 {
        let queues = self.serving.block_on(self.queues.list()).unwrap();
        let found = queues.iter().find(|one| one.name.as_str() == "evil");
        found.map_or(0, |one| {
            one.totals.acked + one.totals.failed + one.totals.died
        })
    }

    /// How many were acknowledged, and how many are still there.
    fn totals(&self, name: &str) -> (u64, u64) {
        let queues = self.serving.block_on(self.queues.list()).unwrap();
        let found = queues.iter().find(|one| one.name.as_str() == name);
        let found = found.expect("the queue is declared");
        let depths = found.depths;
        let held = depths.ready + depths.scheduled + depths.in_flight;
        (found.totals.acked, held)
    }

    fn close(self) {
        self.serving.block_on(async {
            self.dispatcher.stop(Duration::from_secs(30)).await;
            self.guests.stop().await;
            self.queues.close().await;
        });
        drop(self.evil);
    }
}

fn spec(name: &str, path: &str) -> HandlerSpec {
    HandlerSpec {
        name: name.to_owned(),
        path: path.into(),
        grants: Grants {
            send_to: Arc::new([(queue("out"), 256 * 1024)].into()),
            state: true,
            reply: true,
            secrets: [("none".to_owned(), Secret::new("nothing".to_owned()))].into(),
            ..Grants::default()
        },
        limits: HandlerLimits {
            timeout: TIMEOUT,
            max_timeout: TIMEOUT,
            memory: 16 * 1024 * 1024,
            ..HandlerLimits::default()
        },
        require: GuaranteeClass::default(),
        batches: Vec::new(),
        form: None,
        command: CommandRules::default(),
        sha256: None,
    }
}
