//! Whose turn it is in a group, and what becomes of it when one of its messages dies.

use gristmill_queue::Reason;
use gristmill_queue::policy::OnGroupFailure;

use super::redrives::Died;
use super::reference::{Counts, GroupKey, Message, Reference, ms};
use super::rig::name;
use super::world::{Asked, World, poll_once};

impl Reference {
    /// Whether no other message of its group is before it or in flight, and the group not halted.
    pub fn has_turn(&self, message: &Message) -> bool {
        let Some(group) = &message.group else {
            return true;
        };
        let key = (message.queue.clone(), group.clone());
        let before = |other: &Message| {
            other.group == message.group
                && other.id != message.id
                && (other.in_flight || other.order < message.order)
        };
        !self.halted.contains_key(&key) && !self.of_queue(&message.queue).any(before)
    }

    /// A message of a group has died.
    pub fn fail_group(&mut self, key: GroupKey, message: &Message, reason: Reason) {
        let queue = self.queues.get_mut(&key.0).expect("its queue");
        let held = self.halted.contains_key(&key) || self.doomed.contains_key(&key);
        match queue.policy.on_group_failure {
            OnGroupFailure::Skip => queue.skipped += u64::from(!held),
            OnGroupFailure::Halt => {
                let halted = (self.now, message.id, reason);
                self.halted.entry(key).or_insert(halted);
            }
            OnGroupFailure::DeadLetterRest => {
                let later = self.orders + 1;
                let (after, before) = self.doomed.entry(key).or_insert((message.order, later));
                (*after, *before) = ((*after).min(message.order), later);
            }
        }
    }

    /// What dies goes to an ordinary queue if its own says so and that is declared; there it starts
    /// anew, in its old place.
    pub fn move_dead(&mut self, mut message: Message, reason: Reason) -> Option<Message> {
        let to = self.queues[&message.queue].policy.dead_letter.clone();
        let to = to.map(|to| to.to_string());
        let Some(to) = to.filter(|to| *to != message.queue && self.queues[to].declared) else {
            return Some(message);
        };
        let policy = &self.queues[&to].policy;
        message.counts = Counts {
            redriven: message.counts.redriven,
            ..Counts::default()
        };
        message.died = Some(Died {
            queue: message.queue.clone(),
            reason,
            lives: message.lives,
        });
        (message.due, message.since) = (self.now, self.now);
        message.lives = policy.default_ttl.map(ms);
        message.expires = message.lives.map(|lives| self.now + lives);
        (message.suspect, message.conflicts, message.wants_fresh) = (false, 0, false);
        message.key = policy.key.as_ref().and(message.tenant.clone());
        message.history.clear();
        (message.in_flight, message.shares, message.queue) = (false, false, to);
        message.pulled = None;
        self.messages.insert(message.id.sequence(), message);
        self.note_turns();
        None
    }

    pub fn bury_rests(&mut self) {
        for ((queue, group), (after, before)) in std::mem::take(&mut self.doomed) {
            let waits = |m: &&Message| {
                m.group.as_ref() == Some(&group)
                    && !m.in_flight
                    && (after + 1..before).contains(&m.order)
            };
            let rest = self.of_queue(&queue).filter(waits);
            for sequence in rest.map(|m| m.id.sequence()).collect::<Vec<_>>() {
                self.die(sequence, Reason::GroupFailed);
            }
        }
    }

    /// Resumes one halted group of a queue, or all. Says how many.
    pub fn resume(&mut self, queue: &str, group: Option<&str>) -> u64 {
        let before = self.halted.len();
        let stays = |key: &GroupKey| group.is_some_and(|group| group != key.1);
        self.halted.retain(|key, _| key.0 != queue || stays(key));
        self.note_turns();
        (before - self.halted.len()) as u64
    }
}

impl World {
    pub fn ask_resume(&self, queue: &'static str, group: Option<u8>) -> Asked {
        let store = self.rig.store.clone();
        let group = group.map(|group| format!("g{group}"));
        let named = group.clone();
        let asked = async move { store.resume_groups(name(queue), named).await };
        Asked::ResumeGroups(queue.to_owned(), group, poll_once(asked))
    }
}
