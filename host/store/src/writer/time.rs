//! The time that the store has seen, written down often enough.
//!
//! Every commit holds it. While nothing else is committed but something waits for its time, and when
//! the store is closed, it is written by itself, so that a start with a wall clock that was set back
//! repeats little of the wait.

use std::time::Duration;

use gristmill_queue::Timestamp;

use super::Writer;
use super::group::Group;

/// So much of a wait is repeated at the most, if the host is killed and the wall clock set back.
const UNWRITTEN: Duration = Duration::from_secs(60);
/// The same if the host closes the store.
const UNWRITTEN_AT_CLOSE: Duration = Duration::from_secs(1);

impl Writer {
    /// Has the time committed with this group, if that was long ago and matters.
    pub(super) fn keep_time(&mut self, group: &mut Group<'_>, closing: bool, now: Timestamp) {
        let unwritten = now.since(self.time_written);
        let waits = self.board.next_wake().is_some();
        if (closing && unwritten >= UNWRITTEN_AT_CLOSE) || (waits && unwritten >= UNWRITTEN) {
            group.changes();
        }
    }
}
