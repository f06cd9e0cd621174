//! One waiting message, by its id: cancelled, moved, or only found.
//!
//! The id leads to the row by its sequence number; the record says whether it is the id's own.

use gristmill_queue::board::{Removal, Row};
use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, Timestamp};
use redb::ReadableTable;

use super::Writer;
use super::group::{Group, fatal};
use crate::error::{AdminError, Fatal};
use crate::ops::{Reply, Standing};
use crate::{dead, record, row};

impl Writer {
    /// Removes a waiting message for good.
    pub(super) fn cancel(
        &mut self,
        id: MessageId,
        reply: Reply<Result<(), AdminError>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let row = match self.find_waiting(id, group)? {
            Ok(row) => row,
            Err(error) => {
                self.answer(reply, Err(error));
                return Ok(());
            }
        };
        self.let_go(id.sequence());
        self.remove_whole(&row, group)?;
        self.board.remove(&row, Removal::Cancelled, now);
        self.answer(reply, Ok(()));
        Ok(())
    }

    /// Changes when a waiting message is due. It keeps all that is counted and known about it.
    pub(super) fn move_one(
        &mut self,
        id: MessageId,
        to: Due,
        reply: Reply<Result<Timestamp, AdminError>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let found = self.find_waiting(id, group)?;
        let moved = found.and_then(|row| match row.moved(to, now) {
            Ok(due) => Ok((row, due)),
            Err(_) => Err(AdminError::ExpiresFirst(id)),
        });
        let answer = match moved {
            Ok((row, due)) => {
                if due != row.place.due {
                    let row = self.board.reschedule(&row, due, now);
                    group.put_row(&row);
                    self.hot.change(&row, now);
                }
                Ok(due)
            }
            Err(error) => Err(error),
        };
        self.answer(reply, answer);
        Ok(())
    }

    /// How a message stands that is not dead; what else is known of it stands in the tables.
    pub(super) fn standing(
        &mut self,
        sequence: u64,
        reply: Reply<Standing>,
        group: &Group<'_>,
    ) -> Result<(), Fatal> {
        let standing = if self.board.is_leased(sequence) {
            Standing::InFlight
        } else {
            let row = group.row(sequence)?;
            let row = row.filter(|row| self.board.has(row.queue));
            Standing::Waiting {
                behind: row.is_some_and(|row| !self.board.has_turn(&row)),
            }
        };
        self.answer(reply, standing);
        Ok(())
    }

    /// Whether a message is dead. Only its record tells its queue, and that is under a checksum with
    /// the queue's name, so all are tried; nobody waits for it but who asked for a dead one.
    fn is_dead(&self, id: MessageId, group: &mut Group<'_>) -> Result<bool, Fatal> {
        let sequence = id.sequence();
        let found = group.dead()?.get(sequence);
        let Some(letter) = found.map_err(fatal("reading a dead letter"))? else {
            return Ok(false);
        };
        let Ok(record) = dead::record(sequence, letter.value()) else {
            return Ok(false);
        };
        Ok(self.board.ids().any(|queue| {
            let name = self.board.name(queue).clone();
            record::decode(sequence, name, record).is_ok_and(|message| message.id == id)
        }))
    }

    /// The row of a message that waits, or why it cannot be changed.
    fn find_waiting(
        &self,
        id: MessageId,
        group: &mut Group<'_>,
    ) -> Result<Result<Row, AdminError>, Fatal> {
        let sequence = id.sequence();
        if let Some(hand) = self.leased.get(&sequence) {
            return Ok(Err(if hand.message.id == id {
                AdminError::InFlight(id)
            } else {
                AdminError::UnknownMessage(id)
            }));
        }
        let Some(bytes) = group.row_bytes(sequence)? else {
            return Ok(Err(if self.is_dead(id, group)? {
                AdminError::IsDead(id)
            } else {
                AdminError::UnknownMessage(id)
            }));
        };
        let row = row::decode(sequence, &bytes).ok();
        let Some(row) = row.filter(|row| self.board.has(row.queue)) else {
            return Ok(Err(AdminError::Damaged(sequence)));
        };
        Ok(match self.sound_message(&row, group)? {
            None => Err(AdminError::Damaged(sequence)),
            Some(message) if message.id == id && self.board.is_leased(sequence) => {
                Err(AdminError::InFlight(id))
            }
            Some(message) if message.id == id => Ok(row),
            Some(_) => Err(AdminError::UnknownMessage(id)),
        })
    }
}
