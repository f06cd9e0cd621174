//! Death: into the dead store, by expiry, out of retention, and aside when a record is damaged.

use std::sync::Arc;

use gristmill_queue::board::{QueueId, Removal, Row};
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::outcome::{AttemptRecord, Diagnostics, cut, fingerprint};
use gristmill_queue::provenance::Provenance;
use gristmill_queue::settle::{Counters, settle_expired};
use gristmill_queue::{Message, Reason, Settlement, Timestamp, limits};

use super::Writer;
use super::group::{Group, fatal};
use super::settle::{extend_history, has_history};
use crate::dead::{self, DeadLetter, DeadSummary};
use crate::error::Fatal;
use crate::ops::Evidence;
use crate::record;

/// Said of what expired without a failure of its own to tell of.
pub(super) const EXPIRED: &str = "the message expired before it was handled";

/// A message that died and was moved to an ordinary queue.
pub(crate) struct Moved {
    pub from: QueueId,
    row: Row,
    message: Arc<Message>,
}

/// Why a message dies.
pub(crate) struct Cause {
    pub reason: Reason,
    pub error: String,
    pub counters: Counters,
    /// The charge for the last crash was taken back.
    pub refunded: bool,
    /// The attempt that ended with it.
    pub attempt: Option<AttemptRecord>,
    pub evidence: Option<Evidence>,
}

impl Writer {
    /// Moves a message to the dead store of its queue, or to the ordinary queue that is named for
    /// it. Dying never fails and never blocks: neither has a capacity for what dies.
    pub(crate) fn bury(
        &mut self,
        row: &Row,
        message: Message,
        cause: Cause,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let sequence = row.place.sequence;
        self.group_death(row, &message, cause.reason, group, now)?;
        let record = record::encode(&message);
        let mut attempts = if has_history(row) {
            group.history(sequence)?
        } else {
            Vec::new()
        };
        extend_history(&mut attempts, cause.refunded, cause.attempt);
        let (diagnostics, module, config) = match cause.evidence {
            Some(evidence) => (
                evidence.diagnostics.unwrap_or_default(),
                evidence.module.to_string(),
                evidence.config.to_string(),
            ),
            None => (Diagnostics::default(), String::new(), String::new()),
        };
        let letter = DeadLetter {
            message,
            died_at: now,
            reason: cause.reason,
            fingerprint: fingerprint(cause.reason, &cause.error, &diagnostics.backtrace),
            error: cut(&cause.error, limits::MAX_REASON),
            counters: cause.counters,
            ordinal: row.place.ordinal,
            attempts,
            diagnostics,
            handler: module,
            config,
        };
        group.remove_message(sequence, has_history(row))?;
        self.reply_with_death(&letter, group, now)?;
        match self.takes_dead_of(row.queue) {
            Some(to) => {
                self.move_dead(row, letter, to, group, now);
                Ok(())
            }
            None => self.put_dead(row, &letter, &record, group, now),
        }
    }

    /// The ordinary queue that takes what dies in a queue, if one is named and still declared.
    fn takes_dead_of(&self, queue: QueueId) -> Option<QueueId> {
        let name = self.board.policy(queue).dead_letter.as_ref()?;
        let to = self.board.find(name.as_str())?;
        (to != queue && self.board.is_declared(to)).then_some(to)
    }

    /// Moves what died into an ordinary queue, where it starts anew and says whence it comes. There
    /// is always room for it. The board is told by [`Writer::land_moved`], when the message has left
    /// its old place there.
    fn move_dead(
        &mut self,
        row: &Row,
        letter: DeadLetter,
        to: QueueId,
        group: &mut Group<'_>,
        now: Timestamp,
    ) {
        let mut message = letter.message;
        let died = Provenance {
            queue: message.queue,
            reason: letter.reason,
            error: letter.error,
            died_at: now,
            attempts: letter.counters.attempts,
            fingerprint: letter.fingerprint,
            handler: letter.handler,
            ttl: message
                .expires_at
                .map(|expires| expires.since(message.enqueued_at)),
        };
        died.stamp(&mut message.envelope);
        message.queue = self.board.name(to).clone();
        let ttl = self.board.policy(to).default_ttl;
        (message.enqueued_at, message.expires_at) = (now, ttl.map(|ttl| now.after(ttl)));
        let row_there = Row {
            counters: Counters {
                redriven: letter.counters.redriven,
                ..Counters::default()
            },
            ..self.revived(to, &message, ttl, row.place.ordinal, now)
        };
        group.insert_message(&row_there, record::encode(&message));
        self.moved.push(Moved {
            from: row.queue,
            row: row_there,
            message: Arc::new(message),
        });
    }

    /// Tells the board where messages are that died and were moved. Call it when it knows of the
    /// death.
    pub(super) fn land_moved(&mut self, now: Timestamp) {
        for Moved { from, row, message } in std::mem::take(&mut self.moved) {
            self.board.take_over(from, &row, now);
            self.hot.keep(message, row);
        }
    }

    fn put_dead(
        &mut self,
        row: &Row,
        letter: &DeadLetter,
        record: &[u8],
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let sequence = row.place.sequence;
        let forget_at = self
            .board
            .policy(row.queue)
            .dead_retention
            .map(|keep| now.after(keep));
        let summary = DeadSummary {
            sequence,
            died_at: now,
            forget_at,
            reason: letter.reason,
            fingerprint: letter.fingerprint,
            handler: letter.handler.clone(),
        };
        let bytes = dead::encode(letter, record);
        group
            .dead()?
            .insert(sequence, bytes.as_slice())
            .map_err(fatal("writing a dead letter"))?;
        let bytes = dead::encode_summary(&summary);
        group
            .dead_index()?
            .insert((row.queue.0, sequence), bytes.as_slice())
            .map_err(fatal("writing the index of the dead"))?;
        if let Some(time) = forget_at {
            self.forget.insert((time, row.queue, sequence));
        }
        Ok(())
    }

    /// Forgets what is kept in memory about a message that leaves while it waits.
    pub(super) fn let_go(&mut self, sequence: u64) {
        self.hot.take(sequence);
        self.replies.forget(sequence);
        self.fresh_next.remove(&sequence);
    }

    /// Settles a message that expired while it waited.
    pub(super) fn expire_one(
        &mut self,
        row: &Row,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let sequence = row.place.sequence;
        self.let_go(sequence);
        if is_planted(Bug::ExpiryNotRecorded) {
            self.board.remove(row, Removal::ExpiredAndDropped, now);
            return Ok(());
        }
        let settlement = settle_expired(self.board.policy(row.queue), row.counters);
        let removal = if let Settlement::Dead { reason, counters } = settlement {
            if let Some(message) = self.sound_message(row, group)? {
                let cause = Cause {
                    reason,
                    error: EXPIRED.to_owned(),
                    counters,
                    refunded: false,
                    attempt: None,
                    evidence: None,
                };
                self.bury(row, message, cause, group, now)?;
                Removal::ExpiredToDead
            } else {
                self.quarantine(sequence, group)?;
                Removal::Damaged
            }
        } else {
            self.remove_whole(row, group)?;
            Removal::ExpiredAndDropped
        };
        self.board.remove(row, removal, now);
        self.land_moved(now);
        Ok(())
    }

    /// Forgets dead letters whose retention has ended.
    pub(super) fn forget_dead(
        &mut self,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        const MOST: usize = 1000;
        for _ in 0..MOST {
            let Some(&(time, queue, sequence)) = self.forget.first() else {
                return Ok(());
            };
            if time > now {
                return Ok(());
            }
            self.forget.pop_first();
            if self.remove_dead(queue, sequence, group)? {
                self.drop_blob(sequence, group)?;
                self.board.forget_dead(queue, 1, false);
            }
        }
        Ok(())
    }

    /// Removes a dead letter, but not its large body. Says whether it was there.
    pub(super) fn remove_dead(
        &mut self,
        queue: QueueId,
        sequence: u64,
        group: &mut Group<'_>,
    ) -> Result<bool, Fatal> {
        group
            .dead()?
            .remove(sequence)
            .map_err(fatal("removing a dead letter"))?;
        let index = group.dead_index()?;
        let found = index
            .remove((queue.0, sequence))
            .map_err(fatal("removing from the index of the dead"))?
            .map(|bytes| dead::decode_summary(sequence, bytes.value()));
        let Some(summary) = found else {
            return Ok(false);
        };
        group.changes();
        if let Some(time) = summary.ok().and_then(|summary| summary.forget_at) {
            self.forget.remove(&(time, queue, sequence));
        }
        Ok(true)
    }

    /// The message of a row, if its record is sound.
    pub(crate) fn sound_message(
        &self,
        row: &Row,
        group: &Group<'_>,
    ) -> Result<Option<Message>, Fatal> {
        let sequence = row.place.sequence;
        let name = self.board.name(row.queue).clone();
        let record = group.record(sequence)?;
        Ok(record.and_then(|record| record::decode(sequence, name, &record).ok()))
    }

    /// Puts a damaged message aside: its record, or its row if it has none. It is never delivered,
    /// and never thrown away.
    pub(crate) fn quarantine(&mut self, sequence: u64, group: &mut Group<'_>) -> Result<(), Fatal> {
        let found = match group.record(sequence)? {
            Some(record) => Some(record),
            None => group.row_bytes(sequence)?,
        };
        let Some(found) = found else {
            return Ok(());
        };
        tracing::error!(
            message = sequence,
            "the record of a message is damaged; it is kept in quarantine and not delivered"
        );
        self.let_go(sequence);
        group.put_quarantine(sequence, &found)?;
        group.remove_message(sequence, true)
    }
}
