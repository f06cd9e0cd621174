//! Operations at random against a model that keeps one list of messages and finds everything by
//! looking at all of it.

use proptest::prelude::*;
use proptest::sample::Index;

use std::cmp::Reverse;

use super::*;
use crate::message::Due;
use crate::policy::{OnExpiry, PullPolicy};

mod change;
mod expect;
mod flow;
mod invariants;
mod leases;
mod ops;
mod pull;

use flow::{Flow, limits_of};
use ops::{Op, Sent, ops};

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Waiting,
    InFlight {
        fence: Fence,
        exclusive: bool,
        alone: bool,
        pool: Option<usize>,
        pulled: Option<PullTerms>,
    },
    Dead,
    Gone,
}

#[derive(Clone, Debug)]
struct Entry {
    row: Row,
    state: State,
    conflicts: u32,
}

#[derive(Clone, Debug)]
struct Settings {
    policy: QueuePolicy,
    declared: bool,
    paused: bool,
    slots: u32,
    pool: Option<usize>,
    flow: Flow,
    totals: Totals,
}

struct Model {
    board: Board,
    boot: u64,
    queues: Vec<Settings>,
    entries: Vec<Entry>,
    stale: Vec<Fence>,
    now: u64,
    /// How many messages of all queues that share them may be in flight.
    pools: [u32; 2],
    step: u64,
}

fn id(index: usize) -> QueueId {
    QueueId(u32::try_from(index).unwrap())
}

impl Model {
    fn new() -> Self {
        let on_expiry = [OnExpiry::DeadLetter, OnExpiry::Drop, OnExpiry::DeadLetter];
        let settings = |on_expiry| Settings {
            policy: QueuePolicy {
                retry: RetryPolicy {
                    max_attempts: 4,
                    base: Duration::from_millis(3),
                    cap: Duration::from_millis(50),
                    ..RetryPolicy::default()
                },
                concurrency: 3,
                pull: PullPolicy {
                    allowed: (on_expiry == OnExpiry::DeadLetter).then_some(true),
                    max_in_flight: 3,
                    ..PullPolicy::default()
                },
                on_expiry,
                ..QueuePolicy::default()
            },
            declared: true,
            paused: false,
            slots: 2,
            pool: None,
            flow: Flow::default(),
            totals: Totals::default(),
        };
        let mut model = Model {
            board: Board::new(0),
            boot: 0,
            queues: on_expiry.map(settings).into(),
            entries: Vec::new(),
            stale: Vec::new(),
            now: 1000,
            pools: [1, 2],
            step: 0,
        };
        model.boot(0);
        model
    }

    fn settings(&mut self, index: Index) -> (QueueId, &mut Settings) {
        let index = index.index(self.queues.len());
        (id(index), &mut self.queues[index])
    }

    fn of(&self, queue: QueueId) -> &Settings {
        &self.queues[queue.0 as usize]
    }

    fn pick(&self, index: Index, wanted: impl Fn(&Entry) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.entries.len())
            .filter(|&i| wanted(&self.entries[i]))
            .collect();
        (!all.is_empty()).then(|| all[index.index(all.len())])
    }

    /// The host starts: the board is made anew of what the store keeps, in any order.
    fn boot(&mut self, shuffle: u64) {
        self.boot += 1;
        self.board = Board::new(self.boot);
        for (index, settings) in self.queues.iter_mut().enumerate() {
            settings.totals = Totals::default();
            settings.flow.restart(&settings.policy);
            let in_queue =
                |entry: &&Entry| entry.row.queue.0 as usize == index && entry.state == State::Dead;
            let dead = self.entries.iter().filter(in_queue).count() as u64;
            let name = QueueName::new(&format!("q{index}")).unwrap();
            let id = self.board.add_queue(name, settings.paused, dead);
            if settings.declared {
                self.board.declare(id, settings.policy.clone());
            }
        }
        for entry in &self.entries {
            if let State::InFlight {
                fence,
                pulled: Some(terms),
                ..
            } = entry.state
            {
                self.board.restore_pulled(fence, entry.row, terms);
            }
        }
        let mut order: Vec<usize> = (0..self.entries.len()).collect();
        order.sort_by_key(|&i| xxhash_rust::xxh3::xxh3_64_with_seed(&i.to_le_bytes(), shuffle));
        for index in order {
            let entry = &mut self.entries[index];
            entry.conflicts = 0;
            if let State::InFlight {
                fence,
                pulled: None,
                ..
            } = entry.state
            {
                self.stale.push(fence);
                let settings = &mut self.queues[entry.row.queue.0 as usize];
                match entry.row.after_crash(&settings.policy, at(self.now)) {
                    AfterCrash::RunAlone(row) => (entry.row, entry.state) = (row, State::Waiting),
                    AfterCrash::Settle(Settlement::Dead { counters, .. }) => {
                        (entry.row.counters, entry.state) = (counters, State::Dead);
                        settings.totals.died += 1;
                        self.board.note_dead(entry.row.queue);
                    }
                    AfterCrash::Settle(_) => entry.state = State::Gone,
                }
            }
            if entry.state == State::Waiting {
                self.board.restore(&entry.row, at(self.now));
            }
        }
        for (index, settings) in self.queues.iter().enumerate() {
            self.board.set_slots(id(index), settings.slots);
            let pool = settings.pool;
            self.board
                .share_slots(id(index), pool.map(|pool| flow::pool(&self.pools, pool)));
        }
        self.note_turns();
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::Accept(sent) => self.accept(sent),
            Op::Claim => self.claim(),
            Op::End(index, ref outcome, roll) => self.end(index, outcome, roll),
            Op::EndStale(index) => self.end_stale(index),
            Op::Conflicts(index) => {
                for _ in 0..=limits::MAX_CONFLICTS {
                    self.end(index, &Outcome::HandedBack(HandedBack::Conflict), 0.0);
                    self.claim();
                }
            }
            Op::Pull(index, most, batch, lasts) => self.pull(index, most, batch, lasts),
            Op::Extend(index, lasts) => self.extend(index, lasts),
            Op::Remove(index) => {
                if let Some(index) = self.pick(index, |entry| entry.state == State::Waiting) {
                    self.remove(index, Removal::Purged);
                }
            }
            Op::Cancel(index) => {
                if let Some(index) = self.pick(index, |entry| entry.state == State::Waiting) {
                    self.remove(index, Removal::Cancelled);
                }
            }
            Op::Move(index, delay) => self.move_one(index, delay),
            Op::Redrive(index) => self.redrive(index),
            Op::Damage(index) => {
                if let Some(index) = self.pick(index, |entry| {
                    entry.state == State::Waiting && entry.row.size == 0
                }) {
                    let entry = &mut self.entries[index];
                    entry.state = State::Gone;
                    assert!(self.board.forget(entry.row.place.sequence, at(self.now)));
                    self.note_turns();
                }
            }
            Op::AbandonNext(known) => self.abandon_next(known),
            Op::Pause(index, paused) => {
                let (queue, settings) = self.settings(index);
                settings.paused = paused;
                self.board.set_paused(queue, paused);
            }
            Op::Slots(index, slots) => {
                let (queue, settings) = self.settings(index);
                settings.slots = slots;
                self.board.set_slots(queue, slots);
            }
            Op::Share(index, pool, slots) => {
                let (queue, settings) = self.settings(index);
                settings.pool = pool;
                if let Some(pool) = pool {
                    self.pools[pool] = slots;
                }
                self.board
                    .share_slots(queue, pool.map(|pool| flow::pool(&self.pools, pool)));
            }
            Op::Declare(index, declared, concurrency, limits) => {
                let (queue, settings) = self.settings(index);
                settings.declared = declared;
                settings.policy.concurrency = concurrency;
                (settings.policy.rate, settings.policy.key) = limits_of(limits);
                settings.flow.change(&settings.policy);
                let policy = settings.policy.clone();
                self.board.declare(queue, policy);
                if !declared {
                    self.board.undeclare(queue);
                }
                self.note_turns();
            }
            Op::Wait(ms) => self.wait(ms),
            Op::Crash(shuffle) => self.boot(shuffle),
        }
    }

    fn accept(&mut self, sent: Sent) {
        let now = at(self.now);
        let sequence = self.entries.len() as u64;
        let (queue, settings) = self.settings(sent.queue);
        settings.totals.sent += 1;
        let row = Row {
            queue,
            place: Place {
                // Ids are given before acceptance, so the two orders differ.
                sequence: 1000 + (sequence ^ 3),
                due: now.after(Duration::from_millis(sent.delay)),
                priority: Priority::new(sent.priority).unwrap(),
                group: sent.group,
                key: sent.key,
                ordinal: sequence,
            },
            counters: Counters::default(),
            enqueued_at: now,
            expires_at: sent
                .ttl
                .map(|ttl| now.after(Duration::from_millis(sent.delay + ttl))),
            size: sent.size,
            suspect: false,
        };
        self.board.accept(&row, now);
        self.entries.push(Entry {
            row,
            state: State::Waiting,
            conflicts: 0,
        });
        self.note_turns();
    }

    fn wait(&mut self, ms: u64) {
        self.now += ms;
        self.queues.iter_mut().for_each(|queue| queue.flow.pass(ms));
        self.board.advance(at(self.now));
        let wake = self.board.wakes.first();
        assert!(
            wake.is_none_or(|(wake, _)| *wake > at(self.now)),
            "it would not rest"
        );
        self.note_turns();
        self.lapse();
        // Sometimes expired messages are left for later, as when there are very many.
        while !ms.is_multiple_of(4)
            && let Some(sequence) = self.board.expired(at(self.now))
        {
            let index = self
                .entries
                .iter()
                .position(|entry| entry.row.place.sequence == sequence)
                .unwrap();
            let why = match self.of(self.entries[index].row.queue).policy.on_expiry {
                OnExpiry::DeadLetter => Removal::ExpiredToDead,
                OnExpiry::Drop => Removal::ExpiredAndDropped,
            };
            assert!(self.has_expired(&self.entries[index]));
            self.remove(index, why);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_board_does_what_a_list_would(ops in prop::collection::vec(ops(), 0..150)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
            model.check();
        }
    }

    /// When everything is opened, everything is delivered.
    #[test]
    fn nothing_is_stuck(ops in prop::collection::vec(ops(), 0..100)) {
        let mut model = Model::new();
        for op in &ops {
            model.apply(op);
        }
        for index in 0..model.queues.len() {
            let queue = id(index);
            (model.queues[index].paused, model.queues[index].declared, model.queues[index].slots) = (false, true, 2);
            model.queues[index].policy.concurrency = 2;
            let policy = model.queues[index].policy.clone();
            model.board.declare(queue, policy);
            model.board.set_paused(queue, false);
            model.board.set_slots(queue, 2);
        }
        for _ in 0..=ops.len() {
            // Longer than any back-off, and not a multiple of four.
            model.wait(1051);
            for _ in 0..model.queues.len() * 2 {
                model.apply(&Op::Claim);
            }
            while let Some(index) = model.entries.iter().position(|entry| matches!(entry.state, State::InFlight { .. })) {
                let State::InFlight { fence, .. } = model.entries[index].state else { unreachable!() };
                model.board.end(fence, &Outcome::Done, &Settlement::Ack, at(model.now)).unwrap();
                model.entries[index].state = State::Gone;
                model.note_turns();
            }
        }
        prop_assert!(model.entries.iter().all(|entry| matches!(entry.state, State::Gone | State::Dead)));
        prop_assert_eq!(model.board.next_wake(), None);
    }
}
