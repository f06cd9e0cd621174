//! A store and its reference, led through the same script.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gristmill_queue::effects::{Send, Write};
use gristmill_queue::message::Due;
use gristmill_queue::{
    Effects, Fence, MessageId, NewMessage, Outcome, QueuePolicy, Timestamp, Transaction,
};
use gristmill_store::{Accepted, AdminError, DeadFilter, Fired, Outgoing, PurgeStates, SendError};

use super::cron::Asking;
use super::flow::Flow;
use super::judge::outcome;
use super::policy::policy;
use super::reference::{Ended, KEYS, Queue, Reference};
use super::rig::{Ground, Rig, START, declarations, name, settle};
use super::script::{End, Op, QUEUES, Sending, Step, Which};
use super::sending::{new_message, queue_of};
use super::state::{Work, body};

/// A delivery in flight.
pub struct Flight {
    pub fence: Fence,
    pub transaction: Option<Transaction>,
    pub work: Work,
}

pub type Answer<T> = Pin<Box<dyn Future<Output = T>>>;

/// What was asked of the store, and is to be judged when it has answered.
pub enum Asked {
    Send(
        Vec<(String, Sending, Vec<u8>)>,
        Answer<Result<Vec<Accepted>, SendError>>,
    ),
    End(Fence, Work, Ended),
    EndBatch(Work, Vec<(Fence, Ended)>),
    Nothing,
    Pause(String, bool, Answer<Result<(), AdminError>>),
    Purge(
        String,
        PurgeStates,
        DeadFilter,
        Answer<Result<u64, AdminError>>,
    ),
    Redrive(String, DeadFilter, Answer<Result<u64, AdminError>>),
    Fire(Asking, Answer<Result<Result<Fired, SendError>, AdminError>>),
    Cancel(MessageId, Answer<Result<(), AdminError>>),
    Move(MessageId, u64, Answer<Result<Timestamp, AdminError>>),
    ResumeGroups(String, Option<String>, Answer<Result<u64, AdminError>>),
}

pub struct World {
    pub rig: Rig,
    pub reference: Reference,
    pub flights: Vec<Flight>,
    pub spent: Vec<Fence>,
    pub serial: u64,
    /// Of the dead, as the store tells them.
    pub fingerprints: BTreeMap<u64, u64>,
    /// How many attempts have begun: that a script was worth something.
    pub started: u64,
}

pub fn poll_once<T: 'static>(future: impl Future<Output = T> + 'static) -> Answer<T> {
    let mut future: Answer<T> = Box::pin(future);
    // The first poll hands the operation to the writer.
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(answer) => Box::pin(std::future::ready(answer)),
        Poll::Pending => future,
    }
}

impl World {
    /// A new world, in a folder that is prepared first.
    pub fn on(ground: Ground, prepare: impl FnOnce(&Path)) -> Self {
        // The groups of one queue skip, those of the next halt, those of the last die.
        let plain = [("a", policy(0)), ("b", policy(6)), ("c", policy(7))];
        let mut reference = Reference::default();
        for (queue, policy) in plain.clone() {
            let queue_at_first = Queue {
                declared: true,
                policy,
                paused: false,
                slots: 0,
                skipped: 0,
                dropped: 0,
                shared: false,
                flow: Flow::default(),
            };
            reference.queues.insert(queue.to_owned(), queue_at_first);
        }
        let rig = Rig::on(ground, START, prepare, declarations(&plain));
        reference.now = rig.now();
        let mut world = World {
            rig,
            reference,
            flights: Vec::new(),
            spent: Vec::new(),
            serial: 0,
            fingerprints: BTreeMap::new(),
            started: 0,
        };
        world.attach_all(&["a", "b", "c"].map(|queue| (queue.to_owned(), 2, false)));
        world
    }

    pub fn step(&mut self, step: &Step) {
        match step {
            Step::One(op) => {
                let asked = self.ask(op, false);
                self.judge(asked);
            }
            Step::Together(ops) => self.together(ops),
            Step::Act(n, acts) => self.act(*n, acts),
            Step::Pass(time) => {
                self.rig.clock.fetch_add(*time, Ordering::SeqCst);
                self.reference.pass_time(*time);
            }
            Step::Attach(queue, slots, shared) => self.attach_anew(QUEUES[*queue], *slots, *shared),
            Step::Detach(queue) => {
                let queue = QUEUES[*queue];
                self.rig.wait(self.rig.store.detach(name(queue))).unwrap();
                let queue = self.queue(queue);
                (queue.slots, queue.shared) = (0, false);
            }
            Step::Declare(policies) => self.declare(policies),
            Step::Crontab(schedules) => self.crontab(schedules),
            Step::Reopen => self.restart(false, Rig::reopen),
            Step::Crash => self.restart(true, |rig, queues| {
                rig.die(&["store.redb", "inflight"], queues);
            }),
            Step::LosePower => {
                self.restart(false, |rig, queues| rig.die(&["store.redb"], queues));
            }
        }
        self.observe();
    }

    pub fn queue(&mut self, name: &str) -> &mut Queue {
        self.reference.queues.get_mut(name).unwrap()
    }

    /// All operations in one group. A suspect would keep the gate from closing.
    fn together(&mut self, ops: &[Op]) {
        if self.reference.messages.values().any(|m| m.suspect) {
            for op in ops {
                let asked = self.ask(op, false);
                self.judge(asked);
                self.observe();
            }
            return;
        }
        let fence = self.rig.hold();
        let asked: Vec<Asked> = ops.iter().map(|op| self.ask(op, true)).collect();
        let end = settle(fence, Outcome::Done, Effects::default());
        self.rig.store.settle(end);
        self.rig.release();
        for asked in asked {
            self.judge(asked);
        }
    }

    fn declare(&mut self, policies: &[Option<u8>; QUEUES.len()]) {
        let mut declared: Vec<(&str, QueuePolicy)> = Vec::new();
        for (queue, number) in QUEUES.into_iter().zip(policies) {
            self.queue(queue).declared = number.is_some();
            if let Some(number) = number {
                self.queue(queue).set_policy(policy(*number));
                declared.push((queue, policy(*number)));
            }
        }
        let declaring = self.rig.store.declare(declarations(&declared), Vec::new());
        self.rig.wait(declaring).unwrap();
    }

    fn restart(
        &mut self,
        blamed: bool,
        restart: impl FnOnce(&mut Rig, Vec<gristmill_store::Declaration>),
    ) {
        restart(&mut self.rig, self.reference.declared());
        let attached = self.reference.attached();
        self.spent
            .extend(self.flights.drain(..).map(|flight| flight.fence));
        self.reference.restart(blamed);
        self.observe();
        self.attach_all(&attached);
    }

    fn ask(&mut self, op: &Op, in_group: bool) -> Asked {
        let store = self.rig.store.clone();
        match op {
            Op::Send(batch) => {
                let batch: Vec<_> = batch.iter().map(|sending| self.prepare(sending)).collect();
                let outgoing = batch.iter().map(|(queue, sending, body)| Outgoing {
                    queue: name(queue),
                    message: new_message(sending, body),
                });
                let (outgoing, staged) = super::large::stage(&store, outgoing.collect());
                let sent = async move {
                    let sent = store.send_staged(outgoing, staged).await?;
                    Ok(sent.into_iter().map(|sent| sent.accepted).collect())
                };
                Asked::Send(batch, poll_once(sent))
            }
            Op::End(n, end) => self.ask_end(*n, end),
            Op::EndBatch(n, ends, stale) => self.ask_end_batch(*n, ends, *stale),
            Op::Stale(n) => {
                if !self.spent.is_empty() {
                    let fence = self.spent[n % self.spent.len()];
                    let end = settle(fence, Outcome::Done, self.stale_effects());
                    store.settle(end);
                }
                Asked::Nothing
            }
            Op::Pause(queue, paused) => {
                let (queue, paused) = (QUEUES[*queue], *paused);
                let asked = async move { store.set_paused(name(queue), paused).await };
                Asked::Pause(queue.to_owned(), paused, poll_once(asked))
            }
            Op::Purge {
                queue,
                ready,
                scheduled,
                dead,
                which,
            } => {
                let queue = QUEUES[*queue];
                let states = PurgeStates {
                    ready: *ready,
                    scheduled: *scheduled,
                    dead: *dead,
                };
                let filter = self.filter(queue, *which, in_group);
                let means = filter.clone();
                let asked = async move { store.purge(name(queue), states, means).await };
                Asked::Purge(queue.to_owned(), states, filter, poll_once(asked))
            }
            Op::Redrive(queue, which) => {
                let queue = QUEUES[*queue];
                let filter = self.filter(queue, *which, in_group);
                let means = filter.clone();
                let asked = async move { store.redrive(name(queue), means).await };
                Asked::Redrive(queue.to_owned(), filter, poll_once(asked))
            }
            Op::Fire(tick) => self.ask_fire(tick),
            Op::Cancel(n) => match self.accepted(*n) {
                Some(id) => Asked::Cancel(id, poll_once(async move { store.cancel(id).await })),
                None => Asked::Nothing,
            },
            Op::Move(n, delay) => match self.accepted(*n) {
                Some(id) => {
                    let to = match *delay {
                        0 => Due::Now,
                        delay => Due::After(Duration::from_millis(delay)),
                    };
                    let asked = async move { store.move_to(id, to).await };
                    Asked::Move(id, *delay, poll_once(asked))
                }
                None => Asked::Nothing,
            },
            Op::ResumeGroups(queue, group) => self.ask_resume(QUEUES[*queue], *group),
        }
    }

    pub fn prepare(&mut self, sending: &Sending) -> (String, Sending, Vec<u8>) {
        self.serial += 1;
        let body = body(sending, self.serial);
        (queue_of(sending).to_owned(), sending.clone(), body)
    }

    /// One of the messages that were ever accepted, the latest ones first.
    fn accepted(&self, n: usize) -> Option<MessageId> {
        let ids = &self.reference.ids;
        ids.iter().rev().nth(n % ids.len().max(1)).copied()
    }

    fn stale_effects(&self) -> Effects {
        let store = &self.rig.store;
        let value = Write::Set {
            value: "stale".into(),
            counter: false,
        };
        Effects {
            sends: vec![Send {
                to: name("a"),
                id: store.ids().mint(store.now()),
                message: NewMessage::with_body("stale"),
            }],
            writes: vec![(KEYS[0].to_owned(), value)],
            reads: Vec::new(),
        }
    }

    fn filter(&self, queue: &str, which: Which, in_group: bool) -> DeadFilter {
        let dead: Vec<_> = self
            .rig
            .store
            .dead(&name(queue), &DeadFilter::default(), 0, 1000)
            .unwrap();
        let pick = |n: usize| dead.get(n % dead.len().max(1));
        let mut filter = DeadFilter::default();
        match which {
            Which::All => {}
            Which::OneId(n) => {
                filter.ids = pick(n)
                    .map(|dead| self.reference.dead[&dead.sequence].message.id)
                    .into_iter()
                    .collect()
            }
            // What dies in the group has no fingerprint that the reference knows.
            Which::FingerprintOf(n) if !in_group => {
                filter.fingerprint = pick(n).map(|dead| dead.fingerprint)
            }
            Which::FingerprintOf(n) | Which::ReasonOf(n) => {
                filter.reason = pick(n).map(|dead| dead.reason)
            }
        }
        filter
    }

    fn ask_end(&mut self, n: usize, end: &End) -> Asked {
        if self.flights.is_empty() {
            return Asked::Nothing;
        }
        self.serial += 1;
        let n = n % self.flights.len();
        let flight = &mut self.flights[n];
        let transaction = flight.transaction.take();
        let work = std::mem::take(&mut flight.work);
        let effects = transaction.map(Transaction::finish).unwrap_or_default();
        let error = format!(
            "failure {}",
            ["one", "two", "three"][(self.serial % 3) as usize]
        );
        let (outcome, ended) = outcome(end, error);
        let fence = flight.fence;
        self.rig.store.settle(settle(fence, outcome, effects));
        Asked::End(fence, work, ended)
    }
}
