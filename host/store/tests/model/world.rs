//! A store and its reference, led through the same script.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use gristmill_queue::{Effects, Fence, MessageId, Outcome, Timestamp, Transaction, limits};
use gristmill_store::{AdminError, DeadFilter, Fired, PurgeStates, SendError, Sent};

use super::cron::Asking;
use super::flow::Flow;
use super::parcel::Parcel;
use super::policy::policy;
use super::pull::{AskedReceive, AskedSettle};
use super::redrives::AskedRedrive;
use super::reference::{Ended, Queue, Reference};
use super::replies::{AskedReply, Waiter, replies_policy};
use super::rig::{Declared, Ground, Rig, START, declarations, name, settle};
use super::script::{Op, QUEUES, Step};
use super::state::Work;

/// A delivery in flight.
pub struct Flight {
    pub fence: Fence,
    pub transaction: Option<Transaction>,
    pub work: Work,
}

pub type Answer<T> = Pin<Box<dyn Future<Output = T>>>;

/// What was asked of the store, and is to be judged when it has answered.
pub enum Asked {
    Send(Vec<Parcel>, Answer<Result<Vec<Sent>, SendError>>),
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
    Redriving(AskedRedrive),
    Receive(AskedReceive),
    Pulled(AskedSettle),
    Reply(AskedReply),
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
    /// Every lease that pull consumers were ever granted, with its queue.
    pub pulls: Vec<(String, Fence)>,
    pub serial: u64,
    /// What the replies of requests are found by.
    pub requests: Vec<String>,
    pub waiters: Vec<Waiter>,
    /// The replies that they have been handed since the last step.
    pub handed: Vec<(u64, Arc<gristmill_queue::Message>)>,
    /// Of the dead, as the store tells them.
    pub fingerprints: BTreeMap<u64, u64>,
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
        let replies = (limits::REPLIES, replies_policy());
        let plain = [
            ("a", policy(0)),
            ("b", policy(6)),
            ("c", policy(7)),
            replies,
        ];
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
        reference.declare_topics(&[Some(1), Some(2)]);
        let declared = (declarations(&plain), reference.topic_declarations());
        let rig = Rig::on(ground, START, prepare, declared);
        reference.now = rig.now();
        let mut world = World {
            rig,
            reference,
            flights: Vec::new(),
            spent: Vec::new(),
            pulls: Vec::new(),
            serial: 0,
            requests: Vec::new(),
            waiters: Vec::new(),
            handed: Vec::new(),
            fingerprints: BTreeMap::new(),
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
            Step::Declare(policies, topics) => self.declare(policies, topics),
            Step::Crontab(schedules) => self.crontab(schedules),
            Step::Reopen => self.restart(false, Rig::reopen),
            Step::Crash => self.restart(true, |rig, queues| {
                rig.die(&["store.log", "store.redb", "inflight"], queues);
            }),
            Step::LosePower => {
                self.restart(false, |rig, queues| {
                    rig.die(&["store.log", "store.redb"], queues)
                });
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

    fn declare(&mut self, policies: &[Option<u8>], topics: &[Option<u8>]) {
        let mut declared = vec![(limits::REPLIES, replies_policy())];
        for (queue, number) in QUEUES.into_iter().zip(policies) {
            self.queue(queue).declared = number.is_some();
            if let Some(number) = number {
                self.queue(queue).set_policy(policy(*number));
                declared.push((queue, policy(*number)));
            }
        }
        self.reference.declare_topics(topics);
        let topics = self.reference.topic_declarations();
        let declaring = self.rig.store.declare(declarations(&declared), topics);
        self.rig.wait(declaring).unwrap();
    }

    fn restart(&mut self, blamed: bool, restart: impl FnOnce(&mut Rig, Declared)) {
        let declared = self.reference.declared();
        self.waiters.clear();
        restart(&mut self.rig, declared);
        self.reference.waiters.clear();
        let attached = self.reference.attached();
        self.spent
            .extend(self.flights.drain(..).map(|flight| flight.fence));
        self.reference.restart(blamed);
        self.observe();
        self.attach_all(&attached);
    }
}
