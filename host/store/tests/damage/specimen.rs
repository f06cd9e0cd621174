//! A store with something of everything in it, and what it may say after its file was damaged.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "not every test that damages files needs everything"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill_queue::effects::{StateReader, Write};
use gristmill_queue::message::Due;
use gristmill_queue::outcome::Usage;
use gristmill_queue::policy::OnGroupFailure;
use gristmill_queue::{
    Effects, MessageId, NewMessage, Outcome, QueueName, QueuePolicy, Reason, Timestamp,
};
use gristmill_store::{
    Accepted, Clock, DeadFilter, Declaration, Evidence, Fired, Leased, Options, Outgoing,
    SendError, Settle, Sink, Store,
};

mod pulls;
mod ticks;

use pulls::pull;
use ticks::{fire_again, tick};

use super::super::memory::folder;

const START: u64 = 1_763_640_000_000;
const QUEUES: [&str; 3] = ["waits", "dies", "works"];
const HANDLER: &str = "handler";

/// A store's file, and what is in it.
pub struct Specimen {
    pub file: Vec<u8>,
    messages: BTreeMap<MessageId, (String, Vec<u8>)>,
    state: BTreeMap<String, Vec<u8>>,
    firsts: BTreeMap<String, MessageId>,
    /// Queues and groups.
    halted: BTreeSet<(String, Option<String>)>,
    /// What was handled: an old page may still have it.
    ended: BTreeMap<MessageId, (String, Vec<u8>)>,
    /// What was handled may come again.
    pub again: bool,
}

/// What a damaged store did.
#[derive(Debug)]
pub enum Seen {
    Refused,
    Stopped,
    /// It worked, but so many things were missing; and whether it said so.
    Worked {
        lost: usize,
        told: bool,
    },
}

#[derive(Default)]
struct Collected(Mutex<Vec<Leased>>);

impl Sink for Collected {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.0.lock().unwrap().extend(leased);
    }
}

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

fn options(now: u64) -> Options {
    let declare = |queue: &&str| Declaration {
        name: name(queue),
        policy: QueuePolicy {
            concurrency: 1000,
            on_group_failure: OnGroupFailure::Halt,
            ..QueuePolicy::default()
        },
    };
    Options {
        clock: Clock::Manual(Arc::new(now.into())),
        queues: QUEUES.iter().map(declare).collect(),
        cache_bytes: 1024 * 1024,
        ..Options::default()
    }
}

fn settle(leased: &Leased, outcome: Outcome, effects: Effects) -> Settle {
    Settle {
        fence: leased.fence,
        outcome,
        effects,
        evidence: Evidence {
            started_at: Timestamp::from_unix_ms(START),
            usage: Usage::default(),
            diagnostics: None,
            module: "00".into(),
            config: "00".into(),
            handler: HANDLER.into(),
        },
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(60), future).await };
    runtime.block_on(limited).expect("an answer")
}

fn message(n: usize) -> NewMessage {
    let mut message = NewMessage::with_body(format!("{n} {}", "x".repeat(n * 37 % 900)));
    message.envelope.group = n.is_multiple_of(2).then(|| format!("g{}", n % 8));
    message.dedup_id = n.is_multiple_of(4).then(|| format!("key {n}"));
    if n.is_multiple_of(5) {
        message.due = Due::After(Duration::from_secs(60));
    }
    message
}

/// What is leased now. Leases are granted after what was asked for is answered, so who wants to see
/// them asks once more.
fn collect(store: &Store, sink: &Collected) -> Vec<Leased> {
    for _ in 0..3 {
        block_on(store.tick()).unwrap();
    }
    std::mem::take(&mut *sink.0.lock().unwrap())
}

async fn send(store: &Store, queue: &str, message: NewMessage) -> Result<Accepted, SendError> {
    let queue = name(queue);
    let sent = store.send(vec![Outgoing { queue, message }]).await;
    sent.map(|sent| sent[0].accepted)
}

impl Specimen {
    pub fn make() -> Self {
        let folder = folder();
        let (store, _) = Store::open(folder.path(), options(START)).unwrap();
        let mut specimen = Specimen {
            file: Vec::new(),
            messages: BTreeMap::new(),
            state: BTreeMap::new(),
            firsts: BTreeMap::new(),
            halted: BTreeSet::new(),
            ended: BTreeMap::new(),
            again: false,
        };
        for n in 0..120 {
            let (queue, message) = (QUEUES[n % 3], message(n));
            let id = block_on(send(&store, queue, message.clone())).unwrap().id;
            if let Some(key) = message.dedup_id {
                specimen.firsts.insert(format!("{queue} {key}"), id);
            }
            let sent = (queue.to_owned(), message.body.to_vec());
            specimen.messages.insert(id, sent);
        }
        specimen.handle(&store);
        pull(&store);
        let fired = tick(&store).unwrap().unwrap();
        let Ok(Fired::Sent(sent)) = fired[0] else {
            panic!("{fired:?}");
        };
        let sent_for_it = (QUEUES[0].to_owned(), b"tick".to_vec());
        specimen.messages.insert(sent.id, sent_for_it);
        block_on(store.close());
        specimen.file = std::fs::read(folder.path().join("store.redb")).unwrap();
        specimen
    }

    /// Lets some die, some fail, and some be acknowledged and leave state behind.
    fn handle(&mut self, store: &Store) {
        let sink = Arc::new(Collected::default());
        for queue in &QUEUES[1..] {
            store.attach(name(queue), 1000, Arc::clone(&sink) as Arc<dyn Sink>);
        }
        let leased = collect(store, &sink);
        assert!(leased.len() > 20, "only {} were leased", leased.len());
        for (n, leased) in leased.iter().enumerate() {
            let error = format!("failure {n}");
            if leased.message.queue.as_str() == "dies" {
                if let Some(group) = leased.message.envelope.group.clone() {
                    self.halted.insert(("dies".to_owned(), Some(group)));
                }
                store.settle(settle(
                    leased,
                    Outcome::Rejected { error },
                    Effects::default(),
                ));
            } else if n % 2 == 0 {
                let failed = Outcome::Failed {
                    reason: Reason::Trap,
                    error,
                    delay: None,
                };
                store.settle(settle(leased, failed, Effects::default()));
            } else {
                let (key, value) = (format!("k{n}"), format!("v{n}"));
                let set = Write::Set {
                    value: value.clone().into(),
                    counter: false,
                };
                let effects = Effects {
                    writes: vec![(key.clone(), set)],
                    ..Effects::default()
                };
                store.settle(settle(leased, Outcome::Done, effects));
                self.state.insert(key, value.into());
                let id = leased.message.id;
                if let Some(ended) = self.messages.remove(&id) {
                    self.ended.insert(id, ended);
                }
            }
        }
        // What the second round of groups was leased goes back.
        for leased in collect(store, &sink) {
            let back = Outcome::HandedBack(gristmill_queue::outcome::HandedBack::Shutdown);
            block_on(store.detach(leased.message.queue.clone())).unwrap();
            store.settle(settle(&leased, back, Effects::default()));
        }
        block_on(store.tick()).unwrap();
    }

    /// Opens such a file and uses it. An error is a wrong answer.
    pub fn examine(&self, file: &[u8]) -> Result<Seen, String> {
        let folder = folder();
        std::fs::write(folder.path().join("store.redb"), file).unwrap();
        let stopped = Arc::new(AtomicBool::new(false));
        let mut options = options(START + 120_000);
        let fatal = Arc::clone(&stopped);
        options.on_fatal = Some(Box::new(move |_| fatal.store(true, Ordering::SeqCst)));
        let Ok((store, recovery)) = Store::open(folder.path(), options) else {
            return Ok(Seen::Refused);
        };
        let mut told = recovery.quarantined + recovery.letters_missing > 0;
        let mut found = 0;
        let looked = self
            .look(&store, &mut told, &mut found)
            .and_then(|()| fire_again(&store))
            .and_then(|()| self.repeat(&store))
            .and_then(|()| self.deliver(&store, &mut found));
        block_on(store.close());
        looked?;
        if stopped.load(Ordering::SeqCst) {
            return Ok(Seen::Stopped);
        }
        let lost = (self.messages.len() + self.state.len()).saturating_sub(found);
        // What is put aside while it runs is counted at the next start.
        if let Ok((store, recovery)) = Store::open(folder.path(), self::options(START + 120_000)) {
            told |= recovery.quarantined + recovery.letters_missing > 0;
            block_on(store.close());
        } else {
            told = true;
        }
        Ok(Seen::Worked { lost, told })
    }

    /// The names of the queues.
    pub fn queues() -> Vec<QueueName> {
        QUEUES.iter().map(|queue| name(queue)).collect()
    }

    /// How many messages and values are kept, at least in part, in these bytes.
    pub fn kept_in(&self, bytes: &[u8]) -> usize {
        let has = |wanted: &[u8]| bytes.windows(wanted.len()).any(|found| found == wanted);
        let messages = self.messages.keys().filter(|id| has(&id.to_bytes()));
        let state = self
            .state
            .keys()
            .filter(|key| has(format!("{HANDLER}\0{key}").as_bytes()));
        messages.count() + state.count()
    }

    fn check(&self, found: &gristmill_queue::Message) -> Result<usize, String> {
        let is =
            |sent: &(String, Vec<u8>)| sent.0 == found.queue.as_str() && *sent.1 == *found.body;
        match self.messages.get(&found.id) {
            Some(sent) if is(sent) => Ok(1),
            None if self.again && self.ended.get(&found.id).is_some_and(is) => Ok(0),
            expected => Err(format!("{found:?} instead of {expected:?}")),
        }
    }

    /// Dead letters and state: each is right, or it is an error.
    fn look(&self, store: &Store, told: &mut bool, found: &mut usize) -> Result<(), String> {
        for queue in QUEUES {
            match store.dead(&name(queue), &DeadFilter::default(), 0, 1000) {
                Ok(dead) => {
                    for summary in dead {
                        match store.dead_letter(&name(queue), summary.sequence) {
                            Ok(Some(letter)) => {
                                *found += self.check(&letter.message)?;
                            }
                            Ok(None) | Err(_) => *told = true,
                        }
                    }
                }
                Err(_) => *told = true,
            }
        }
        let reader: Arc<dyn StateReader> = store.state(HANDLER.into());
        for (key, value) in &self.state {
            match reader.get(key) {
                Ok(Some(stored)) if *stored.value == **value => *found += 1,
                Ok(Some(stored)) => return Err(format!("state {key} is {:?}", stored.value)),
                Ok(None) => {}
                Err(_) => *told = true,
            }
        }
        Ok(())
    }

    /// A repeated send is told the first one's id, or is taken as new, or nothing is known.
    fn repeat(&self, store: &Store) -> Result<(), String> {
        for n in (0..120).step_by(4) {
            let (queue, message) = (QUEUES[n % 3], message(n));
            let key = format!("{queue} {}", message.dedup_id.clone().unwrap());
            match block_on(send(store, queue, message)) {
                Ok(accepted) if accepted.duplicate && accepted.id != self.firsts[&key] => {
                    return Err(format!(
                        "{key} was first {}, not {}",
                        self.firsts[&key], accepted.id
                    ));
                }
                Ok(Accepted {
                    duplicate: false,
                    id,
                    ..
                }) if self.messages.contains_key(&id) => {
                    return Err(format!("{id} is given twice"));
                }
                Ok(_) | Err(SendError::Unknown) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// First what is not halted, then the rest.
    fn deliver(&self, store: &Store, found: &mut usize) -> Result<(), String> {
        let sink = Arc::new(Collected::default());
        for queue in QUEUES {
            store.attach(name(queue), 1000, Arc::clone(&sink) as Arc<dyn Sink>);
        }
        self.deliver_but(&self.halted, store, &sink, found)?;
        for queue in QUEUES {
            // It may be paused, because a halted group is not known for certain.
            let _ = block_on(store.resume_groups(name(queue), None));
            let _ = block_on(store.set_paused(name(queue), false));
        }
        self.deliver_but(&BTreeSet::new(), store, &sink, found)
    }

    fn deliver_but(
        &self,
        halted: &BTreeSet<(String, Option<String>)>,
        store: &Store,
        sink: &Collected,
        found: &mut usize,
    ) -> Result<(), String> {
        while block_on(store.tick()).is_ok() {
            let leased = std::mem::take(&mut *sink.0.lock().unwrap());
            if leased.is_empty()
                && block_on(store.tick()).is_ok()
                && sink.0.lock().unwrap().is_empty()
            {
                break;
            }
            for leased in leased {
                // Sent anew, because its dedup id was no longer known.
                let again = leased.message.enqueued_at > Timestamp::from_unix_ms(START);
                if !again {
                    *found += self.check(&leased.message)?;
                    let group = leased.message.envelope.group.clone();
                    if halted.contains(&(leased.message.queue.to_string(), group)) {
                        return Err(format!("{:?} is of a halted group", leased.message));
                    }
                }
                store.settle(settle(&leased, Outcome::Done, Effects::default()));
            }
        }
        Ok(())
    }
}
