//! What configuration and operators change: queues, handlers, pauses, purges.

use std::collections::HashSet;
use std::sync::Arc;

use gristmill_queue::board::{QueueId, Removal};
#[cfg(feature = "seeded-bugs")]
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::{QueueName, Timestamp, limits};

use super::Writer;
use super::group::Group;
use super::redrive::CHUNK;
use crate::error::{AdminError, Fatal};
use crate::ops::{Declaration, Op, Purge, Reply, Sink, Slots};
use crate::topics::TopicDeclaration;

impl Writer {
    /// Declares exactly these queues and topics. Queues that are no longer among them keep their messages and
    /// take no more.
    pub(crate) fn declare(
        &mut self,
        queues: &[Declaration],
        topics: Vec<TopicDeclaration>,
        reply: Reply<()>,
        group: &mut Group<'_>,
    ) -> Result<(), Fatal> {
        let declared: HashSet<&QueueName> = queues.iter().map(|queue| &queue.name).collect();
        for queue in self.board.ids() {
            if !declared.contains(self.board.name(queue)) {
                self.board.undeclare(queue);
            }
        }
        self.large.declare(queues, &topics);
        for declaration in queues {
            let queue = match self.board.find(declaration.name.as_str()) {
                Some(queue) => queue,
                None => {
                    let queue = self.board.add_queue(declaration.name.clone(), false, 0);
                    group.put_queue(declaration.name.as_str(), queue.0, false)?;
                    queue
                }
            };
            self.board.declare(queue, declaration.policy.clone());
            self.note_ages(queue, group)?;
        }
        self.replies.queue = QueueName::new(limits::REPLIES)
            .ok()
            .and_then(|name| self.declared(&name));
        self.declare_topics(topics);
        self.answer(reply, ());
        Ok(())
    }

    /// Tells the board the age of some of the messages that waited before their queue began to drop
    /// the oldest, and goes on with the rest in the next group.
    pub(super) fn note_ages(&mut self, queue: QueueId, group: &mut Group<'_>) -> Result<(), Fatal> {
        const MOST: usize = 10_000;
        let unaged = self.board.take_unaged(queue, MOST);
        for &sequence in &unaged {
            if let Some(row) = group.row(sequence)?.filter(|row| row.queue == queue) {
                self.board.note_age(&row);
            }
        }
        if unaged.len() == MOST {
            self.todo.push(Op::NoteAges { queue });
        }
        Ok(())
    }

    pub(super) fn attach(&mut self, queue: &QueueName, slots: &Slots, sink: Arc<dyn Sink>) {
        let Some(queue) = self.board.find(queue.as_str()) else {
            return;
        };
        self.sinks.insert(queue, sink);
        let shared = slots.shared.as_ref();
        let shared = shared.map(|shared| (&*shared.name, shared.slots));
        self.board.share_slots(queue, shared);
        self.board.set_slots(queue, slots.own);
    }

    pub(super) fn detach(&mut self, queue: &QueueName) {
        let Some(queue) = self.board.find(queue.as_str()) else {
            return;
        };
        #[cfg(feature = "seeded-bugs")]
        if is_planted(Bug::DetachLosesLeases) {
            self.lose_leases(queue);
        }
        self.board.set_slots(queue, 0);
        self.board.share_slots(queue, None);
        self.sinks.remove(&queue);
    }

    pub(super) fn set_paused(
        &mut self,
        name: QueueName,
        paused: bool,
        reply: Reply<Result<(), AdminError>>,
        group: &mut Group<'_>,
    ) -> Result<(), Fatal> {
        let Some(queue) = self.board.find(name.as_str()) else {
            self.answer(reply, Err(AdminError::UnknownQueue(name)));
            return Ok(());
        };
        group.put_queue(name.as_str(), queue.0, paused)?;
        self.board.set_paused(queue, paused);
        self.answer(reply, Ok(()));
        Ok(())
    }

    pub(super) fn waiting(
        &mut self,
        name: QueueName,
        limit: usize,
        reply: Reply<Result<Vec<u64>, AdminError>>,
    ) {
        let found = match self.board.find(name.as_str()) {
            Some(queue) => Ok(self.board.waiting(queue).take(limit).collect()),
            None => Err(AdminError::UnknownQueue(name)),
        };
        self.answer(reply, found);
    }

    /// Removes some of what is to be purged, and goes on with the rest in the next group. What is
    /// in flight, and what arrives after the purge began, stays.
    pub(super) fn purge(
        &mut self,
        mut purge: Purge,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Some(queue) = self.board.find(purge.queue.as_str()) else {
            let unknown = AdminError::UnknownQueue(purge.queue);
            self.answer(purge.reply, Err(unknown));
            return Ok(());
        };
        let before = *purge.before.get_or_insert(self.next_ordinal);
        let (mut removed, mut more) = (0, false);
        if purge.states.ready || purge.states.scheduled {
            removed += self.purge_waiting(queue, &purge, before, group, now)?;
        }
        if purge.whole && removed < CHUNK {
            removed += self.drop_pulled(queue, before, group, now)?;
            more |= group.forget_dedup_of(queue)?;
        }
        if purge.states.dead && removed < CHUNK {
            more |= self.purge_dead(queue, &mut purge, group)?;
        }
        purge.done += removed as u64;
        if removed >= CHUNK || more {
            self.todo.push(Op::Purge(purge));
        } else {
            let done = purge.done;
            self.answer(purge.reply, Ok(done));
        }
        Ok(())
    }

    fn purge_waiting(
        &mut self,
        queue: QueueId,
        purge: &Purge,
        before: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<usize, Fatal> {
        let mut rows = Vec::with_capacity(CHUNK);
        for sequence in self.board.waiting(queue) {
            let Some(row) = group.row(sequence)? else {
                continue;
            };
            let wanted = if row.place.due > now {
                purge.states.scheduled
            } else {
                purge.states.ready
            };
            if wanted && row.place.ordinal < before {
                rows.push(row);
            }
            if rows.len() == CHUNK {
                break;
            }
        }
        for row in &rows {
            self.let_go(row.place.sequence);
            self.remove_whole(row, group)?;
            self.board.remove(row, Removal::Purged, now);
        }
        Ok(rows.len())
    }

    /// Says whether there may be more.
    fn purge_dead(
        &mut self,
        queue: QueueId,
        purge: &mut Purge,
        group: &mut Group<'_>,
    ) -> Result<bool, Fatal> {
        let found = self.find_dead(queue, &purge.filter, purge.dead_after, CHUNK, group)?;
        for letter in &found.letters {
            if self.remove_dead(queue, letter.sequence, group)? {
                self.drop_blob(letter.sequence, group)?;
                self.board.forget_dead(queue, 1, true);
            }
        }
        purge.dead_after = found.seen;
        purge.done += found.letters.len() as u64;
        Ok(found.more)
    }
}
