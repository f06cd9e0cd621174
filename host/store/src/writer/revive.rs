//! One message back from the dead: into its queue, into another, back to where it died, or anew
//! with another body. Each is one transaction: never in both places, never in none.

use std::time::Duration;

use gristmill_queue::board::{QueueId, Removal, Row};
use gristmill_queue::provenance::Provenance;
use gristmill_queue::ready::Place;
use gristmill_queue::settle::Counters;
use gristmill_queue::{Message, Timestamp};
use redb::ReadableTable;

use super::Writer;
use super::group::{Group, fatal};
use super::send::group_hash;
use super::settle::has_history;
use crate::dead::{self, DeadLetter};
use crate::error::{AdminError, Fatal, SendError};
use crate::record;
use crate::redrive::{Edited, RedriveUnderWay};

/// A dead letter with the record of its message, as it stands.
struct Letter {
    letter: DeadLetter,
    record: Vec<u8>,
}

impl Writer {
    fn letter(
        &self,
        queue: QueueId,
        sequence: u64,
        group: &mut Group<'_>,
    ) -> Result<Option<Letter>, Fatal> {
        let doing = "reading a dead letter";
        let listed = group.dead_index()?.get((queue.0, sequence));
        if listed.map_err(fatal(doing))?.is_none() {
            return Ok(None);
        }
        let Some(bytes) = group.dead()?.get(sequence).map_err(fatal(doing))? else {
            return Ok(None);
        };
        let (name, bytes) = (self.board.name(queue).clone(), bytes.value());
        let read = || {
            let record = dead::record(sequence, bytes).ok()?;
            let message = record::decode(sequence, name, record).ok()?;
            let letter = dead::decode(sequence, message, bytes).ok()?;
            let record = record.to_vec();
            Some(Letter { letter, record })
        };
        let letter = read();
        if letter.is_none() {
            tracing::error!(
                message = sequence,
                "a dead letter is damaged; it stays where it is"
            );
        }
        Ok(letter)
    }

    /// Takes a letter out of the dead store of a queue into a queue, mostly the same. Says whether it
    /// could be read.
    pub(super) fn redrive_one(
        &mut self,
        queue: QueueId,
        to: QueueId,
        sequence: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<bool, Fatal> {
        let Some(Letter { letter, record }) = self.letter(queue, sequence, group)? else {
            return Ok(false);
        };
        let ordinal = if to == queue {
            letter.ordinal
        } else {
            self.ordinal()
        };
        let message = &letter.message;
        let row = Row {
            counters: Counters {
                redriven: letter.counters.redriven.saturating_add(1),
                ..Counters::default()
            },
            ..self.revived(to, message, lifetime(message), ordinal, now)
        };
        let record = if to == queue {
            record
        } else {
            record::encode(&Message {
                queue: self.board.name(to).clone(),
                ..message.clone()
            })
        };
        group.insert_message(&row, record);
        if !letter.attempts.is_empty() {
            group.put_history(sequence, &letter.attempts)?;
        }
        self.remove_dead(queue, sequence, group)?;
        if to == queue {
            self.board.redrive(&row, now);
        } else {
            self.board.take_over(queue, &row, now);
        }
        Ok(true)
    }

    /// It starts anew, but for its key: attempts are reset, age and time-to-live count from now.
    /// With its old ordinal a group goes on in the order of acceptance.
    pub(super) fn revived(
        &self,
        queue: QueueId,
        message: &Message,
        ttl: Option<Duration>,
        ordinal: u64,
        now: Timestamp,
    ) -> Row {
        Row {
            queue,
            place: Place {
                sequence: message.id.sequence(),
                due: now,
                priority: message.envelope.priority,
                group: message.envelope.group.as_deref().map(group_hash),
                key: self.key_of(queue, &message.envelope),
                ordinal,
            },
            counters: Counters::default(),
            enqueued_at: now,
            expires_at: ttl.map(|ttl| now.after(ttl)),
            size: u32::try_from(message.size()).unwrap_or(u32::MAX),
            suspect: false,
        }
    }

    /// A waiting message that died elsewhere and is meant by a redrive.
    pub(super) fn returnable(
        &self,
        queue: QueueId,
        redrive: &RedriveUnderWay,
        sequence: u64,
        group: &Group<'_>,
    ) -> Result<Option<(Row, Message)>, Fatal> {
        if self.board.is_leased(sequence) {
            return Ok(None);
        }
        let row = group.row(sequence)?;
        let row = row.filter(|row| row.queue == queue && row.enqueued_at <= redrive.started_at);
        let Some(row) = row else {
            return Ok(None);
        };
        let message = self.sound_message(&row, group)?.filter(|message| {
            Provenance::of(&message.envelope).is_some_and(|died| {
                let filter = &redrive.order.filter;
                filter.means_returned(sequence, &died, &message.envelope)
            })
        });
        Ok(message.map(|message| (row, message)))
    }

    /// Takes a message back to the queue in which it died. Says whether that queue is declared.
    pub(super) fn return_one(
        &mut self,
        row: &Row,
        mut message: Message,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<bool, Fatal> {
        let Some(died) = Provenance::of(&message.envelope) else {
            return Ok(false);
        };
        let to = self.board.find(died.queue.as_str());
        let Some(to) = to.filter(|&to| self.board.is_declared(to) && to != row.queue) else {
            return Ok(false);
        };
        let sequence = row.place.sequence;
        Provenance::strip(&mut message.envelope);
        message.queue = died.queue;
        (message.enqueued_at, message.expires_at) = (now, died.ttl.map(|ttl| now.after(ttl)));
        self.let_go(sequence);
        group.remove_message(sequence, has_history(row))?;
        self.board.remove(row, Removal::Returned, now);
        let back = Row {
            counters: Counters {
                redriven: row.counters.redriven.saturating_add(1),
                ..Counters::default()
            },
            ..self.revived(to, &message, died.ttl, row.place.ordinal, now)
        };
        group.insert_message(&back, record::encode(&message));
        self.board.accept(&back, now);
        Ok(true)
    }

    /// Sends a dead letter again with another body: a new message whose cause the old one is, in the
    /// old one's place, and the letter is gone.
    pub(super) fn redrive_edited(
        &mut self,
        edited: Edited,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Edited {
            queue: name,
            id,
            message: new,
            staged,
            reply,
        } = edited;
        let Some(queue) = self.board.find(name.as_str()) else {
            self.answer(reply, Err(AdminError::UnknownQueue(name)));
            return Ok(());
        };
        let letter = self.letter(queue, id.sequence(), group)?;
        let Some(Letter { letter, .. }) = letter.filter(|one| one.letter.message.id == id) else {
            self.answer(reply, Err(AdminError::UnknownMessage(id)));
            return Ok(());
        };
        if let Err(problem) = new.check(self.board.policy(queue).max_body, now) {
            let queue = name;
            self.answer(reply, Err(AdminError::Invalid { queue, problem }));
            return Ok(());
        }
        // The letter ends with it, but the room that this frees is not on the disk at once.
        let room = self.large.reserve().take(1, new.body.len() as u64);
        if let Err(reached) = room {
            self.answer(reply, Err(SendError::from(reached).into()));
            return Ok(());
        }
        let ttl = lifetime(&letter.message);
        let mut message = Message {
            id: self.ids.mint(now),
            enqueued_at: now,
            expires_at: ttl.map(|ttl| now.after(ttl)),
            body: new.body,
            blob: new.blob,
            ..letter.message
        };
        message.envelope.causation_id = Some(id);
        let row = self.revived(queue, &message, ttl, letter.ordinal, now);
        group.insert_message(&row, record::encode(&message));
        if let Some(blob) = message.blob {
            self.large.stage(staged);
            self.adopt(message.id.sequence(), blob, group)?;
        }
        self.remove_dead(queue, id.sequence(), group)?;
        self.drop_blob(id.sequence(), group)?;
        self.board.redrive(&row, now);
        self.answer(reply, Ok(message.id));
        Ok(())
    }
}

/// How long a message was to live.
pub(super) fn lifetime(message: &Message) -> Option<Duration> {
    message
        .expires_at
        .map(|expires| expires.since(message.enqueued_at))
}
