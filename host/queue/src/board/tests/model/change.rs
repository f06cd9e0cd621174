//! What an operator, or time, does to a message that nobody handles.

use super::*;

impl Model {
    pub(super) fn redrive(&mut self, index: Index) {
        let Some(index) = self.pick(index, |entry| entry.state == State::Dead) else {
            return;
        };
        let entry = &mut self.entries[index];
        let row = &mut entry.row;
        // With its old ordinal, so that it may be older than what waits in its group.
        row.place.due = at(self.now);
        row.counters = Counters {
            redriven: row.counters.redriven + 1,
            ..Counters::default()
        };
        (row.expires_at, row.suspect) = (None, false);
        (entry.state, entry.conflicts) = (State::Waiting, 0);
        self.board.redrive(row, at(self.now));
        self.queues[entry.row.queue.0 as usize].totals.redriven += 1;
        self.note_turns();
    }

    /// It is due then, unless it would have expired; what is due already does not lose its place.
    pub(super) fn move_one(&mut self, index: Index, delay: u64) {
        let Some(index) = self.pick(index, |entry| entry.state == State::Waiting) else {
            return;
        };
        let (now, asked) = (at(self.now), at(self.now + delay));
        let row = &mut self.entries[index].row;
        let moved = row.moved(Due::At(asked), now);
        if row.expires_at.is_some_and(|expires| expires <= asked) {
            moved.unwrap_err();
            return;
        }
        let before = row.place.due;
        let due = if delay == 0 { before.min(asked) } else { asked };
        assert_eq!(moved, Ok(due));
        let changed = self.board.reschedule(row, due, now);
        row.place.due = due;
        assert_eq!(changed, *row);
        self.note_turns();
    }

    pub(super) fn remove(&mut self, index: usize, why: Removal) {
        let entry = &mut self.entries[index];
        self.board.remove(&entry.row, why, at(self.now));
        let totals = &mut self.queues[entry.row.queue.0 as usize].totals;
        entry.state = State::Gone;
        match why {
            Removal::Purged => totals.purged += 1,
            Removal::Dropped => totals.dropped += 1,
            Removal::Cancelled => totals.cancelled += 1,
            Removal::ExpiredAndDropped => totals.expired += 1,
            Removal::Taken => totals.acked += 1,
            Removal::Damaged | Removal::Returned => {}
            Removal::ExpiredToDead | Removal::GroupFailed => {
                entry.state = State::Dead;
                totals.expired += u64::from(why == Removal::ExpiredToDead);
                totals.died += 1;
            }
        }
        self.note_turns();
    }
}
