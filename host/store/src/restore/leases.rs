//! The leases of pull consumers, which outlast the host.

use std::collections::HashSet;
use std::sync::Arc;

use gristmill_queue::Fence;
use gristmill_queue::board::{PullTerms, Row};
use redb::{ReadableDatabase as _, ReadableTable as _};

use crate::error::Fatal;
use crate::tables::{INDEX, LEASE};
use crate::writer::Writer;
use crate::writer::group::{self, Group};
use crate::{lease, row};

/// A lease of a pull consumer, the message that it is of, and its terms.
type HeldLease = (Fence, Row, PullTerms);

impl Writer {
    /// Takes in what pull consumers hold still. A lease that is damaged, or whose message is, counts as
    /// ended. Says how many hold.
    pub(crate) fn restore_leases(&mut self, unsound: Option<&HashSet<u64>>) -> Result<u64, Fatal> {
        let fail = |source: redb::Error| Fatal {
            doing: "reading the leases",
            source,
        };
        let (held, void) = self.read_leases(unsound).map_err(fail)?;
        let count = held.len() as u64;
        for (fence, row, terms) in held {
            self.next_ordinal = self.next_ordinal.max(row.place.ordinal.saturating_add(1));
            self.board.restore_pulled(fence, row, terms);
        }
        if void.is_empty() {
            return Ok(count);
        }
        let database = Arc::clone(&self.database);
        let transaction = group::begin(&database)?;
        let redo = self.log.begin();
        let mut group = Group::open(&transaction, &redo)?;
        for sequence in void {
            tracing::error!(
                message = sequence,
                "the lease of a pull consumer is damaged: the message, if it is still there, is delivered again"
            );
            group.remove_lease(sequence);
        }
        let now = self.last_now;
        let changed = group.finish(&self.clock_row(now))?;
        self.end_group(transaction, redo, changed, false)?;
        Ok(count)
    }

    /// The leases that hold, in the order of acceptance, and those that do not.
    fn read_leases(
        &self,
        unsound: Option<&HashSet<u64>>,
    ) -> Result<(Vec<HeldLease>, Vec<u64>), redb::Error> {
        let transaction = self.database.begin_read()?;
        let index = transaction.open_table(INDEX)?;
        let (mut held, mut void) = (Vec::new(), Vec::new());
        for entry in transaction.open_table(LEASE)?.iter()? {
            let (sequence, bytes) = entry?;
            let sequence = sequence.value();
            let found = index.get(sequence)?;
            let row = found.and_then(|bytes| row::decode(sequence, bytes.value()).ok());
            let sound = unsound.is_none_or(|unsound| !unsound.contains(&sequence));
            let row = row.filter(|row| sound && self.board.has(row.queue));
            match (row, lease::decode(sequence, bytes.value())) {
                (Some(row), Ok((fence, terms))) => held.push((fence, row, terms)),
                _ => void.push(sequence),
            }
        }
        held.sort_unstable_by_key(|(_, row, _)| row.place.ordinal);
        Ok((held, void))
    }
}
