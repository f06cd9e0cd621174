//! What must hold within the board at all times.

use std::collections::BTreeSet;

use super::super::super::queue::Queue;
use super::*;

impl Board {
    /// Recomputes from scratch what the board keeps beside the queues.
    pub(super) fn check_invariants(&self) {
        let ids = || self.ids().map(|id| (id, self.queue(id)));
        for (id, queue) in ids() {
            assert!(
                queue.candidate
                    || queue.in_line
                    || !queue.is_open()
                    || !queue.order.is_ready()
                    || self.is_held_up(queue),
                "{id:?} is overlooked"
            );
            assert_eq!(queue.candidate, self.candidates.contains(&id));
            assert!(
                !(queue.candidate && queue.in_line),
                "{id:?} stands in two lines"
            );
            assert_eq!(
                (queue.wake, queue.expiry),
                (queue.next_wake(), queue.next_expiry())
            );
            assert!(queue.exclusive.is_none_or(
                |sequence| queue.in_handlers() == 1 && self.leases.contains_key(&sequence)
            ));
        }
        let wakes = ids().filter_map(|(id, queue)| Some((queue.wake?, id)));
        assert_eq!(self.wakes, wakes.collect());
        let expiries = ids().filter_map(|(id, queue)| Some((queue.expiry?, id)));
        assert_eq!(self.expiries, expiries.collect());
        assert_eq!(
            self.candidates.len(),
            ids().filter(|(_, queue)| queue.candidate).count()
        );
        let handled = || self.leases.values().filter(|lease| lease.pull.is_none());
        let alone = handled().find(|lease| lease.row.suspect);
        assert_eq!(self.alone, alone.map(|lease| lease.fence.sequence));
        assert!(self.alone.is_none() || handled().count() == 1);
        let ends = self.leases.values().filter_map(|lease| {
            let terms = lease.pull?;
            Some((terms.ends_at, lease.fence.sequence))
        });
        assert_eq!(self.pull_ends, ends.collect());
        let waiting: BTreeSet<u64> = self.ids().flat_map(|id| self.waiting(id)).collect();
        assert!(
            self.suspects
                .iter()
                .all(|(_, place)| waiting.contains(&place.sequence))
        );
        assert!(
            self.conflicts
                .keys()
                .all(|sequence| waiting.contains(sequence))
        );
    }

    /// Whether a queue was passed over until an operation considers it anew.
    fn is_held_up(&self, queue: &Queue) -> bool {
        let serial = queue.order.waiting().any(|sequence| {
            self.conflicts
                .get(&sequence)
                .is_some_and(|&conflicts| conflicts > limits::MAX_CONFLICTS)
        });
        !queue.expiring.is_empty()
            || serial && queue.in_handlers() > 0
            || queue.next_token().is_some()
    }
}
