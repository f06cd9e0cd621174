//! What the list says that the board should do and show.

use std::collections::BTreeSet;

use super::*;

impl Model {
    pub(super) fn has_expired(&self, entry: &Entry) -> bool {
        entry.state == State::Waiting
            && entry
                .row
                .expires_at
                .is_some_and(|expires| expires <= at(self.now))
    }

    /// How many of a queue its handler has.
    pub(super) fn in_flight(&self, queue: QueueId) -> usize {
        let in_flight = |entry: &&Entry| entry.row.queue == queue && entry.is_handled();
        self.entries.iter().filter(in_flight).count()
    }

    pub(super) fn has_turn(&self, entry: &Entry) -> bool {
        entry.row.place.group.is_none()
            || !self.entries.iter().any(|other| {
                (other.row.queue, other.row.place.group) == (entry.row.queue, entry.row.place.group)
                    && match other.state {
                        State::InFlight { .. } => true,
                        State::Waiting => other.row.place.ordinal < entry.row.place.ordinal,
                        State::Dead | State::Gone => false,
                    }
            })
    }

    pub(super) fn is_due(&self, entry: &Entry) -> bool {
        entry.state == State::Waiting && entry.row.place.due <= at(self.now) && self.has_turn(entry)
    }

    pub(super) fn delivers(&self, queue: QueueId) -> bool {
        let settings = self.of(queue);
        settings.declared && !settings.paused && settings.slots.min(settings.policy.concurrency) > 0
    }

    /// Whether as many are in flight as may be.
    pub(super) fn is_full(&self, queue: QueueId) -> bool {
        let settings = self.of(queue);
        let exclusive = |entry: &Entry| {
            let exclusive = matches!(
                entry.state,
                State::InFlight {
                    exclusive: true,
                    ..
                }
            );
            exclusive && entry.row.queue == queue
        };
        self.in_flight(queue) >= settings.slots.min(settings.policy.concurrency) as usize
            || self.entries.iter().any(exclusive)
    }

    /// The messages one of which a queue would start now, if it is its turn.
    pub(super) fn next_of(&self, queue: QueueId) -> Vec<usize> {
        let settings = self.of(queue);
        let of_queue = |entry: &&Entry| entry.row.queue == queue;
        if !self.delivers(queue)
            || self.is_full(queue)
            || !self.pool_has_room(queue)
            || !settings.flow.has_token()
            || self
                .entries
                .iter()
                .filter(of_queue)
                .any(|entry| self.has_expired(entry))
        {
            return Vec::new();
        }
        let next = self.in_turn(queue);
        let serial = |i: &usize| self.entries[*i].conflicts > limits::MAX_CONFLICTS;
        if self.in_flight(queue) > 0 && next.iter().any(serial) {
            // Whichever of them it is that the board asks: the others are not asked before it.
            return next.into_iter().filter(|i| !serial(i)).collect();
        }
        next
    }

    /// Whether the queue may have nothing to start, since one that has to run with no other of its
    /// queue may be next.
    pub(super) fn may_hold_back(&self, queue: QueueId) -> bool {
        let next = self.in_turn(queue);
        let serial = |i: &usize| self.entries[*i].conflicts > limits::MAX_CONFLICTS;
        self.in_flight(queue) > 0 && next.iter().any(serial)
    }

    /// Everything that may start now.
    pub(super) fn startable(&self) -> Vec<usize> {
        let alone = |entry: &Entry| matches!(entry.state, State::InFlight { alone: true, .. });
        if self.entries.iter().any(alone) {
            return Vec::new();
        }
        let suspect = |i: &usize| {
            let entry = &self.entries[*i];
            let flow = &self.of(entry.row.queue).flow;
            entry.row.suspect
                && self.is_due(entry)
                && self.delivers(entry.row.queue)
                && flow.has_token()
                && flow.key_has_token(entry.row.place.key)
        };
        let suspects: Vec<usize> = (0..self.entries.len()).filter(suspect).collect();
        if suspects.is_empty() {
            return self
                .board
                .ids()
                .flat_map(|queue| self.next_of(queue))
                .collect();
        }
        let busy = self.entries.iter().any(Entry::is_handled);
        let blocked = |i: &usize| {
            let queue = self.entries[*i].row.queue;
            self.entries
                .iter()
                .any(|entry| entry.row.queue == queue && self.has_expired(entry))
        };
        suspects
            .into_iter()
            .filter(|i| !busy && !blocked(i))
            .collect()
    }

    /// Every message is in exactly one place, and the board counts as the list does.
    pub(super) fn check(&self) {
        for queue in self.board.ids() {
            let settings = self.of(queue);
            let view = self.board.view(queue, at(self.now));
            let of_queue: Vec<&Entry> = self
                .entries
                .iter()
                .filter(|entry| entry.row.queue == queue)
                .collect();
            let count = |wanted: &dyn Fn(&Entry) -> bool| {
                of_queue.iter().filter(|entry| wanted(entry)).count() as u64
            };
            let later = |entry: &Entry| {
                entry.state == State::Waiting
                    && entry.row.place.due > at(self.now)
                    && self.has_turn(entry)
            };
            let expected = Depths {
                ready: count(&|entry| entry.state == State::Waiting && !later(entry)),
                scheduled: count(&later),
                in_flight: count(&|entry| matches!(entry.state, State::InFlight { .. })),
                dead: count(&|entry| entry.state == State::Dead),
                bytes: of_queue
                    .iter()
                    .filter(|entry| !matches!(entry.state, State::Dead | State::Gone))
                    .map(|entry| u64::from(entry.row.size))
                    .sum(),
            };
            assert_eq!(view.depths, expected, "{queue:?}");
            assert_eq!(view.pulled, count(&Entry::is_pulled), "{queue:?}");
            assert_eq!(view.totals, settings.totals, "{queue:?}");
            let waiting: BTreeSet<u64> = self.board.waiting(queue).collect();
            let expected = of_queue
                .iter()
                .filter(|entry| entry.state == State::Waiting)
                .map(|entry| entry.row.place.sequence);
            assert_eq!(waiting, expected.collect(), "{queue:?}");
        }
        let expires = self
            .entries
            .iter()
            .filter(|entry| entry.state == State::Waiting)
            .filter_map(|entry| entry.row.expires_at)
            .min();
        assert_eq!(
            self.board.expired(at(self.now)).is_some(),
            expires.is_some_and(|expires| expires <= at(self.now))
        );
        let due = self.entries.iter().filter(|entry| {
            entry.state == State::Waiting
                && entry.row.place.due > at(self.now)
                && self.has_turn(entry)
        });
        let wake = due.map(|entry| entry.row.place.due).chain(expires);
        let wake = wake
            .chain(self.entries.iter().filter_map(Entry::ends))
            .min();
        self.check_wake(wake);
        let count = |wanted: fn(&Entry) -> bool| {
            let wanted = self.entries.iter().filter(|entry| wanted(entry));
            wanted.count()
        };
        let (handled, pulled) = (count(Entry::is_handled), count(Entry::is_pulled));
        assert_eq!(
            (self.board.in_flight(), self.board.leases().count()),
            (handled, handled + pulled)
        );
        assert_eq!(self.board.all_pulled().count(), pulled);
        self.board.check_invariants();
    }
}
