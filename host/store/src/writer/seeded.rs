//! What some of the bugs that can be planted need to be done wrongly; see
//! [`bug`](gristmill_queue::bug). It is there with the feature `seeded-bugs` only.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gristmill_queue::board::QueueId;
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::retry::Roll;
use gristmill_queue::{Outcome, Timestamp};

use super::Writer;
use super::group::{self, Group};
use crate::error::Fatal;

type Change = Box<dyn FnOnce(&mut Group<'_>) -> Result<(), Fatal>>;

thread_local! {
    static LATER: RefCell<Vec<Change>> = RefCell::default();
}

/// Does something in a commit of its own, after that of the group.
pub(crate) fn later(change: impl FnOnce(&mut Group<'_>) -> Result<(), Fatal> + 'static) {
    LATER.with_borrow_mut(|later| later.push(Box::new(change)));
}

/// What time it is outside.
pub(crate) fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp::ZERO.after(since.unwrap_or_default())
}

impl Writer {
    /// Does what was left for a second commit.
    pub(crate) fn catch_up(&mut self, now: Timestamp) -> Result<(), Fatal> {
        let later = LATER.take();
        if later.is_empty() {
            return Ok(());
        }
        let database = Arc::clone(&self.database);
        let transaction = group::begin(&database)?;
        let redo = self.log.begin();
        let mut group = Group::open(&transaction, &redo)?;
        for change in later {
            change(&mut group)?;
        }
        let changed = group.finish(&self.clock_row(now))?;
        self.end_group(transaction, redo, changed, false)
    }

    /// Takes the leases of a queue away from those who hold them.
    pub(crate) fn lose_leases(&mut self, queue: QueueId) {
        let leases = self.board.leases().filter(|(_, of)| *of == queue);
        let (now, outcome) = (self.last_now, Outcome::HandedBack(HandedBack::Reload));
        for (fence, _) in leases.collect::<Vec<_>>() {
            if let Ok(&row) = self.board.leased(fence) {
                let roll = Roll::of(self.board.name(queue).as_str(), self.message_id(fence), 0);
                let settlement = row.settle(self.board.policy(queue), &outcome, now, roll);
                let stays = self.board.end(fence, &outcome, &settlement, now);
                self.release(fence, stays.ok().flatten(), now);
            }
        }
    }
}
