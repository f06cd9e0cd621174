//! A disk that honours fsync and nothing else: the power goes at any operation, and of what was
//! written since the last fsync any part is there, in any order, some of it torn.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod memory;
mod platter;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gristmill_queue::effects::Send;
use gristmill_queue::outcome::Usage;
use gristmill_queue::topic::{Subscription, Unmatched};
use gristmill_queue::{Effects, NewMessage, Outcome, QueueName, QueuePolicy, TopicPolicy};
use gristmill_store::{
    Declaration, Evidence, Leased, Options, Outgoing, Settle, Sink, Store, TopicDeclaration,
};
use memory::folder;
use platter::{Disk, Draw, FILES, Platter};
use redb::StorageBackend;
use redb::backends::FileBackend;

/// How often something is sent before all is over.
const ROUNDS: u64 = 8;
/// How many messages a batch has.
const BATCH: u64 = 3;
/// How often each moment is tried, each time with another part of what was not synced.
const DRAWS: u64 = 3;

/// The queues that subscribe to the topic.
const SUBSCRIBED: [&str; 3] = ["audit", "invoices", "mail"];
const TOPIC: &str = "events";
/// The queue whose handler sends to the topic.
const WORK: &str = "work";

fn name(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

fn options() -> Options {
    let declare = |queue: &str| Declaration {
        name: name(queue),
        policy: QueuePolicy::default(),
    };
    let subscribe = |queue: &str| Subscription {
        queue: name(queue),
        filters: Vec::new(),
    };
    Options {
        queues: [WORK].into_iter().chain(SUBSCRIBED).map(declare).collect(),
        topics: vec![TopicDeclaration {
            name: name(TOPIC),
            policy: TopicPolicy {
                subscriptions: SUBSCRIBED.map(subscribe).into(),
                unmatched: Unmatched::Refuse,
            },
        }],
        ..Options::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

#[derive(Default)]
struct Collected(Mutex<Vec<Leased>>);

impl Sink for Collected {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.0.lock().unwrap().extend(leased);
    }
}

/// Does something again and again, until the power goes after so many operations. Says which rounds
/// were answered with success, and what the disk is left with; nothing if the power held.
fn run_until(
    folder: &Path,
    operations: u64,
    log_bytes: u64,
    round: impl Fn(&Store, u64) -> bool,
) -> Option<(BTreeSet<u64>, Arc<Mutex<Platter>>)> {
    let platter = Arc::new(Mutex::new(Platter::default()));
    let on = |number| {
        let platter = Arc::clone(&platter);
        move |file: File| {
            let file = FileBackend::new(file).map_err(io::Error::other)?;
            Ok::<Box<dyn StorageBackend>, io::Error>(Box::new(Disk {
                file,
                number,
                platter,
            }))
        }
    };
    // Some checkpoints are done by the next commit, and others go on beside several.
    let mut draw = Draw(operations);
    let steps = move || usize::try_from(draw.below(20)).unwrap();
    let options = Options {
        open_file: Some(Box::new(on(0))),
        open_log: Some(Box::new(on(1))),
        checkpoint_by_hand: Some(Box::new(steps)),
        log_bytes,
        ..options()
    };
    let (store, _) = Store::open(folder, options).unwrap();
    platter.lock().unwrap().left = Some(operations);
    let rounds: BTreeSet<u64> = (0..ROUNDS).collect();
    let accepted: BTreeSet<u64> = { rounds.iter().copied() }
        .filter(|number| round(&store, *number))
        .collect();
    block_on(store.close());
    (accepted != rounds).then_some((accepted, platter))
}

/// Lets the power go at every operation, and the process be killed there, and looks at what is stored then:
/// with a log that takes all, one of which each half takes one commit, and one that takes none.
fn try_all(
    round: impl Fn(&Store, u64) -> bool,
    look: impl Fn(&Store, &BTreeSet<u64>) -> Result<(), String>,
) {
    for log_bytes in [2 * 1024 * 1024, 2 * 4096, 0] {
        try_with(log_bytes, &round, &look);
    }
}

fn try_with(
    log_bytes: u64,
    round: &impl Fn(&Store, u64) -> bool,
    look: &impl Fn(&Store, &BTreeSet<u64>) -> Result<(), String>,
) {
    let mut operations = 0;
    loop {
        let folder = folder();
        let Some((accepted, platter)) = run_until(folder.path(), operations, log_bytes, round)
        else {
            break;
        };
        for draw in 0..=DRAWS {
            let after = self::folder();
            let found = if draw == DRAWS {
                platter.lock().unwrap().written()
            } else {
                let mut draw = Draw(operations * DRAWS + draw);
                platter.lock().unwrap().found(&mut draw)
            };
            for (file, found) in FILES.iter().zip(found) {
                std::fs::write(after.path().join(file), found).unwrap();
            }
            let (store, _) = Store::open(after.path(), options()).unwrap();
            let looked = look(&store, &accepted);
            block_on(store.close());
            if let Err(wrong) = looked {
                panic!(
                    "a log of {log_bytes} bytes, after {operations} operations, draw {draw}: {wrong}"
                );
            }
        }
        operations += 1;
    }
    assert!(
        operations >= 2 * ROUNDS,
        "the disk did only {operations} operations"
    );
}

fn send(store: &Store, to: &str, bodies: impl Iterator<Item = u64>) -> bool {
    let messages = bodies.map(|body| Outgoing {
        queue: name(to),
        message: NewMessage::with_body(body.to_string()),
    });
    block_on(store.send(messages.collect())).is_ok()
}

fn stored(store: &Store, queue: &str) -> BTreeSet<u64> {
    peek(store, queue).unwrap()
}

/// What a queue holds; nothing, if the power is gone.
fn peek(store: &Store, queue: &str) -> Option<BTreeSet<u64>> {
    let peeked = block_on(store.peek(name(queue), 1000)).ok()?;
    let bodies = peeked.iter().map(|peeked| peeked.message.body.clone());
    let numbers: Vec<u64> = bodies
        .map(|body| std::str::from_utf8(&body).unwrap().parse().unwrap())
        .collect();
    let distinct: BTreeSet<u64> = numbers.iter().copied().collect();
    assert_eq!(distinct.len(), numbers.len(), "{queue} holds one twice");
    Some(distinct)
}

#[test]
fn an_answered_send_survives_loss_of_power_at_any_write_and_a_batch_is_whole_or_not_there() {
    let round = |store: &Store, round: u64| send(store, WORK, round * BATCH..(round + 1) * BATCH);
    try_all(round, |store, accepted| {
        let stored = stored(store, WORK);
        let whole: BTreeSet<u64> = stored.iter().map(|body| body / BATCH).collect();
        let is_whole = stored.len() as u64 == whole.len() as u64 * BATCH;
        if is_whole && whole.is_superset(accepted) && whole.len() <= accepted.len() + 1 {
            return Ok(());
        }
        Err(format!(
            "batches {accepted:?} were answered, {stored:?} is there"
        ))
    });
}

#[test]
fn an_event_is_in_all_queues_of_its_topic_or_in_none_after_loss_of_power_or_a_kill_at_any_write() {
    let round = |store: &Store, round: u64| send(store, TOPIC, [round].into_iter());
    try_all(round, |store, accepted| {
        let [audit, invoices, mail] = SUBSCRIBED.map(|queue| stored(store, queue));
        let whole = audit == invoices && audit == mail;
        if whole && audit.is_superset(accepted) && audit.len() <= accepted.len() + 1 {
            return Ok(());
        }
        Err(format!(
            "{accepted:?} was answered, {audit:?}, {invoices:?} and {mail:?} are there"
        ))
    });
}

/// A message is sent, and its handler says so to the topic.
fn handle(store: &Store, number: u64) -> bool {
    let collected = Arc::new(Collected::default());
    store.attach(name(WORK), 1, Arc::clone(&collected) as Arc<dyn Sink>);
    if !send(store, WORK, [number].into_iter()) || block_on(store.tick()).is_err() {
        return false;
    }
    let leased: Vec<Leased> = std::mem::take(&mut *collected.0.lock().unwrap());
    for leased in leased {
        let event = Send {
            to: name(TOPIC),
            id: store.ids().mint(store.now()),
            message: NewMessage::with_body(leased.message.body.clone()),
        };
        store.settle(Settle {
            fence: leased.fence,
            outcome: Outcome::Done,
            effects: Effects {
                sends: vec![event],
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
    }
    // A checkpoint may fail after what it contains was answered.
    block_on(store.tick()).is_ok()
        && peek(store, SUBSCRIBED[0]).is_some_and(|told| told.contains(&number))
}

#[test]
fn the_event_of_a_handler_is_in_all_queues_of_its_topic_or_its_message_is_still_to_be_done() {
    try_all(handle, |store, accepted| {
        let [audit, invoices, mail] = SUBSCRIBED.map(|queue| stored(store, queue));
        let waits = stored(store, WORK);
        let whole = audit == invoices && audit == mail && audit.is_disjoint(&waits);
        let all = audit.len() + waits.len();
        if whole && audit.is_superset(accepted) && all <= accepted.len() + 1 {
            return Ok(());
        }
        Err(format!(
            "{accepted:?} was done, {audit:?}, {invoices:?} and {mail:?} are there, {waits:?} waits"
        ))
    });
}
