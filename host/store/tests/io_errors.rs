//! A disk that fails at any operation, once or for good, with nothing done or half of it: no answer is
//! a lie, nothing answered is lost, and the store stops.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod memory;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gristmill_queue::effects::Send;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, NewMessage, Outcome, QueueName, QueuePolicy};
use gristmill_store::{
    Declaration, Evidence, Leased, Options, Outgoing, SendError, Sent, Settle, Sink, Store,
};
use redb::backends::FileBackend;

use failing::disk::{FAULTS, Failing, Fault, fault};
use memory::folder;

mod failing {
    pub mod disk;
}

const SENDS: u64 = 5;
const FROM: &str = "orders";
const TO: &str = "invoices";

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

fn options() -> Options {
    let declare = |queue| Declaration {
        name: name(queue),
        policy: QueuePolicy::default(),
    };
    Options {
        queues: [FROM, TO].map(declare).into(),
        // Nothing of the file is kept in memory, so that it is read.
        cache_bytes: 0,
        ..Options::default()
    }
}

fn failing(left: &Arc<AtomicU64>, fault: Fault) -> Options {
    let on = move |file: File, left: Arc<AtomicU64>| {
        let file = FileBackend::new(file).map_err(io::Error::other)?;
        Ok::<Box<dyn redb::StorageBackend>, io::Error>(Box::new(Failing { file, left, fault }))
    };
    let (of_file, of_log) = (Arc::clone(left), Arc::clone(left));
    let open_file = move |file: File| on(file, of_file);
    let open_log = move |file: File| on(file, of_log);
    Options {
        open_file: Some(Box::new(open_file)),
        open_log: Some(Box::new(open_log)),
        // The same in each run.
        checkpoint_by_hand: Some(Box::new(|| 3)),
        ..options()
    }
}

/// Bytes that the log may take: none, so that redb makes every commit durable; so few that it does now and
/// then; and so many that it never does.
const LOGS: [u64; 3] = [0, 6 * 4096, 2 * 1024 * 1024];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(60), future).await };
    runtime.block_on(limited).expect("an answer")
}

fn send(store: &Store, body: u64) -> Result<(), SendError> {
    // Large enough for the file to grow while it is tested.
    let mut message = NewMessage::with_body(format!("{body} {}", "x".repeat(9000)));
    message.dedup_id = Some(body.to_string());
    let queue = name(FROM);
    block_on(store.send(vec![Outgoing { queue, message }])).map(|_| ())
}

#[derive(Default)]
struct Collected(Mutex<Vec<Leased>>);

impl Sink for Collected {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.0.lock().unwrap().extend(leased);
    }
}

/// Acknowledges what was delivered, with a message of each to the other queue. Says what is done for
/// certain.
fn handle(store: &Store, delivered: &Collected) -> BTreeSet<u64> {
    let mut done = BTreeSet::new();
    loop {
        // What is leased is delivered after the answers of its group.
        if block_on(store.tick()).is_err() || block_on(store.tick()).is_err() {
            return done;
        }
        let Some(leased) = delivered.0.lock().unwrap().pop() else {
            return done;
        };
        let body = leased.message.body.clone();
        let number = number(&body);
        let message = NewMessage {
            body,
            ..NewMessage::with_body("")
        };
        let sends = vec![Send {
            to: name(TO),
            id: store.ids().mint(store.now()),
            message,
        }];
        store.settle(Settle {
            fence: leased.fence,
            outcome: Outcome::Done,
            effects: Effects {
                sends,
                ..Effects::default()
            },
            evidence: Evidence {
                started_at: store.now(),
                usage: Usage::default(),
                diagnostics: None,
                module: "00".into(),
                config: "00".into(),
                handler: "handler".into(),
            },
        });
        if block_on(store.tick()).is_ok() {
            done.insert(number);
        }
    }
}

fn number(body: &[u8]) -> u64 {
    let text = std::str::from_utf8(body).unwrap();
    text.split_once(' ').unwrap().0.parse().unwrap()
}

/// What waits in a queue; nothing, if that cannot be read.
fn waits(store: &Store, queue: &str) -> Option<BTreeSet<u64>> {
    let peeked = block_on(store.peek(name(queue), 1000)).ok()?;
    let numbers: Vec<u64> = peeked
        .iter()
        .map(|peeked| number(&peeked.message.body))
        .collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(numbers.len(), distinct.len(), "{queue} holds one twice");
    Some(distinct)
}

/// What is found by a host with a sound disk: what waits, and what was done.
fn found(folder: &Path) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let (store, _) = Store::open(folder, options()).unwrap();
    let [from, to] = [FROM, TO].map(|queue| waits(&store, queue).unwrap());
    block_on(store.close());
    assert!(from.is_disjoint(&to), "{from:?} and {to:?}");
    (from, to)
}

/// Sends and handles, until the n-th operation of the disk fails. Nothing, if it did not.
fn fail(
    folder: &Path,
    nth: u64,
    fault: Fault,
    log_bytes: u64,
) -> Option<(BTreeSet<u64>, BTreeSet<u64>)> {
    let left = Arc::new(AtomicU64::new(u64::MAX));
    let mut options = failing(&left, fault);
    options.log_bytes = log_bytes;
    let (told, fatal) = mpsc::channel();
    options.on_fatal = Some(Box::new(move |fatal| told.send(fatal.to_string()).unwrap()));
    let (store, _) = Store::open(folder, options).unwrap();
    left.store(nth, Ordering::SeqCst);
    let answers: Vec<_> = (0..SENDS).map(|body| send(&store, body)).collect();
    let failed = answers.iter().position(Result::is_err);
    let mut done = BTreeSet::new();
    match failed {
        Some(failed) => {
            for answer in &answers[failed..] {
                assert_eq!(*answer, Err(SendError::Unknown), "{fault:?} at {nth}");
            }
        }
        None => {
            let delivered = Arc::new(Collected::default());
            store.attach(name(FROM), 1, Arc::clone(&delivered) as Arc<dyn Sink>);
            done = handle(&store, &delivered);
            if done.len() as u64 == SENDS {
                block_on(store.close());
                return None;
            }
        }
    }
    let fatal = fatal.recv_timeout(Duration::from_secs(60));
    let fatal =
        fatal.unwrap_or_else(|_| panic!("{fault:?} at {nth}: {answers:?}, {done:?} is done"));
    assert!(fatal.contains("the store failed while"), "{fatal}");
    assert_eq!(send(&store, 99), Err(SendError::Unknown));
    assert!(block_on(store.views()).is_err(), "it takes nothing more");
    block_on(store.close());
    let accepted = (0..failed.map_or(SENDS, |failed| failed as u64)).collect();
    Some((accepted, done))
}

#[test]
fn whichever_operation_of_the_disk_fails_nothing_definite_is_said_that_is_not_so() {
    let mut faults = 0;
    let cases = FAULTS
        .iter()
        .flat_map(|fault| LOGS.map(|log| (*fault, log)));
    for (fault, log_bytes) in cases {
        let mut nth = 0;
        loop {
            let folder = folder();
            let Some((accepted, done)) = fail(folder.path(), nth, fault, log_bytes) else {
                break;
            };
            let (from, to) = found(folder.path());
            let all: BTreeSet<u64> = from.union(&to).copied().collect();
            let at = format!(
                "{fault:?} at {nth}, with a log of {log_bytes} bytes: {from:?} waits, {to:?} is done"
            );
            assert!(
                all.is_superset(&accepted),
                "{at}, {accepted:?} was accepted"
            );
            // The one that was under way may be there; those after it were not taken.
            assert!(all.len() <= accepted.len() + 1, "{at}");
            assert!(
                to.is_superset(&done) && to.len() <= done.len() + 1,
                "{at}, not {done:?}"
            );
            nth += 1;
        }
        faults += nth;
    }
    eprintln!("{faults} times an operation failed");
    assert!(faults > 1000, "only {faults} times an operation failed");
}

/// Asks for something without waiting for the answer.
fn begin(store: &Store, body: &'static str) -> Answer {
    let mut message = NewMessage::with_body(format!("{body} "));
    message.dedup_id = Some(body.to_owned());
    let (store, queue) = (store.clone(), name(FROM));
    let sent = async move { store.send(vec![Outgoing { queue, message }]).await };
    let mut sent: Answer = Box::pin(sent);
    // The first poll hands it to the writer.
    match sent.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
        Poll::Pending => sent,
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Vec<Sent>, SendError>>>>;

/// Takes what is delivered when it may.
struct Slow(Arc<Mutex<()>>);

impl Sink for Slow {
    fn deliver(self: Arc<Self>, _leased: Vec<Leased>) {
        drop(self.0.lock().unwrap());
    }
}

#[test]
fn a_repeat_is_told_nothing_before_the_original_is_durable() {
    let mut failed = 0;
    for nth in 0.. {
        let folder = folder();
        let left = Arc::new(AtomicU64::new(u64::MAX));
        let (store, _) = Store::open(folder.path(), failing(&left, FAULTS[0])).unwrap();
        // What is asked while the writer is busy is one group.
        let busy = Arc::new(Mutex::new(()));
        let held = busy.lock().unwrap();
        store.attach(name(FROM), 1, Arc::new(Slow(Arc::clone(&busy))));
        block_on(begin(&store, "0")).unwrap();
        let (original, repeat) = (begin(&store, "1"), begin(&store, "1"));
        left.store(nth, Ordering::SeqCst);
        drop(held);
        let answers = [block_on(original), block_on(repeat)];
        block_on(store.close());
        let (from, _) = found(folder.path());
        let told = answers.iter().any(Result::is_ok);
        assert!(
            !told || from.contains(&1),
            "{answers:?}, but {from:?} is there"
        );
        if answers.iter().all(Result::is_ok) {
            break;
        }
        failed += 1;
    }
    assert!(failed > 3, "the commit failed only {failed} times");
}

#[test]
fn whichever_read_fails_what_is_told_is_right_and_nothing_is_lost() {
    let whole: BTreeSet<u64> = (0..SENDS).collect();
    let sound = folder();
    let (store, _) = Store::open(sound.path(), options()).unwrap();
    whole.iter().for_each(|body| send(&store, *body).unwrap());
    block_on(store.close());
    let mut faults = 0;
    for lasting in [false, true] {
        let fault = Fault {
            reads: true,
            ..fault(false, false, lasting)
        };
        for nth in 0.. {
            let folder = folder();
            let file = folder.path().join("store.redb");
            std::fs::copy(sound.path().join("store.redb"), file).unwrap();
            std::fs::copy(
                sound.path().join("store.log"),
                folder.path().join("store.log"),
            )
            .unwrap();
            let left = Arc::new(AtomicU64::new(nth));
            let mut done = BTreeSet::new();
            if let Ok((store, _)) = Store::open(folder.path(), failing(&left, fault)) {
                let told = waits(&store, FROM);
                assert!(told.is_none_or(|told| told == whole), "{fault:?} at {nth}");
                let delivered = Arc::new(Collected::default());
                store.attach(name(FROM), 1, Arc::clone(&delivered) as Arc<dyn Sink>);
                done = handle(&store, &delivered);
                block_on(store.close());
            }
            let (from, to) = found(folder.path());
            let all: BTreeSet<u64> = from.union(&to).copied().collect();
            assert_eq!(all, whole, "{fault:?} at {nth}");
            assert!(to.is_superset(&done), "{to:?} and not {done:?}");
            if left.load(Ordering::SeqCst) < u64::MAX / 2 && left.load(Ordering::SeqCst) > 0 {
                break;
            }
            faults += 1;
        }
    }
    eprintln!("{faults} times a read failed");
    assert!(faults > 100, "only {faults} times a read failed");
}
