//! A store whose last time lies in the future, on the clocks of the real machine: waits are as long
//! as they should be, and the writer sleeps meanwhile.
//!
//! By itself in this file, because it looks for the writer by the name of its thread.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::fs;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gristmill_queue::message::Due;
use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Clock, Declaration, Drift, Leased, Options, Outgoing, Sink, Store};

const YEAR: Duration = Duration::from_secs(365 * 86_400);
const DELAY: Duration = Duration::from_millis(1500);
/// How much of the time the writer may work. A tick of the system is 10 ms.
const MOST_TICKS: u64 = 30;

struct Told(mpsc::Sender<Leased>);

impl Sink for Told {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for one in leased {
            self.0.send(one).unwrap();
        }
    }
}

fn options(clock: Clock) -> Options {
    Options {
        clock,
        queues: vec![Declaration {
            name: QueueName::new("orders").unwrap(),
            policy: QueuePolicy::default(),
        }],
        ..Options::default()
    }
}

fn send(runtime: &tokio::runtime::Runtime, store: &Store, due: Due) {
    let mut message = NewMessage::with_body("x");
    message.due = due;
    let queue = QueueName::new("orders").unwrap();
    let sent = runtime.block_on(store.send(vec![Outgoing { queue, message }]));
    sent.unwrap();
}

/// The CPU time of the writer, in ticks.
fn writer_ticks() -> u64 {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let of_writer = tasks.flatten().find_map(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, rest) = stat.split_once(") ")?;
        name.ends_with("(store-writer").then(|| rest.to_owned())
    });
    let stat = of_writer.unwrap();
    let numbers: Vec<&str> = stat.split(' ').collect();
    numbers[11].parse::<u64>().unwrap() + numbers[12].parse::<u64>().unwrap()
}

#[test]
fn a_store_from_the_future_waits_as_long_as_it_should_and_sleeps_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let later = u64::try_from((now + YEAR).as_millis()).unwrap();
    let clock = Clock::Manual(Arc::new(AtomicU64::new(later)));
    let (store, _) = Store::open(folder.path(), options(clock)).unwrap();
    send(&runtime, &store, Due::After(DELAY));
    runtime.block_on(store.close());
    drop(store);

    let (store, _) = Store::open(folder.path(), options(Clock::System)).unwrap();
    let began = Instant::now();
    let Drift::Ahead(by) = store.drift() else {
        panic!("{:?}", store.drift());
    };
    assert!(by.abs_diff(YEAR) < Duration::from_secs(3600), "{by:?}");
    let (told, deliveries) = mpsc::channel();
    let queue = QueueName::new("orders").unwrap();
    store.attach(queue, 8, Arc::new(Told(told)));
    send(&runtime, &store, Due::After(DELAY));
    let before = writer_ticks();
    for _ in 0..2 {
        deliveries.recv_timeout(Duration::from_secs(60)).unwrap();
    }
    let (waited, worked) = (began.elapsed(), writer_ticks() - before);
    assert!(waited >= DELAY, "{waited:?}");
    assert!(
        worked <= MOST_TICKS,
        "the writer worked {worked} ticks in {waited:?}"
    );
    runtime.block_on(store.close());
}
