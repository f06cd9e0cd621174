//! Starting and ending attempts, in the list and on the board alike.

use super::*;

impl Model {
    pub(super) fn claim(&mut self) {
        let startable = self.startable();
        let suspects = startable.iter().any(|&i| self.entries[i].row.suspect);
        let Some(claim) = self.board.claim(at(self.now)) else {
            // An expired message in the queue of the first suspect holds up the other suspects.
            assert!(
                startable.is_empty()
                    || startable
                        .iter()
                        .all(|&i| self.may_hold_back(self.entries[i].row.queue))
                    || suspects && self.entries.iter().any(|entry| self.has_expired(entry)),
                "{startable:?} could start"
            );
            return;
        };
        let index = *startable
            .iter()
            .find(|&&i| self.entries[i].row.place.sequence == claim.sequence)
            .expect("it may start");
        let pool = self.of(claim.queue).pool;
        let entry = &mut self.entries[index];
        assert_eq!(
            (claim.queue, claim.key),
            (entry.row.queue, entry.row.place.key)
        );
        assert_eq!(claim.alone, entry.row.suspect);
        assert_eq!(
            claim.conflicts,
            if claim.alone { 0 } else { entry.conflicts }
        );
        let fence = self.board.lease(claim, entry.row);
        assert!(!self.stale.contains(&fence), "a fence repeats");
        entry.state = State::InFlight {
            fence,
            exclusive: !claim.alone && entry.conflicts > limits::MAX_CONFLICTS,
            alone: claim.alone,
            pool,
            pulled: None,
        };
        self.note_start(index, claim.alone);
    }

    pub(super) fn note_start(&mut self, index: usize, alone: bool) {
        let Row { queue, place, .. } = self.entries[index].row;
        let turn = (place.priority, place.key);
        let flow = &mut self.queues[queue.0 as usize].flow;
        flow.take_tokens(place.key);
        if !alone {
            // One that runs alone runs out of turn, and its key keeps that.
            flow.since.remove(&turn);
        }
        self.note_turns();
    }

    pub(super) fn abandon_next(&mut self, known: bool) {
        // Unknown bytes stay counted, so only what has none is lost with its row here.
        let startable = self.startable();
        if startable.is_empty() || !known && startable.iter().any(|&i| self.entries[i].row.size > 0)
        {
            return;
        }
        let Some(claim) = self.board.claim(at(self.now)) else {
            return;
        };
        let index = self
            .entries
            .iter()
            .position(|entry| entry.row.place.sequence == claim.sequence)
            .unwrap();
        let unknown = row(claim.queue, claim.sequence);
        let entry = &mut self.entries[index];
        let row = if known {
            entry.row
        } else {
            Row { size: 0, ..unknown }
        };
        self.board.abandon(claim, &row, at(self.now));
        // It was in flight in between, which is when its key was at its limit.
        entry.state = State::InFlight {
            fence: Fence {
                boot: 0,
                lease: 0,
                sequence: 0,
            },
            exclusive: false,
            alone: false,
            pool: None,
            pulled: None,
        };
        self.note_start(index, claim.alone);
        self.entries[index].state = State::Gone;
        self.note_turns();
    }

    pub(super) fn end(&mut self, index: Index, outcome: &Outcome, roll: f64) {
        let Some(index) = self.pick(index, |entry| matches!(entry.state, State::InFlight { .. }))
        else {
            return;
        };
        self.end_one(index, outcome, roll);
    }

    pub(super) fn end_one(&mut self, index: usize, outcome: &Outcome, roll: f64) {
        let entry = &mut self.entries[index];
        let State::InFlight { fence, .. } = entry.state else {
            return;
        };
        let settings = &mut self.queues[entry.row.queue.0 as usize];
        assert_eq!(self.board.leased(fence), Ok(&entry.row));
        let settlement = entry
            .row
            .settle(&settings.policy, outcome, at(self.now), Roll::new(roll));
        let stays = self
            .board
            .end(fence, outcome, &settlement, at(self.now))
            .unwrap();
        self.stale.push(fence);
        match outcome {
            Outcome::Done => settings.totals.acked += 1,
            Outcome::Failed { .. } | Outcome::Rejected { .. } => settings.totals.failed += 1,
            Outcome::Postponed { .. } | Outcome::HandedBack(_) => settings.totals.handed_back += 1,
        }
        entry.state = match settlement {
            Settlement::Requeue { .. } => State::Waiting,
            Settlement::Dead { reason, .. } => {
                settings.totals.died += 1;
                settings.totals.expired += u64::from(reason == Reason::Expired);
                State::Dead
            }
            Settlement::Drop { .. } => {
                settings.totals.expired += 1;
                State::Gone
            }
            Settlement::Ack => State::Gone,
        };
        assert_eq!(stays.is_some(), entry.state == State::Waiting);
        if let Some(row) = stays {
            assert_eq!(
                (row.place.sequence, row.place.ordinal, row.size),
                (
                    entry.row.place.sequence,
                    entry.row.place.ordinal,
                    entry.row.size
                )
            );
            entry.row = row;
        }
        let conflict =
            *outcome == Outcome::HandedBack(HandedBack::Conflict) && entry.state == State::Waiting;
        entry.conflicts = if conflict { entry.conflicts + 1 } else { 0 };
        self.note_turns();
    }

    pub(super) fn end_stale(&mut self, index: Index) {
        if self.stale.is_empty() {
            return;
        }
        let fence = self.stale[index.index(self.stale.len())];
        let before = format!("{:?}", self.board);
        assert_eq!(
            self.board
                .end(fence, &Outcome::Done, &Settlement::Ack, at(self.now)),
            Err(LeaseLost)
        );
        assert_eq!(format!("{:?}", self.board), before);
    }
}
