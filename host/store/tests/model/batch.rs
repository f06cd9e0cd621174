//! Several deliveries that end as one batch: one transaction, a verdict for each.

use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Fence, Outcome, Transaction};
use gristmill_store::SettleBatch;

use super::judge::outcome;
use super::reference::Ended;
use super::rig::settle;
use super::script::End;
use super::state::Work;
use super::world::{Asked, World};

impl World {
    /// Ends as many deliveries as there are ends, from the n-th on, with what the handler of the
    /// first has done. One whose lease was lost long ago may be among them.
    pub fn ask_end_batch(&mut self, n: usize, ends: &[End], stale: Option<usize>) -> Asked {
        if self.flights.is_empty() {
            return Asked::Nothing;
        }
        let n = n % self.flights.len();
        let flight = &mut self.flights[n];
        let work = std::mem::take(&mut flight.work);
        let transaction = flight.transaction.take();
        let effects = transaction.map(Transaction::finish).unwrap_or_default();
        let mut told = Vec::new();
        let mut meant = Vec::new();
        for (k, end) in ends.iter().take(self.flights.len()).enumerate() {
            let flight = &self.flights[(n + k) % self.flights.len()];
            let (outcome, ended) = outcome(end, format!("failure {}", ["one", "two"][k % 2]));
            told.push((flight.fence, outcome));
            meant.push((flight.fence, ended));
        }
        if let Some(stale) = stale.filter(|_| !self.spent.is_empty()) {
            let fence = self.spent[stale % self.spent.len()];
            told.push((fence, Outcome::Done));
            meant.push((fence, Ended::Done));
        }
        let evidence = settle(meant[0].0, Outcome::Done, effects);
        self.rig.store.settle_batch(SettleBatch {
            ended: told,
            effects: evidence.effects,
            evidence: evidence.evidence,
        });
        Asked::EndBatch(work, meant)
    }

    /// All that are done are acknowledged together with what was sent and stored. If that cannot
    /// be, nobody is charged for anything, and all run again.
    pub fn judge_end_batch(&mut self, work: &Work, ended: Vec<(Fence, Ended)>) {
        let lost = |fence: &Fence| self.flights.iter().all(|flight| flight.fence != *fence);
        let mut done = ended.iter().filter(|(_, end)| matches!(end, Ended::Done));
        let by_itself = || outcome(&End::HandedBack(HandedBack::BatchFailed), String::new()).1;
        let instead = if done.clone().any(|(fence, _)| lost(fence)) {
            Some(by_itself())
        } else if done.next().is_some() {
            match self.commit(work) {
                Ok(()) => None,
                Err(back @ Ended::Back { .. }) => Some(back),
                Err(_) => Some(by_itself()),
            }
        } else {
            None
        };
        for (fence, ended) in ended {
            let Some(n) = self.flights.iter().position(|flight| flight.fence == fence) else {
                continue;
            };
            self.flights.remove(n);
            self.spent.push(fence);
            let ended = instead.as_ref().unwrap_or(&ended);
            self.reference.end(fence.sequence, ended);
            self.reference.note_turns();
        }
    }
}
