//! How a group becomes durable.

use gristmill_queue::Timestamp;
use gristmill_queue::bug::{Bug, is_planted};
use redb::WriteTransaction;

use super::Writer;
use super::group::{self, ClockRow, fatal};
use crate::error::Fatal;
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
        if !changed {
            self.log.forget(redo);
            return group::drop_empty(transaction);
        }
        let logged = !in_database && self.log.append(redo).map_err(fatal("writing the log"))?;
        if logged {
            return group::end_logged(transaction);
        }
        if is_planted(Bug::LogBegunTooEarly) {
            group::end_logged(transaction)?;
        } else {
            group::end_durably(transaction)?;
        }
        self.log.begin_anew();
        self.large.reserve().written();
        Ok(())
    }
}
