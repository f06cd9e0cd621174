//! Redrives: at a rate, to another queue, back to where a message died, with another body; and
//! cancelled. Written from the contract.

use std::time::Duration;

use gristmill_queue::{MessageId, NewMessage, Reason};
use gristmill_store::{AdminError, DeadFilter, Destination, Outgoing, RedriveOrder, Redriven};

use super::large::stage;
use super::reference::{Counts, Dead, Message, Reference};
use super::rig::name;
use super::script::{QUEUES, Which};
use super::world::{Answer, Asked, World, poll_once};

/// What comes in while a redrive rests is taken together.
const REST: u64 = 20;

/// Where a message has died that an ordinary queue took.
#[derive(Clone, Debug)]
pub struct Died {
    pub queue: String,
    pub reason: Reason,
    pub lives: Option<u64>,
}

/// A redrive under way.
#[derive(Clone, Debug)]
pub struct Running {
    pub queue: String,
    pub order: RedriveOrder,
    started: u64,
    after: u64,
    pub done: u64,
    /// How much of its bucket is missing, in thousandths of a letter, and since when.
    missing: u64,
    at: u64,
    next: u64,
    /// What it found in the queue that it takes from, since the host started.
    waiting: Option<Vec<u64>>,
}

impl Running {
    /// So many a second come in, and a tenth of a second's worth at once.
    fn may_take(&mut self, now: u64) -> bool {
        let Some((count, _)) = self.order.rate else {
            return true;
        };
        let (count, full) = (u64::from(count), u64::from(count / 10).max(1) * 1000);
        self.missing = self.missing.saturating_sub((now - self.at) * count);
        self.at = now;
        if self.missing + 1000 <= full {
            self.missing += 1000;
            return true;
        }
        let wait = (self.missing + 1000 - full).div_ceil(count);
        self.next = now + wait.max(REST);
        false
    }
}

fn means(filter: &DeadFilter, sequence: u64, reason: Reason) -> bool {
    let ids = &filter.ids;
    (ids.is_empty() || ids.iter().any(|id| id.sequence() == sequence))
        && filter.reason.is_none_or(|wanted| wanted == reason)
}

impl Reference {
    /// Starts a redrive. Says whether it is done, and how much of it.
    pub fn start_redrive(&mut self, queue: &str, order: RedriveOrder) -> Result<u64, Box<Running>> {
        let mut running = Running {
            queue: queue.to_owned(),
            order,
            started: self.now,
            after: 0,
            done: 0,
            missing: 0,
            at: self.now,
            next: self.now,
            waiting: None,
        };
        if self.redrive_some(&mut running) {
            Ok(running.done)
        } else {
            Err(Box::new(running))
        }
    }

    /// Goes on with the redrives whose time it is, the oldest first.
    pub fn go_on_redriving(&mut self) {
        for (number, mut running) in std::mem::take(&mut self.redrives) {
            if running.next > self.now || !self.redrive_some(&mut running) {
                self.redrives.insert(number, running);
            }
        }
    }

    /// It goes on at once, with a full bucket.
    pub fn restart_redrives(&mut self) {
        for running in self.redrives.values_mut() {
            self.tally.note("redrives that a restart interrupts");
            (running.missing, running.at) = (0, self.now);
            (running.next, running.waiting) = (self.now, None);
        }
    }

    fn redrive_some(&mut self, running: &mut Running) -> bool {
        match running.order.to.clone() {
            Destination::Home => self.revive_some(running, &running.queue.clone()),
            Destination::Queue(to) => {
                let to = to.to_string();
                // If nothing takes them any more, the rest stays dead.
                let takes = to == running.queue || self.queues[&to].declared;
                !takes || self.revive_some(running, &to)
            }
            Destination::Source => self.return_some(running),
            // Move tasks of the SQS endpoint have tests of their own.
            Destination::Onward(_) => unreachable!("no script asks for it"),
        }
    }

    fn revive_some(&mut self, running: &mut Running, to: &str) -> bool {
        let letters = self.dead.iter().filter(|(sequence, dead)| {
            dead.message.queue == running.queue
                && **sequence > running.after
                && means(&running.order.filter, **sequence, dead.reason)
        });
        let letters: Vec<(u64, u64)> = letters.map(|(&n, dead)| (n, dead.died)).collect();
        for (sequence, died) in letters {
            if died <= running.started {
                if !running.may_take(self.now) {
                    return false;
                }
                self.revive(sequence, to);
                if self.now > running.started {
                    self.tally.note("letters at a rate");
                }
                running.done += 1;
            }
            running.after = sequence;
        }
        true
    }

    fn return_some(&mut self, running: &mut Running) -> bool {
        if running.waiting.is_none() {
            let waits = self.of_queue(&running.queue).filter(|m| !m.in_flight);
            let later = waits.map(|m| m.id.sequence());
            running.waiting = Some(later.filter(|&n| n > running.after).collect());
        }
        for sequence in running.waiting.clone().unwrap_or_default() {
            if sequence <= running.after {
                continue;
            }
            let message = self.messages.get(&sequence).filter(|m| {
                let died = m.died.as_ref();
                let meant =
                    died.is_some_and(|died| means(&running.order.filter, sequence, died.reason));
                meant && !m.in_flight && m.queue == running.queue && m.since <= running.started
            });
            if let Some(died) = message.and_then(|message| message.died.clone()) {
                if !running.may_take(self.now) {
                    return false;
                }
                if died.queue != running.queue && self.queues[&died.queue].declared {
                    self.give_back(sequence, died);
                    running.done += 1;
                }
            }
            running.after = sequence;
        }
        true
    }

    /// Takes a letter out of the dead store of its queue, into that or another.
    pub fn revive(&mut self, sequence: u64, to: &str) {
        let mut message = self.dead.remove(&sequence).expect("it is dead").message;
        message.counts = Counts {
            redriven: message.counts.redriven + 1,
            ..Counts::default()
        };
        if message.queue != to {
            self.tally.note("letters to another queue");
            to.clone_into(&mut message.queue);
            self.orders += 1;
            message.order = self.orders;
        }
        self.begin_anew(message);
    }

    /// Takes a message back to where it died, in its old place.
    fn give_back(&mut self, sequence: u64, died: Died) {
        let mut message = self.messages.remove(&sequence).expect("it waits");
        message.counts = Counts {
            redriven: message.counts.redriven + 1,
            ..Counts::default()
        };
        message.history.clear();
        self.tally.note("letters back to their source");
        (message.queue, message.lives, message.died) = (died.queue, died.lives, None);
        self.begin_anew(message);
    }

    fn begin_anew(&mut self, mut message: Message) {
        (message.due, message.since) = (self.now, self.now);
        message.expires = message.lives.map(|lives| self.now + lives);
        (message.suspect, message.conflicts, message.wants_fresh) = (false, 0, false);
        let policy = &self.queues[&message.queue].policy;
        message.key = policy.key.as_ref().and(message.tenant.clone());
        self.messages.insert(message.id.sequence(), message);
        self.note_turns();
    }

    fn letter(&self, queue: &str, id: MessageId) -> Option<&Dead> {
        let letter = self.dead.get(&id.sequence());
        letter.filter(|dead| dead.message.queue == queue)
    }

    /// Sends a letter again with another body: as a new message in the place of the old one.
    fn edit(&mut self, old: MessageId, new: MessageId, body: &[u8]) {
        self.meet(new);
        self.tally.note("letters edited");
        let mut message = self
            .dead
            .remove(&old.sequence())
            .expect("it is dead")
            .message;
        (message.id, message.body) = (new, body.to_vec());
        message.causation = Some(old);
        message.counts = Counts::default();
        message.history.clear();
        self.begin_anew(message);
    }
}

/// A redrive that was asked for, and the answer.
pub enum AskedRedrive {
    Start(String, RedriveOrder, Answer<Result<Redriven, AdminError>>),
    Cancel(u64, Answer<Result<u64, AdminError>>),
    Edit {
        queue: String,
        id: MessageId,
        body: Vec<u8>,
        answer: Answer<Result<MessageId, AdminError>>,
    },
}

impl World {
    pub fn ask_redrive(
        &mut self,
        queue: usize,
        which: Which,
        to: Option<usize>,
        rate: Option<u32>,
    ) -> Asked {
        let returns = to.is_some_and(|to| to >= QUEUES.len());
        let queue = self.nth_with_dead(queue, returns);
        let (to, filter) = match to.map(|to| QUEUES.get(to)) {
            None => (Destination::Home, self.filter(queue, which, true)),
            Some(Some(to)) => {
                let filter = self.filter(queue, which, true);
                (Destination::Queue(name(to)), filter)
            }
            Some(None) => (Destination::Source, self.filter_of_moved(queue, which)),
        };
        let rate = rate.map(|count| (count, Duration::from_secs(1)));
        let order = RedriveOrder { filter, to, rate };
        let (store, meant) = (self.rig.store.clone(), order.clone());
        let asked = async move { store.start_redrive(name(queue), meant).await };
        let queue = queue.to_owned();
        Asked::Redriving(AskedRedrive::Start(queue, order, poll_once(asked)))
    }

    /// One of the queues that have dead letters, or messages that died elsewhere; any, if none has.
    fn nth_with_dead(&self, n: usize, moved: bool) -> &'static str {
        let has = |queue: &&&str| {
            let dead = self.reference.dead.values();
            let mut dead = dead.filter(|dead| dead.message.queue == **queue);
            let mut here = self.reference.of_queue(queue);
            (!moved && dead.next().is_some()) || (moved && here.any(|m| m.died.is_some()))
        };
        let all: Vec<&&str> = QUEUES.iter().filter(has).collect();
        all.get(n % all.len().max(1))
            .map_or(QUEUES[n], |queue| **queue)
    }

    fn filter_of_moved(&self, queue: &str, which: Which) -> DeadFilter {
        let moved = self.reference.of_queue(queue);
        let moved: Vec<_> = moved
            .filter_map(|m| Some((m.id, m.died.as_ref()?.reason)))
            .collect();
        let pick = |n: usize| moved.get(n % moved.len().max(1));
        let mut filter = DeadFilter::default();
        match which {
            Which::All => {}
            Which::OneId(n) => filter.ids = pick(n).map(|(id, _)| *id).into_iter().collect(),
            Which::ReasonOf(n) | Which::FingerprintOf(n) => {
                filter.reason = pick(n).map(|(_, reason)| *reason);
            }
        }
        filter
    }

    /// Cancels one of those under way; one that never was, if there is none.
    pub fn ask_cancel_redrive(&mut self, n: usize) -> Asked {
        let numbers = self.reference.redrives.keys();
        let count = numbers.len().max(1);
        let number = numbers.copied().nth(n % count).unwrap_or(u64::MAX);
        let store = self.rig.store.clone();
        let asked = async move { store.cancel_redrive(number).await };
        Asked::Redriving(AskedRedrive::Cancel(number, poll_once(asked)))
    }

    pub fn ask_edit(&mut self, queue: usize, n: usize, size: usize) -> Asked {
        let queue = self.nth_with_dead(queue, false);
        let filter = self.filter(queue, Which::OneId(n), true);
        let Some(&id) = filter.ids.first() else {
            return Asked::Nothing;
        };
        self.serial += 1;
        let mut body = format!("e{}", self.serial).into_bytes();
        body.resize(body.len().max(size), b'.');
        let (store, sent) = (self.rig.store.clone(), body.clone());
        let new = Outgoing {
            queue: name(queue),
            message: NewMessage::with_body(sent),
        };
        let (mut new, staged) = stage(&store, vec![new]);
        let new = new.remove(0);
        let asked = async move { store.redrive_edited_staged(new, id, staged).await };
        Asked::Redriving(AskedRedrive::Edit {
            queue: queue.to_owned(),
            id,
            body,
            answer: poll_once(asked),
        })
    }

    pub fn judge_redriving(&mut self, asked: AskedRedrive) {
        match asked {
            AskedRedrive::Start(queue, order, answer) => {
                let answer = self.rig.wait(answer);
                if let Destination::Queue(to) = &order.to
                    && !self.reference.queues[to.as_str()].declared
                {
                    assert!(matches!(answer, Err(AdminError::Undeclared(_))));
                    return;
                }
                let answer = answer.unwrap();
                match (self.reference.start_redrive(&queue, order), answer) {
                    (Ok(done), found) => assert_eq!(found, Redriven::Done(done)),
                    (Err(running), Redriven::UnderWay(number)) => {
                        let before = self.reference.redrives.insert(number, *running);
                        assert!(before.is_none(), "redrive {number} is there twice");
                    }
                    (Err(running), found) => panic!("{found:?} instead of {running:?}"),
                }
            }
            AskedRedrive::Cancel(number, answer) => {
                let answer = self.rig.wait(answer);
                match self.reference.redrives.remove(&number) {
                    Some(running) => assert_eq!(answer.unwrap(), running.done),
                    None => assert!(matches!(answer, Err(AdminError::UnknownRedrive(_)))),
                }
            }
            AskedRedrive::Edit {
                queue,
                id,
                body,
                answer,
            } => {
                let answer = self.rig.wait(answer);
                let most = self.reference.queues[&queue].policy.max_body;
                if self.reference.letter(&queue, id).is_none() {
                    assert!(matches!(answer, Err(AdminError::UnknownMessage(_))));
                } else if body.len() as u64 > most {
                    assert!(matches!(answer, Err(AdminError::Invalid { .. })));
                } else {
                    self.reference.edit(id, answer.unwrap(), &body);
                }
            }
        }
    }

    pub fn check_redrives(&self) {
        let found = self.rig.wait(self.rig.store.redrives()).unwrap();
        let found = found.into_iter().map(|one| {
            let (queue, started) = (one.queue.to_string(), one.started_at.unix_ms());
            (one.number, queue, one.order, started, one.done)
        });
        let found: Vec<_> = found.collect();
        let expected = self.reference.redrives.iter().map(|(number, one)| {
            let order = one.order.clone();
            (*number, one.queue.clone(), order, one.started, one.done)
        });
        assert_eq!(found, expected.collect::<Vec<_>>(), "redrives");
    }
}
