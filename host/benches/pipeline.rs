//! End to end in one process: producers that wait for durability, the store, the sandbox, and a
//! handler that parses a 256-byte JSON order and sends one message with its ack.
//!
//! `cargo bench -p gristmill` prints a table; each row is the median of several runs. The handler
//! has to be built before: `cargo build --target wasm32-wasip2 --profile handler --target-dir
//! target/guests -p bench`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark stops at what it does not expect"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people to read")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gristmill::dispatch::{Dispatcher, HandlerSlot, LineSpec};
use gristmill::queues::Queues;
use gristmill::runtime::spec::{
    CommandRules, Grants, GuaranteeClass, HandlerLimits, HandlerSpec, MaxCalls,
};
use gristmill::runtime::{CompileMode, Runtime, RuntimeOptions};
use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Declaration, Leased, Options, Sink, Store};
use tokio::sync::Notify;

const MODULE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/guests/wasm32-wasip2/handler/bench.wasm"
);
const RUNS: usize = 5;
const IN_FLIGHT: u32 = 1024;

fn main() {
    // `cargo test --benches` passes an argument that a benchmark has to leave alone.
    if std::env::args().any(|arg| arg == "--test") {
        return;
    }
    let module =
        std::fs::read(MODULE).expect("the handler `bench` is built; see the head of this file");
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (runs, producers): (usize, &[usize]) = if quick {
        (1, &[256])
    } else {
        (RUNS, &[1, 16, 256, 1024])
    };
    println!(
        "end to end: 256-byte JSON, durable, one message sent with each ack; median of {runs} runs, {IN_FLIGHT} in flight\n"
    );
    println!(
        "{:>9}  {:>9}  {:>12}  {:>26}  {:>14}",
        "producers", "instance", "messages/s", "sent to handled p50/p99 µs", "CPU µs/message"
    );
    for &producers in producers {
        for (name, calls) in [
            ("fresh", MaxCalls::Fixed(1)),
            ("reused", MaxCalls::Fixed(128)),
        ] {
            let mut figures: Vec<Figures> =
                (0..runs).map(|_| run(&module, producers, calls)).collect();
            figures.sort_by(|a, b| a.rate.total_cmp(&b.rate));
            let median = &figures[runs / 2];
            println!(
                "{producers:>9}  {name:>9}  {:>12.0}  {:>15.0} / {:>8.0}  {:>14.2}",
                median.rate, median.p50, median.p99, median.cpu
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

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

fn spec(calls: MaxCalls) -> HandlerSpec {
    let grants = Grants {
        send_to: Arc::new([(queue("out"), 256 * 1024)].into()),
        ..Grants::default()
    };
    HandlerSpec {
        name: "bench".to_owned(),
        path: MODULE.into(),
        grants,
        limits: HandlerLimits {
            max_calls: calls,
            ..HandlerLimits::default()
        },
        require: GuaranteeClass::default(),
        batches: Vec::new(),
        form: None,
        command: CommandRules::default(),
        sha256: None,
    }
}

fn order(number: usize) -> Vec<u8> {
    let line = r#"{"sku":"A-1","quantity":2,"unit_price_cents":1250}"#;
    let mut order =
        format!(r#"{{"id":"o-{number}","customer":"c-7","lines":[{line},{line},{line}]"#);
    order.push_str(r#","note":""#);
    order.push_str(&"n".repeat(256 - order.len() - 2));
    order.push_str(r#""}"#);
    order.into_bytes()
}

/// Notes when what the handler sent has become visible, which is when its ack is durable.
struct Watch {
    began: Instant,
    sent: Vec<AtomicU64>,
    handled: Vec<AtomicU64>,
    count: AtomicUsize,
    all: Notify,
}

impl Sink for Watch {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        let now = micros(self.began.elapsed());
        for leased in &leased {
            // {"order":"o-17","cents":…}
            let digits = leased.message.body[12..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit());
            let order = digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
            self.handled[order].store(now, Ordering::Relaxed);
        }
        let count = self.count.fetch_add(leased.len(), Ordering::AcqRel) + leased.len();
        if count == self.sent.len() {
            self.all.notify_one();
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn run(module: &[u8], producers: usize, calls: MaxCalls) -> Figures {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let policy = |concurrency| QueuePolicy {
        concurrency,
        ..QueuePolicy::default()
    };
    let declare = |name: &str, concurrency| Declaration {
        name: queue(name),
        policy: policy(concurrency),
    };
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let serving = threads.handle().clone();
    let options = Options {
        queues: vec![declare("in", IN_FLIGHT), declare("out", u32::MAX)],
        answer_elsewhere: Some(Box::new(move |answers| {
            serving.spawn(async move { answers() });
        })),
        ..Options::default()
    };
    let (store, _) = Store::open(&folder.path().join("store"), options).unwrap();
    let queues = Queues::new(store);
    let mut options = RuntimeOptions::new(folder.path().join("compiled"), CompileMode::InProcess);
    options.max_instances = IN_FLIGHT;
    let runtime = Runtime::new(options).unwrap();
    let version = runtime.load(&spec(calls), module).unwrap();
    let dispatcher = Dispatcher::new(queues.clone(), threads.handle().clone());
    let slot = Arc::new(HandlerSlot::new("bench"));
    slot.serve(version, &queues);
    let how = LineSpec {
        slots: IN_FLIGHT.into(),
        batch: None,
        config: "".into(),
    };
    dispatcher.open(&queue("in"), &slot, how);
    let messages = messages(producers);
    let atomics = || (0..messages).map(|_| AtomicU64::new(0)).collect();
    let cpu = cpu_time();
    let watch = Arc::new(Watch {
        began: Instant::now(),
        sent: atomics(),
        handled: atomics(),
        count: AtomicUsize::new(0),
        all: Notify::new(),
    });
    queues.attach(queue("out"), u32::MAX, Arc::clone(&watch) as Arc<dyn Sink>);
    threads.block_on(async {
        for producer in 0..producers {
            let (queues, watch) = (queues.clone(), Arc::clone(&watch));
            threads.spawn(async move {
                for number in (producer..messages).step_by(producers) {
                    watch.sent[number].store(micros(watch.began.elapsed()), Ordering::Relaxed);
                    let message = NewMessage::with_body(order(number));
                    queues.send(queue("in"), message).await.unwrap();
                }
            });
        }
        watch.all.notified().await;
    });
    let (elapsed, cpu) = (watch.began.elapsed(), cpu_time() - cpu);
    threads.block_on(async {
        dispatcher.stop(Duration::from_secs(30)).await;
        queues.close().await;
    });
    let pairs = watch.sent.iter().zip(&watch.handled);
    let mut waits: Vec<u64> = pairs
        .map(|(sent, handled)| {
            handled
                .load(Ordering::Relaxed)
                .saturating_sub(sent.load(Ordering::Relaxed))
        })
        .collect();
    waits.sort_unstable();
    let at = |percent: usize| waits[(waits.len() - 1) * percent / 100] as f64;
    Figures {
        rate: messages as f64 / elapsed.as_secs_f64(),
        p50: at(50),
        p99: at(99),
        cpu: cpu.as_secs_f64() * 1e6 / messages as f64,
    }
}

/// Enough for some seconds.
fn messages(producers: usize) -> usize {
    match producers {
        0..4 => 5_000,
        4..64 => 50_000,
        _ => 200_000,
    }
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
