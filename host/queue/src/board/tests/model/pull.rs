//! Pull consumers, in the list and on the board alike.

use super::*;

impl Model {
    /// Whether a pull consumer could have something, were there a token and nothing expired.
    pub(super) fn would_pull(&self, queue: QueueId) -> bool {
        let settings = self.of(queue);
        let allowed = settings.policy.pull.allowed.unwrap_or(settings.slots == 0);
        let of_queue = |entry: &&Entry| entry.row.queue == queue;
        let held = self.entries.iter().filter(of_queue);
        let held = held.filter(|entry| entry.is_pulled()).count();
        settings.declared
            && !settings.paused
            && allowed
            && held < settings.policy.pull.max_in_flight as usize
    }

    fn may_pull(&self, queue: QueueId) -> bool {
        let has_expired = |entry: &Entry| entry.row.queue == queue && self.has_expired(entry);
        self.would_pull(queue)
            && self.of(queue).flow.has_token()
            && !self.entries.iter().any(has_expired)
    }

    /// Some are received; of a group several in order, if that is asked for.
    pub(super) fn pull(&mut self, index: Index, most: usize, batch: bool, lasts: u64) {
        let (queue, _) = self.settings(index);
        let mut group = None;
        for _ in 0..most {
            let behind = self.next_behind(queue, group.filter(|_| batch));
            let could = match behind {
                Some(next) => vec![next],
                None if self.may_pull(queue) => self.in_turn(queue),
                None => Vec::new(),
            };
            let now = at(self.now);
            let claim = match (behind, group) {
                (Some(_), Some(hash)) => self.board.claim_behind(queue, hash, now),
                (None, Some(hash)) if batch => {
                    assert_eq!(self.board.claim_behind(queue, hash, now), None);
                    self.board.claim_pulled(queue, now)
                }
                _ => self.board.claim_pulled(queue, now),
            };
            let Some(claim) = claim else {
                assert!(could.is_empty(), "{could:?} could be pulled");
                return;
            };
            let taken = could
                .into_iter()
                .find(|&i| self.entries[i].row.place.sequence == claim.sequence);
            let taken = taken.expect("it may be pulled");
            let entry = &mut self.entries[taken];
            let terms = PullTerms {
                id: crate::IdSource::new(claim.sequence, 1).mint(now),
                granted_at: now,
                ends_at: at(self.now + lasts),
            };
            let fence = self.board.lease_pulled(claim, entry.row, terms);
            assert!(!self.stale.contains(&fence), "a fence repeats");
            entry.conflicts = 0;
            entry.state = State::InFlight {
                fence,
                exclusive: false,
                alone: false,
                pool: None,
                pulled: Some(terms),
            };
            group = entry.row.place.group;
            self.note_start(taken, behind.is_some());
        }
    }

    /// The next of a group of which all that is in flight was just received.
    fn next_behind(&self, queue: QueueId, group: Option<u64>) -> Option<usize> {
        let group = group.filter(|_| self.may_pull(queue))?;
        let waits = (0..self.entries.len()).filter(|&i| {
            let entry = &self.entries[i];
            entry.state == State::Waiting
                && (entry.row.queue, entry.row.place.group) == (queue, Some(group))
        });
        let first = waits.min_by_key(|&i| self.entries[i].row.place.ordinal)?;
        let place = self.entries[first].row.place;
        (place.due <= at(self.now) && self.key_is_open(queue, place.key)).then_some(first)
    }

    pub(super) fn extend(&mut self, index: Index, lasts: u64) {
        let Some(index) = self.pick(index, Entry::is_pulled) else {
            return;
        };
        let ends_at = at(self.now + lasts);
        if let State::InFlight { fence, pulled, .. } = &mut self.entries[index].state {
            let terms = PullTerms {
                ends_at,
                ..pulled.unwrap()
            };
            *pulled = Some(terms);
            assert_eq!(self.board.extend(*fence, ends_at), Ok(terms));
        }
    }

    /// What was not settled in time has failed.
    pub(super) fn lapse(&mut self) {
        let lapsed = Outcome::Failed {
            reason: Reason::LeaseExpired,
            error: String::new(),
            delay: Some(Duration::ZERO),
        };
        while let Some(fence) = self.board.lapsed(at(self.now)) {
            let held = |entry: &Entry| matches!(entry.state, State::InFlight { fence: of, .. } if of == fence);
            let index = self.entries.iter().position(held).unwrap();
            assert!(self.entries[index].ends() <= Some(at(self.now)));
            self.end_one(index, &lapsed, 0.0);
        }
    }
}

impl Entry {
    pub(super) fn is_pulled(&self) -> bool {
        self.ends().is_some()
    }

    /// Whether a handler has it.
    pub(super) fn is_handled(&self) -> bool {
        matches!(self.state, State::InFlight { pulled: None, .. })
    }

    /// When its lease ends, if a pull consumer holds it.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        match self.state {
            State::InFlight { pulled, .. } => pulled.map(|terms| terms.ends_at),
            _ => None,
        }
    }
}
