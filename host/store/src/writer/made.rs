//! Queues that are made, changed and deleted while the host runs.
//!
//! A queue that is deleted gets another name in the commit that forgets its definition, so that its own is
//! free at once. What is in it goes in bounded steps, also after a restart; then the next queue that is
//! made takes its number, so that numbers do not run out however many come and go.

use std::collections::BTreeSet;

use gristmill_queue::board::{QueueId, Removal};
use gristmill_queue::{Fence, Outcome, QueueName, QueuePolicy, Timestamp, limits};
use redb::ReadableDatabase;

use super::Writer;
use super::group::Group;
use super::redrive::CHUNK;
use crate::error::{AdminError, Fatal};
use crate::filter::DeadFilter;
use crate::held::HeldGroup;
use crate::made::{self, ReadMade};
use crate::ops::{Declaration, Make, Op, Reply};
use crate::tables::MADE;

/// What was made, and what is being deleted.
#[derive(Default)]
pub(crate) struct Made {
    names: BTreeSet<QueueName>,
    /// Deleted, and not empty yet.
    clearing: BTreeSet<QueueId>,
    /// Deleted and empty.
    free: Vec<QueueId>,
}

impl Writer {
    /// Makes a queue, or changes what was made.
    pub(super) fn make(&mut self, make: Make, group: &mut Group<'_>) -> Result<(), Fatal> {
        let Make {
            declaration,
            definition,
            reply,
        } = make;
        let name = &declaration.name;
        let refused = if self.is_topic(name) {
            Some(AdminError::IsTopic(name.clone()))
        } else if self.made.names.len() >= limits::MAX_MADE && !self.made.names.contains(name) {
            Some(AdminError::TooManyMade)
        } else {
            None
        };
        if let Some(refused) = refused {
            self.answer(reply, Err(refused));
            return Ok(());
        }
        group.put_made(name.as_str(), Some(&definition))?;
        self.made.names.insert(name.clone());
        let queue = match self.board.find(name.as_str()) {
            Some(queue) => queue,
            None => self.new_queue(name, group)?,
        };
        self.large
            .declare_one(name, Some(declaration.policy.max_body));
        self.board.declare(queue, declaration.policy);
        self.note_ages(queue, group)?;
        self.answer(reply, Ok(()));
        Ok(())
    }

    /// A queue that holds nothing, with the number of a deleted one if there is one.
    fn new_queue(&mut self, name: &QueueName, group: &mut Group<'_>) -> Result<QueueId, Fatal> {
        let queue = match self.made.free.pop() {
            Some(queue) => {
                group.remove_queue(self.board.name(queue).as_str())?;
                self.board.begin_anew(queue, name.clone());
                queue
            }
            None => self.board.add_queue(name.clone(), false, 0),
        };
        group.put_queue(name.as_str(), queue.0, false)?;
        Ok(queue)
    }

    /// Deletes a queue that was made: its name is free when the group is durable.
    pub(super) fn unmake(
        &mut self,
        name: QueueName,
        reply: Reply<Result<(), AdminError>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let queue = self.board.find(name.as_str());
        let Some(queue) = queue.filter(|_| self.made.names.remove(&name)) else {
            let refused = match queue {
                Some(_) => AdminError::NotMade(name),
                None => AdminError::UnknownQueue(name),
            };
            self.answer(reply, Err(refused));
            return Ok(());
        };
        group.put_made(name.as_str(), None)?;
        self.detach(&name);
        self.refuse_receivers(queue, &name);
        self.end_redrives_of(&name, group)?;
        // Nothing that ends from now on dies into another queue.
        self.board.declare(queue, QueuePolicy::default());
        self.board.undeclare(queue);
        self.board.set_paused(queue, false);
        self.large.declare_one(&name, None);
        let deleted = format!("{}{}", limits::DELETED, queue.0);
        group.remove_queue(name.as_str())?;
        group.put_queue(&deleted, queue.0, false)?;
        if let Ok(deleted) = QueueName::new(&deleted) {
            self.board.rename(queue, deleted);
        }
        self.made.clearing.insert(queue);
        self.clear(queue, group, now)?;
        self.answer(reply, Ok(()));
        Ok(())
    }

    /// Whether a queue is deleted, and only what is left of it is here.
    pub(super) fn is_deleted(&self, queue: QueueId) -> bool {
        self.board.name(queue).as_str().starts_with(limits::DELETED)
    }

    /// What was in flight may be back.
    pub(super) fn go_on_clearing(&mut self) {
        let clear = |&queue: &QueueId| Op::Clear { queue };
        self.todo.extend(self.made.clearing.iter().map(clear));
    }

    /// Removes some of what is left of a deleted queue, and goes on with the rest in the next group.
    pub(super) fn clear(
        &mut self,
        queue: QueueId,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        if !self.made.clearing.contains(&queue) {
            return Ok(());
        }
        let released = self.release_groups(queue, group, now)?;
        let pulled = self.drop_pulled(queue, u64::MAX, group, now)?;
        let waiting: Vec<u64> = self.board.waiting(queue).take(CHUNK).collect();
        for &sequence in &waiting {
            self.let_go(sequence);
            match group.row(sequence)? {
                Some(row) => {
                    self.remove_whole(&row, group)?;
                    self.board.remove(&row, Removal::Purged, now);
                }
                None => {
                    self.board.forget(sequence, now);
                    self.quarantine(sequence, group)?;
                }
            }
        }
        let dead = self.find_dead(queue, &DeadFilter::default(), 0, CHUNK, group)?;
        for letter in &dead.letters {
            if self.remove_dead(queue, letter.sequence, group)? {
                self.drop_blob(letter.sequence, group)?;
                self.board.forget_dead(queue, 1, true);
            }
        }
        let ids = group.forget_dedup_of(queue)?;
        let full = [released, pulled, waiting.len()].contains(&CHUNK);
        if full || !dead.letters.is_empty() || ids {
            self.todo.push(Op::Clear { queue });
        } else if self.board.holds_nothing(queue) {
            self.made.clearing.remove(&queue);
            self.made.free.push(queue);
        }
        Ok(())
    }

    /// Ends leases of pull consumers of a queue, and their messages with them: those that were accepted
    /// before that one. Says how many.
    pub(super) fn drop_pulled(
        &mut self,
        queue: QueueId,
        before: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<usize, Fatal> {
        let held = self.board.all_pulled();
        let its = held.filter(|(_, row)| row.queue == queue && row.place.ordinal < before);
        let fences: Vec<Fence> = its.map(|(fence, _)| fence).take(CHUNK).collect();
        for &fence in &fences {
            if let Ok((row, terms)) = self.board.pulled(fence) {
                self.end_pulled(fence, &row, &terms, &Outcome::Done, group, now)?;
            }
        }
        Ok(fences.len())
    }

    /// Lets groups that deliver nothing be like others, so that nothing of them is kept. Says how many.
    fn release_groups(
        &mut self,
        queue: QueueId,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<usize, Fatal> {
        let held = group.held_of(queue, CHUNK)?;
        for &hash in &held {
            self.board.resume_group(queue, hash, now);
            if self.rests.remove(&(queue, hash)).is_some() {
                self.board.end_doom(queue, hash, now);
            }
            group.put_held(queue, hash, &HeldGroup::default())?;
        }
        Ok(held.len())
    }

    /// Takes note of what was made and of what was being deleted when the store was closed. Returns what
    /// is to be declared.
    pub(crate) fn restore_made(
        &mut self,
        read: Option<&ReadMade>,
    ) -> Result<Vec<Declaration>, redb::Error> {
        for queue in self.board.ids() {
            if self.is_deleted(queue) {
                self.made.clearing.insert(queue);
            }
        }
        self.go_on_clearing();
        let transaction = self.database.begin_read()?;
        let all = made::all(&transaction.open_table(MADE)?)?;
        self.made.names = all.iter().map(|(name, _)| name.clone()).collect();
        let mut declared = Vec::with_capacity(all.len());
        for (name, definition) in all {
            match read.and_then(|read| read(&name, &definition)) {
                Some(policy) => declared.push(Declaration { name, policy }),
                None => tracing::error!(
                    queue = %name,
                    "the definition of a queue that was made at run time cannot be used: its messages wait until it is made again"
                ),
            }
        }
        Ok(declared)
    }
}
