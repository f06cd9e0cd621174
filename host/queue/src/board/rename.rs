//! Queues that get another name: one that is deleted keeps its number until nothing of it is left, and then
//! a new one takes it.

use super::queue::Queue;
use super::{Board, Depths, QueueId};
use crate::QueueName;

impl Board {
    /// Gives a queue another name.
    ///
    /// # Panics
    /// When another queue has that name.
    pub fn rename(&mut self, queue: QueueId, name: QueueName) {
        let taken = self.names.insert(name.clone(), queue);
        assert!(taken.is_none(), "queue {name} is there already");
        let before = std::mem::replace(&mut self.queue_mut(queue).name, name);
        self.names.remove(&before);
    }

    /// Makes a queue that holds nothing as though it were new, under another name.
    ///
    /// # Panics
    /// When it holds something, or another queue has that name.
    pub fn begin_anew(&mut self, queue: QueueId, name: QueueName) {
        assert!(
            self.holds_nothing(queue),
            "queue {name} would take over what another has left"
        );
        self.rename(queue, name.clone());
        let entry = self.queue_mut(queue);
        let fresh = Queue::new(name, false, 0);
        let before = std::mem::replace(entry, fresh);
        // Where it stands on the board.
        entry.candidate = before.candidate;
        entry.wake = before.wake;
        entry.expiry = before.expiry;
        entry.pool = before.pool;
        entry.in_line = before.in_line;
        self.consider(queue);
    }

    /// Whether nothing of a queue is left: no message in any state, no dead letter.
    #[must_use]
    pub fn holds_nothing(&self, queue: QueueId) -> bool {
        let depths = self.queue(queue).depths();
        let all = [
            depths.ready,
            depths.scheduled,
            depths.in_flight,
            depths.dead,
        ];
        all == [0; 4]
    }

    /// How many messages a queue holds, by state.
    #[must_use]
    pub fn depths(&self, queue: QueueId) -> Depths {
        self.queue(queue).depths()
    }
}
