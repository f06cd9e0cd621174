//! An operation of a script is asked of the store; what it answers is judged later.

use std::time::Duration;

use gristmill_queue::effects::{Send, Write};
use gristmill_queue::message::Due;
use gristmill_queue::{Effects, MessageId, NewMessage, Outcome, Transaction};
use gristmill_store::{DeadFilter, PurgeStates};

use super::judge::outcome;
use super::parcel::Parcel;
use super::reference::KEYS;
use super::rig::{name, settle};
use super::script::{End, Op, QUEUES, Sending, Which};
use super::world::{Asked, World, poll_once};

impl World {
    pub fn ask(&mut self, op: &Op, in_group: bool) -> Asked {
        let store = self.rig.store.clone();
        match op {
            Op::Send(batch) => {
                let batch: Vec<_> = batch.iter().map(|sending| self.prepare(sending)).collect();
                let outgoing = batch.iter().map(Parcel::outgoing);
                let (outgoing, staged) = super::large::stage(&store, outgoing.collect());
                let sent = async move { store.send_staged(outgoing, staged).await };
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
            // What a receive in a group with others gets is seen when all of the group is judged.
            Op::Receive(..) if in_group => Asked::Nothing,
            Op::Receive(queue, max, batch, lasts) => self.ask_receive(*queue, *max, *batch, *lasts),
            Op::Pulled(n, pulling, stale) => self.ask_pulled(*n, pulling, *stale),
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
            Op::Order {
                queue,
                which,
                to,
                rate,
            } => self.ask_redrive(*queue, *which, *to, *rate),
            Op::CancelRedrive(n) => self.ask_cancel_redrive(*n),
            Op::Edit(queue, n, size) => self.ask_edit(*queue, *n, *size),
            Op::Request(sending, own) => self.ask_request(sending, *own, in_group),
            Op::Answer(n, size) => match self.act_reply(*n, *size) {
                Some(n) => self.ask_end(n, &End::Done),
                None => Asked::Nothing,
            },
            Op::Wait(n) => self.ask_wait(*n),
            Op::Leave(n) => self.ask_leave(*n),
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

    pub fn prepare(&mut self, sending: &Sending) -> Parcel {
        self.serial += 1;
        Parcel::new(sending, self.serial)
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

    pub fn filter(&self, queue: &str, which: Which, in_group: bool) -> DeadFilter {
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
