//! How a group becomes durable.

use gristmill_queue::Timestamp;
use gristmill_queue::bug::{Bug, is_planted};
use redb::WriteTransaction;

use super::Writer;
use super::group::{self, ClockRow, fatal};
use crate::error::Fatal;
use crate::log::Place;
use crate::log::redo::Redo;

impl Writer {
    /// What the row of the clock says in the next commit.
    pub(crate) fn clock_row(&self, now: Timestamp) -> ClockRow {
        ClockRow {
            seen: now,
            next_sequence: self.ids.next_sequence(),
            next_ordinal: self.next_ordinal,
            commit: self.log.next_number(),
        }
    }

    /// Makes a group durable: by the log, or by the database if that is wanted or the log has no room.
    pub(crate) fn end_group(
        &mut self,
        transaction: WriteTransaction,
        redo: Redo,
        changed: bool,
        in_database: bool,
    ) -> Result<(), Fatal> {
        self.checkpoints.look().map_err(fatal("a checkpoint"))?;
        if !changed {
            self.log.forget(redo);
            return group::drop_empty(transaction);
        }
        let place = if in_database {
            Place::Nowhere
        } else {
            self.log.place(&redo)
        };
        match place {
            Place::Here => {
                self.log.append(redo).map_err(fatal("writing the log"))?;
                group::end_logged(transaction)
            }
            Place::OtherHalf => self.turn(transaction, redo),
            Place::Nowhere => {
                self.log.forget(redo);
                self.checkpoints.wait().map_err(fatal("a checkpoint"))?;
                group::end_durably(transaction)?;
                self.log.begin_anew();
                self.large.reserve().written();
                Ok(())
            }
        }
    }

    /// Makes a group durable by the other half of the log, and begins a checkpoint of it and all before it.
    /// That half's own checkpoint has to be done.
    fn turn(&mut self, transaction: WriteTransaction, redo: Redo) -> Result<(), Fatal> {
        let wait = || self.checkpoints.wait().map_err(fatal("a checkpoint"));
        if !is_planted(Bug::LogBegunTooEarly) {
            wait()?;
        }
        self.log.turn();
        self.log.append(redo).map_err(fatal("writing the log"))?;
        wait()?;
        self.checkpoints
            .beside(|| group::end_durably(transaction))?;
        self.large.reserve().written();
        Ok(())
    }
}
