//! Granting leases, after the commit: what was accepted in it is already among what may start.

use std::sync::Arc;

use gristmill_queue::board::{Claim, QueueId, Row};
use gristmill_queue::message::Priority;
use gristmill_queue::outcome::AttemptRecord;
use gristmill_queue::ready::Place;
use gristmill_queue::settle::Counters;
use gristmill_queue::{Message, Outcome, QueueName, Timestamp};
use redb::{ReadOnlyTable, ReadableDatabase};

use super::group::fatal;
use super::settle::has_history;
use super::{InHand, Writer};
use crate::error::Fatal;
use crate::inflight::Named;
use crate::ops::{Leased, Op};
use crate::tables::{HISTORY, INDEX, MESSAGE};
use crate::{dead, record, row};

/// Open only while leases are granted.
struct Reading {
    message: ReadOnlyTable<u64, &'static [u8]>,
    index: ReadOnlyTable<u64, &'static [u8]>,
    history: ReadOnlyTable<u64, &'static [u8]>,
}

impl Writer {
    /// Frees the slots of attempts whose end is durable.
    pub(super) fn end_slots(&mut self) {
        for slot in self.ended_slots.drain(..) {
            self.inflight.end(slot);
        }
    }

    /// Leases what may start, and passes it on.
    pub(super) fn grant(&mut self) -> Result<(), Fatal> {
        let now = self.last_now;
        let mut reading = None;
        let mut batches: Vec<(QueueId, Vec<Leased>)> = Vec::new();
        while let Some(claim) = self.board.claim(now) {
            let (message, row) = match self.fetch(claim, &mut reading)? {
                Ok(found) => found,
                Err(row) => {
                    self.board.abandon(claim, &row, now);
                    self.todo.push(Op::Quarantine {
                        sequence: claim.sequence,
                    });
                    continue;
                }
            };
            let last = if has_history(&row) {
                self.last_attempt(claim.sequence, &mut reading)?
            } else {
                None
            };
            let leased = self.lease(claim, row, message, last, now);
            match batches.iter_mut().find(|(queue, _)| *queue == claim.queue) {
                Some((_, batch)) => batch.push(leased),
                None => batches.push((claim.queue, vec![leased])),
            }
        }
        if let Err(error) = self.inflight.write() {
            tracing::warn!(%error, "the in-flight file cannot be written: a message that kills the host would not be charged");
        }
        for (queue, batch) in batches {
            if let Some(sink) = self.sinks.get(&queue) {
                Arc::clone(sink).deliver(batch);
            }
        }
        Ok(())
    }

    fn lease(
        &mut self,
        claim: Claim,
        row: Row,
        message: Arc<Message>,
        last: Option<AttemptRecord>,
        now: Timestamp,
    ) -> Leased {
        let fence = self.board.lease(claim, row);
        let named = Named {
            sequence: claim.sequence,
            attempts: row.counters.attempts,
            lease: fence.lease,
        };
        let slot = self.inflight.start(named);
        self.leased.insert(
            claim.sequence,
            InHand {
                message: Arc::clone(&message),
                slot,
            },
        );
        let fresh = self.fresh_next.remove(&claim.sequence) || claim.alone || claim.conflicts > 0;
        let cut_off = last.as_ref().is_some_and(|last| !last.reason.is_verdict());
        Leased {
            fence,
            message,
            attempt: row.counters_after(&Outcome::Done).next_attempt(),
            max_attempts: self.board.policy(claim.queue).retry.max_attempts,
            previous_failure: last.map(|last| last.error),
            fresh,
            alone: fresh || cut_off,
            leased_at: now,
        }
    }

    /// The message and its row, from memory or from the store; if damaged, what is known of the row.
    fn fetch(
        &mut self,
        claim: Claim,
        reading: &mut Option<Reading>,
    ) -> Result<Result<(Arc<Message>, Row), Row>, Fatal> {
        let sequence = claim.sequence;
        if let Some(hot) = self.hot.take(sequence) {
            // A large body may have been taken away from the outside.
            let whole = self.large.is_there(hot.0.blob.as_ref());
            return Ok(if whole { Ok(hot) } else { Err(hot.1) });
        }
        let name = self.board.name(claim.queue).clone();
        let reading = self.reading(reading)?;
        let found = reading
            .index
            .get(sequence)
            .map_err(fatal("reading a row"))?;
        let row = found.and_then(|bytes| row::decode(sequence, bytes.value()).ok());
        let found = reading
            .message
            .get(sequence)
            .map_err(fatal("reading a message"))?;
        let message = found.and_then(|bytes| record::decode(sequence, name, bytes.value()).ok());
        let message = message.filter(|message| self.large.is_there(message.blob.as_ref()));
        let row = row.ok_or_else(|| unknown_row(claim));
        Ok(row.and_then(|row| message.map(|message| (Arc::new(message), row)).ok_or(row)))
    }

    /// A message as it is stored, if it is there and sound.
    pub(super) fn read_message(
        &self,
        sequence: u64,
        name: QueueName,
    ) -> Result<Option<Arc<Message>>, Fatal> {
        let mut reading = None;
        let found = self.reading(&mut reading)?.message.get(sequence);
        let found = found.map_err(fatal("reading a message"))?;
        let message = found.and_then(|bytes| record::decode(sequence, name, bytes.value()).ok());
        Ok(message.map(Arc::new))
    }

    fn last_attempt(
        &self,
        sequence: u64,
        reading: &mut Option<Reading>,
    ) -> Result<Option<AttemptRecord>, Fatal> {
        let found = self
            .reading(reading)?
            .history
            .get(sequence)
            .map_err(fatal("reading a history"))?;
        let mut history = found
            .and_then(|bytes| dead::decode_history(sequence, bytes.value()).ok())
            .unwrap_or_default();
        Ok(history.pop())
    }

    fn reading<'r>(&self, reading: &'r mut Option<Reading>) -> Result<&'r Reading, Fatal> {
        if reading.is_none() {
            let transaction = self
                .database
                .begin_read()
                .map_err(fatal("beginning to read"))?;
            *reading = Some(Reading {
                message: transaction
                    .open_table(MESSAGE)
                    .map_err(fatal("opening table message"))?,
                index: transaction
                    .open_table(INDEX)
                    .map_err(fatal("opening table index"))?,
                history: transaction
                    .open_table(HISTORY)
                    .map_err(fatal("opening table history"))?,
            });
        }
        reading
            .as_ref()
            .ok_or_else(|| unreachable!("it was just opened"))
    }
}

/// Stands in for a row that is damaged: enough to let go of the claim.
pub(super) fn unknown_row(claim: Claim) -> Row {
    let place = Place {
        sequence: claim.sequence,
        due: Timestamp::ZERO,
        priority: Priority::DEFAULT,
        group: None,
        key: claim.key,
        ordinal: 0,
    };
    Row {
        queue: claim.queue,
        place,
        counters: Counters::default(),
        enqueued_at: Timestamp::ZERO,
        expires_at: None,
        size: 0,
        suspect: false,
    }
}
