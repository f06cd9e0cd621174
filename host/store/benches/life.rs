//! What the store alone costs: producers that wait for durability, a consumer that acknowledges at
//! once and sends one message with the ack.
//!
//! `cargo bench -p gristmill-store` prints a table; each row is the median of several runs.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark stops at what it does not expect"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gristmill_queue::effects::Send;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, IdSource, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp};
use gristmill_store::{Declaration, Evidence, Leased, Options, Outgoing, Settle, Sink, Store};

const RUNS: usize = 5;
const RUN: Duration = Duration::from_secs(2);

/// Acknowledges what is delivered to it, with one message sent.
struct Consumer {
    store: Store,
    ids: Arc<IdSource>,
    to: Option<QueueName>,
    handled: AtomicU64,
    evidence: Evidence,
}

impl Sink for Consumer {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for leased in leased {
            let mut effects = Effects::default();
            if let Some(to) = &self.to {
                let id = self.ids.mint(leased.leased_at);
                effects.sends.push(Send {
                    to: to.clone(),
                    id,
                    message: NewMessage::with_body(leased.message.body.clone()),
                });
            }
            let evidence = self.evidence.clone();
            self.store.settle(Settle {
                fence: leased.fence,
                outcome: Outcome::Done,
                effects,
                evidence,
            });
            self.handled.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo test --benches` passes an argument that a benchmark has to leave alone.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    println!(
        "store alone, 256-byte bodies, every send durable before it is answered, {RUNS} runs of {RUN:?}\n"
    );
    println!(
        "{:>9}  {:>10}  {:>12}  {:>22}  {:>10}",
        "producers", "sends with", "lives/s", "send p50 / p99 (µs)", "CPU µs/life"
    );
    for producers in [1, 16, 64, 256, 1024] {
        for forward in [false, true] {
            let mut runs: Vec<Figures> = (0..RUNS).map(|_| run(producers, forward)).collect();
            runs.sort_by(|a, b| a.rate.total_cmp(&b.rate));
            let median = &runs[RUNS / 2];
            println!(
                "{producers:>9}  {:>10}  {:>12.0}  {:>10.0} / {:>9.0}  {:>10.2}",
                if forward { "the ack" } else { "nothing" },
                median.rate,
                median.p50,
                median.p99,
                median.cpu
            );
        }
    }
}

struct Figures {
    rate: f64,
    p50: f64,
    p99: f64,
    cpu: f64,
}

fn run(producers: usize, forward: bool) -> Figures {
    let folder = tempfile::tempdir_in(".").unwrap();
    let queue = |name: &str| QueueName::new(name).unwrap();
    let policy = QueuePolicy {
        concurrency: 4096,
        ..QueuePolicy::default()
    };
    let declare = |name: &str| Declaration {
        name: queue(name),
        policy: policy.clone(),
    };
    let options = Options {
        queues: vec![declare("in"), declare("out")],
        ..Options::default()
    };
    let (store, _) = Store::open(folder.path(), options).unwrap();
    let consumer = Arc::new(Consumer {
        store: store.clone(),
        ids: store.ids(),
        to: forward.then(|| queue("out")),
        handled: AtomicU64::new(0),
        evidence: Evidence {
            started_at: Timestamp::ZERO,
            usage: Usage::default(),
            diagnostics: None,
            module: "".into(),
            config: "".into(),
            handler: "bench".into(),
        },
    });
    store.attach(queue("in"), 4096, Arc::clone(&consumer) as Arc<dyn Sink>);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let body = vec![b'x'; 256];
    let cpu = cpu_time();
    let began = Instant::now();
    let mut waits = runtime.block_on(async {
        let tasks = (0..producers).map(|_| {
            let (store, body, queue) = (store.clone(), body.clone(), queue("in"));
            async move {
                let mut waits = Vec::new();
                while began.elapsed() < RUN {
                    let sent = Instant::now();
                    let message = NewMessage::with_body(body.clone());
                    store
                        .send(vec![Outgoing {
                            queue: queue.clone(),
                            message,
                        }])
                        .await
                        .unwrap();
                    waits.push(sent.elapsed());
                }
                waits
            }
        });
        let local = tokio::task::LocalSet::new();
        let handles: Vec<_> = tasks.map(|task| local.spawn_local(task)).collect();
        local.await;
        let mut waits = Vec::new();
        for handle in handles {
            waits.extend(handle.await.unwrap());
        }
        waits
    });
    let handled = consumer.handled.load(Ordering::Relaxed) as f64;
    let (elapsed, cpu) = (began.elapsed(), cpu_time() - cpu);
    runtime.block_on(store.close());
    waits.sort_unstable();
    let micros = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index"
        )]
        let index = (waits.len() as f64 * share) as usize;
        waits[index.min(waits.len() - 1)].as_secs_f64() * 1e6
    };
    Figures {
        rate: handled / elapsed.as_secs_f64(),
        p50: micros(0.5),
        p99: micros(0.99),
        cpu: cpu.as_secs_f64() * 1e6 / handled,
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
