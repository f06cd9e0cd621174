//! What a store must do, in plain maps: written from the contract (SEMANTICS), not from the code.
//!
//! Time is in milliseconds. Messages are known by the number in their id.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_queue::policy::OnExpiry;
use gristmill_queue::{MessageId, QueuePolicy, Reason};

use super::accept::First;
use super::cron::Entry;
use super::flow::Flow;
pub use super::policy::ms;
use super::pull::Lease;
use super::redrives::{Died, Running};
use super::replies::Waiters;
use super::state::State;
use super::tally::Tally;
use super::topics::Topic;

/// The state keys that handlers use.
pub const KEYS: [&str; 4] = ["k", "k1", "k2", "n"];
/// How many ended attempts are kept.
const HISTORY: usize = 20;

#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub attempts: u32,
    pub postponed: u32,
    pub crashes: u32,
    pub redriven: u32,
}

/// A message that is not dead.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: MessageId,
    pub queue: String,
    pub body: Vec<u8>,
    /// What a script tells it apart by; copies have it in common.
    pub label: String,
    pub group: Option<String>,
    /// What it says of whose it is, and what its queue took of that when it was accepted.
    pub tenant: Option<String>,
    pub key: Option<String>,
    /// It is in flight and takes one of the shared slots.
    pub shares: bool,
    pub priority: u8,
    pub due: u64,
    pub since: u64,
    /// How long it lives, from acceptance or redrive on.
    pub lives: Option<u64>,
    pub expires: Option<u64>,
    /// The order of acceptance.
    pub order: u64,
    pub counts: Counts,
    pub suspect: bool,
    pub conflicts: u32,
    /// Failed in a reused instance, so the next one must be fresh.
    pub wants_fresh: bool,
    /// Reasons and errors of ended attempts that counted.
    pub history: Vec<(Reason, String)>,
    pub in_flight: bool,
    /// A pull consumer has it.
    pub pulled: Option<Lease>,
    /// The tick that it was sent for.
    pub tick: Option<String>,
    /// The topic that it came through.
    pub topic: Option<String>,
    pub correlation: Option<String>,
    /// Somebody may wait for its reply.
    pub asks: bool,
    pub causation: Option<MessageId>,
    /// Where it has died, if this queue takes what dies there; or its request, if this tells so.
    pub died: Option<Died>,
}

#[derive(Clone, Debug)]
pub struct Dead {
    pub message: Message,
    pub reason: Reason,
    pub died: u64,
    pub forgotten: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Queue {
    pub declared: bool,
    pub policy: QueuePolicy,
    pub paused: bool,
    pub slots: u32,
    /// Deaths that their groups went on without, since the host started.
    pub skipped: u64,
    /// Messages that made room for others, since the host started.
    pub dropped: u64,
    /// Whether it shares slots with the others that do.
    pub shared: bool,
    pub flow: Flow,
}

/// A queue and a group in it.
pub type GroupKey = (String, String);

#[derive(Clone, Default)]
pub struct Reference {
    pub now: u64,
    pub queues: BTreeMap<String, Queue>,
    pub messages: BTreeMap<u64, Message>,
    pub dead: BTreeMap<u64, Dead>,
    pub firsts: BTreeMap<(String, String), First>,
    pub crontab: BTreeMap<String, Entry>,
    /// Since when, which message died, and of what.
    pub halted: BTreeMap<GroupKey, (u64, MessageId, Reason)>,
    /// What is to die at once: what waits between these places.
    pub doomed: BTreeMap<GroupKey, (u64, u64)>,
    pub state: State,
    pub topics: BTreeMap<String, Topic>,
    pub redrives: BTreeMap<u64, Running>,
    pub waiters: Waiters,
    pub ids: BTreeSet<MessageId>,
    pub stand_ins: u64,
    pub tally: Tally,
    /// The suspect that runs alone.
    pub alone: Option<u64>,
    pub orders: u64,
    /// How many messages of the queues that share slots may be in flight.
    pub shared_slots: u32,
    pub steps: u64,
}

/// How an attempt ends, with what the contract needs to know of it.
#[derive(Clone, Debug)]
pub enum Ended {
    Done,
    Failed {
        reason: Reason,
        error: String,
        delay: Option<u64>,
    },
    Rejected(String),
    Postponed(u64),
    /// Uncounted, after a wait; and whether it shows that the message does not kill the host.
    Back {
        wait: u64,
        conflict: bool,
        shows: bool,
        reused: bool,
    },
}

impl Message {
    /// Whether a handler has it.
    pub fn is_handled(&self) -> bool {
        self.in_flight && self.pulled.is_none()
    }
}

impl Reference {
    pub fn of_queue(&self, queue: &str) -> impl Iterator<Item = &Message> {
        self.messages.values().filter(move |m| m.queue == queue)
    }

    /// How many of a queue its handler has.
    pub fn flying(&self, queue: &str) -> usize {
        self.of_queue(queue).filter(|m| m.is_handled()).count()
    }

    /// Whether it counts as scheduled: it waits for its time, not for its turn.
    pub fn is_scheduled(&self, message: &Message) -> bool {
        !message.in_flight && message.due > self.now && self.has_turn(message)
    }

    /// By all gates but those that count.
    pub fn could_run(&self, message: &Message) -> bool {
        let queue = &self.queues[&message.queue];
        queue.declared
            && !queue.paused
            && queue.slots > 0
            && !message.in_flight
            && message.due <= self.now
            && self.has_turn(message)
    }

    /// The messages one of which must start next, if any must.
    pub fn next(&self) -> Vec<u64> {
        let suspects: Vec<&Message> = self
            .messages
            .values()
            .filter(|m| m.suspect && self.could_run(m) && self.has_tokens(m))
            .collect();
        if self.alone.is_some() {
            return Vec::new();
        }
        if !suspects.is_empty() {
            let idle = self.messages.values().all(|m| !m.is_handled());
            let all = suspects.iter().map(|m| m.id.sequence());
            return if idle { all.collect() } else { Vec::new() };
        }
        self.queues
            .keys()
            .flat_map(|queue| self.next_of(queue))
            .collect()
    }

    fn next_of(&self, name: &str) -> Vec<u64> {
        let queue = &self.queues[name];
        let flying = self.flying(name);
        let serial = self.of_queue(name).any(|m| m.in_flight && m.conflicts > 10);
        if serial || flying >= queue.slots.min(queue.policy.concurrency) as usize {
            return Vec::new();
        }
        if !self.shares_have_room(queue) || !queue.flow.has_token() {
            return Vec::new();
        }
        let first = self.in_turn(name).into_iter();
        first
            .filter(|m| m.conflicts <= 10 || flying == 0)
            .map(|m| m.id.sequence())
            .collect()
    }

    /// Starts a message. Says which attempt it is.
    pub fn start(&mut self, sequence: u64) -> u32 {
        let message = self.messages.get_mut(&sequence).expect("it waits");
        let queue = self.queues.get_mut(&message.queue).expect("it has one");
        queue.flow.start(message);
        message.shares = queue.shared;
        message.in_flight = true;
        message.wants_fresh = false;
        if message.suspect {
            self.alone = Some(sequence);
        }
        // The crash that made it a suspect is charged for the time being only.
        let attempt = message.counts.attempts + 1 - u32::from(message.suspect);
        self.note_turns();
        attempt
    }

    /// Ends an attempt.
    pub fn end(&mut self, sequence: u64, ended: &Ended) {
        let now = self.now;
        self.alone = self.alone.filter(|&alone| alone != sequence);
        let message = self.messages.get_mut(&sequence).expect("it is in flight");
        (message.in_flight, message.shares, message.pulled) = (false, false, None);
        // A consumer outside that says nothing proves nothing.
        let lapsed = Reason::LeaseExpired;
        let silent = matches!(ended, Ended::Failed { reason, .. } if *reason == lapsed);
        let shows = !silent && !matches!(ended, Ended::Back { shows: false, .. });
        if message.suspect && shows {
            message.suspect = false;
            message.counts.attempts -= 1;
            message.counts.crashes -= 1;
            let mut history = message.history.iter();
            let crash = history.rposition(|(reason, _)| *reason == Reason::HostCrash);
            message.history.remove(crash.expect("it was charged"));
        }
        if !matches!(ended, Ended::Back { conflict: true, .. }) {
            message.conflicts = 0;
        }
        match ended {
            Ended::Done => {
                self.messages.remove(&sequence);
            }
            Ended::Rejected(error) => {
                message.counts.attempts += 1;
                message.history.push((Reason::Rejected, error.clone()));
                self.die(sequence, Reason::Rejected);
            }
            Ended::Failed {
                reason,
                error,
                delay,
            } => self.fail(sequence, *reason, error, *delay),
            Ended::Postponed(delay) => {
                message.counts.postponed += 1;
                let cap = ms(self.queues[&message.queue].policy.retry.cap);
                let due = now + (*delay).min(cap);
                if message.counts.postponed > 100 {
                    self.die(sequence, Reason::PostponedTooOften);
                } else {
                    self.wait_again(sequence, due);
                }
            }
            Ended::Back {
                wait,
                conflict,
                reused,
                ..
            } => {
                message.conflicts += u32::from(*conflict);
                message.wants_fresh = *reused;
                let due = if *wait == 0 { message.due } else { now + wait };
                self.wait_again(sequence, due);
            }
        }
    }

    fn fail(&mut self, sequence: u64, reason: Reason, error: &str, delay: Option<u64>) {
        let message = self.messages.get_mut(&sequence).expect("it is here");
        let retry = &self.queues[&message.queue].policy.retry;
        message.counts.attempts += 1;
        message.history.push((reason, error.to_owned()));
        let back_off = ms(retry.base) << (message.counts.attempts - 1).min(20);
        let due = self.now + delay.unwrap_or(back_off).min(ms(retry.cap));
        let too_old = retry
            .max_age
            .is_some_and(|most| due - message.since > ms(most));
        if message.counts.attempts >= retry.max_attempts || too_old {
            self.die(sequence, reason);
        } else {
            self.wait_again(sequence, due);
        }
    }

    fn wait_again(&mut self, sequence: u64, due: u64) {
        let message = self.messages.get_mut(&sequence).expect("it is here");
        message.due = due;
        if message.expires.is_some_and(|expires| expires <= self.now) {
            self.expire(sequence);
        }
    }

    pub fn expire(&mut self, sequence: u64) {
        let queue = &self.queues[&self.messages[&sequence].queue];
        match queue.policy.on_expiry {
            OnExpiry::DeadLetter => self.die(sequence, Reason::Expired),
            OnExpiry::Drop => {
                self.messages.remove(&sequence);
            }
        }
    }

    pub fn die(&mut self, sequence: u64, reason: Reason) {
        let message = self.messages.remove(&sequence).expect("it is here");
        if let Some(group) = message
            .group
            .clone()
            .filter(|_| reason != Reason::GroupFailed)
        {
            self.fail_group((message.queue.clone(), group), &message, reason);
        }
        self.notify(&message, reason);
        let Some(mut message) = self.move_dead(message, reason) else {
            return;
        };
        let keep = self.queues[&message.queue].policy.dead_retention;
        let excess = message.history.len().saturating_sub(HISTORY);
        message.history.drain(..excess);
        let dead = Dead {
            message,
            reason,
            died: self.now,
            forgotten: keep.map(|keep| self.now + ms(keep)),
        };
        self.dead.insert(sequence, dead);
    }

    /// What time alone brings about, and what deaths do.
    pub fn pass(&mut self) {
        self.go_on_redriving();
        self.note_turns();
        let now = self.now;
        let expired = |m: &&Message| !m.in_flight && m.expires.is_some_and(|e| e <= now);
        let expired = self.messages.values().filter(expired);
        let mut expired: Vec<_> = expired.map(|m| (m.expires, m.id.sequence())).collect();
        // The first to die may halt its group.
        expired.sort_unstable();
        for (_, sequence) in expired {
            // The death of one before may have made room by dropping it, or ended its group.
            if self.messages.contains_key(&sequence) {
                self.expire(sequence);
                self.note_turns();
            }
        }
        self.lapse();
        self.bury_rests();
        self.note_turns();
        self.dead
            .retain(|_, dead| dead.forgotten.is_none_or(|time| time > now));
        self.firsts.retain(|_, first| first.until > now);
    }
}
