//! What a death brings to its group: recorded with it, carried out in bounded steps, and undone by
//! an operator.

use gristmill_queue::board::{GroupDeath, QueueId, Removal, Row};
use gristmill_queue::{Message, MessageId, Reason, Timestamp};

use super::Writer;
use super::bury::Cause;
use super::group::Group;
use super::redrive::CHUNK;
use super::send::group_hash;
use crate::error::{AdminError, Fatal};
use crate::held::{Doom, Halted};
use crate::ops::{HaltedGroups, Op, ResumeGroups};

/// The rest of a group that is to die.
pub(crate) struct Rest {
    /// The message with which it dies.
    pub died: MessageId,
    /// What part it is stands in the store.
    pub written: bool,
}

impl Writer {
    /// A message is being moved to the dead store. If it dies with its group, the group is dealt
    /// with already.
    pub(super) fn group_death(
        &mut self,
        row: &Row,
        message: &Message,
        reason: Reason,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let (Some(hash), Some(name)) = (row.place.group, &message.envelope.group) else {
            return Ok(());
        };
        if reason == Reason::GroupFailed {
            return Ok(());
        }
        match self.board.group_death(row, self.next_ordinal) {
            GroupDeath::GoesOn => {}
            GroupDeath::Halted => {
                tracing::warn!(queue = %message.queue, group = name, message = %message.id, %reason, "a message died, and its group is halted until it is resumed");
                let mut held = group.held(row.queue, hash)?;
                held.halted = Some(Halted {
                    group: name.clone(),
                    since: now,
                    died: message.id,
                    reason,
                });
                group.put_held(row.queue, hash, &held)?;
            }
            GroupDeath::Doomed(_) => {
                let rest = Rest {
                    died: message.id,
                    written: false,
                };
                self.rests.insert((row.queue, hash), rest);
            }
        }
        Ok(())
    }

    /// Lets some of what is doomed die, and writes down what is left.
    pub(super) fn bury_rests(
        &mut self,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let mut most = CHUNK;
        while most > 0
            && let Some((queue, hash)) = self.board.next_doomed()
        {
            let rest = self.board.doomed(queue, hash, most);
            most -= rest.len();
            for sequence in rest {
                self.bury_with_group(queue, hash, sequence, group, now)?;
            }
            if most > 0 {
                self.end_rest(queue, hash, group, now)?;
            }
        }
        self.write_rests(group)
    }

    fn bury_with_group(
        &mut self,
        queue: QueueId,
        hash: u64,
        sequence: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        self.let_go(sequence);
        let Some(row) = group.row(sequence)? else {
            self.board.forget(sequence, now);
            return self.quarantine(sequence, group);
        };
        let Some(message) = self.sound_message(&row, group)? else {
            self.quarantine(sequence, group)?;
            self.board.remove(&row, Removal::Damaged, now);
            return Ok(());
        };
        let error = match self.rests.get(&(queue, hash)) {
            Some(rest) => format!(
                "message {} died, which was before it in its group",
                rest.died
            ),
            None => String::new(),
        };
        let cause = Cause {
            reason: Reason::GroupFailed,
            error,
            counters: row.counters,
            refunded: false,
            attempt: None,
            evidence: None,
        };
        self.bury(&row, message, cause, group, now)?;
        self.board.remove(&row, Removal::GroupFailed, now);
        self.land_moved(now);
        Ok(())
    }

    /// All of it is dead.
    fn end_rest(
        &mut self,
        queue: QueueId,
        hash: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        self.board.end_doom(queue, hash, now);
        self.rests.remove(&(queue, hash));
        let mut held = group.held(queue, hash)?;
        if held.doom.take().is_some() {
            group.put_held(queue, hash, &held)?;
        }
        Ok(())
    }

    /// Writes down what is still to die, so that nothing of it is delivered whenever the host dies.
    pub(crate) fn write_rests(&mut self, group: &mut Group<'_>) -> Result<(), Fatal> {
        for (&(queue, hash), rest) in &mut self.rests {
            let Some(doomed) = self.board.doom(queue, hash).filter(|_| !rest.written) else {
                continue;
            };
            let mut held = group.held(queue, hash)?;
            held.doom = Some(Doom {
                doomed,
                died: rest.died,
            });
            group.put_held(queue, hash, &held)?;
            rest.written = true;
        }
        Ok(())
    }

    /// Lists halted groups.
    pub(super) fn halted_groups(&mut self, request: HaltedGroups) {
        let HaltedGroups {
            queue,
            after,
            limit,
            reply,
        } = request;
        let found = match self.board.find(queue.as_str()) {
            Some(queue) => Ok(self.board.halted(queue, after).take(limit).collect()),
            None => Err(AdminError::UnknownQueue(queue)),
        };
        self.answer(reply, found);
    }

    /// Resumes a halted group, or some of all that are, and goes on with the rest in the next group
    /// of operations.
    pub(super) fn resume_groups(
        &mut self,
        mut resume: ResumeGroups,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Some(queue) = self.board.find(resume.queue.as_str()) else {
            let unknown = AdminError::UnknownQueue(resume.queue);
            self.answer(resume.reply, Err(unknown));
            return Ok(());
        };
        let hashes: Vec<u64> = match &resume.group {
            Some(name) => vec![group_hash(name)],
            None => {
                let halted = self.board.halted(queue, resume.after);
                halted.take(CHUNK).map(|(hash, _)| hash).collect()
            }
        };
        resume.after = hashes.last().copied();
        for &hash in &hashes {
            if self.board.resume_group(queue, hash, now) {
                let mut held = group.held(queue, hash)?;
                held.halted = None;
                group.put_held(queue, hash, &held)?;
                resume.done += 1;
            }
        }
        if resume.group.is_none() && hashes.len() == CHUNK {
            self.todo.push(Op::ResumeGroups(resume));
        } else {
            let done = resume.done;
            self.answer(resume.reply, Ok(done));
        }
        Ok(())
    }
}
