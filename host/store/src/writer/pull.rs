//! Leases of pull consumers: settled, extended, ended when their time is up, and the rows that they are.

use std::time::Duration;

use gristmill_queue::board::{PullTerms, QueueId, Row};
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::outcome::{HandedBack, Usage};
use gristmill_queue::{Fence, Outcome, QueueName, Reason, Timestamp, limits};

use super::Writer;
use super::group::Group;
use crate::error::{AdminError, Fatal};
use crate::lease;
use crate::ops::{Evidence, Reply};
use crate::pull::{PullError, Pulled, Settled};

impl Writer {
    /// Settles leases of pull consumers.
    pub(super) fn settle_pulled(
        &mut self,
        name: QueueName,
        verdicts: Vec<(Fence, Pulled)>,
        reply: Option<Reply<Settled>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let settled = match self.board.find(name.as_str()) {
            None => Err(AdminError::UnknownQueue(name)),
            Some(queue) => {
                let mut settled = Vec::with_capacity(verdicts.len());
                for (fence, pulled) in verdicts {
                    settled.push(self.settle_one_pulled(queue, fence, pulled, group, now)?);
                }
                Ok(settled)
            }
        };
        if let Some(reply) = reply {
            self.answer(reply, settled);
        }
        Ok(())
    }

    fn settle_one_pulled(
        &mut self,
        queue: QueueId,
        fence: Fence,
        pulled: Pulled,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<(), PullError>, Fatal> {
        let held = self.board.pulled(fence).ok();
        let Some((row, terms)) = held.filter(|(row, _)| row.queue == queue) else {
            return Ok(Err(PullError::LeaseLost));
        };
        let visibility = match pulled.outcome() {
            Ok(outcome) => {
                self.end_pulled(fence, &row, &terms, &outcome, group, now)?;
                return Ok(Ok(()));
            }
            Err(visibility) => visibility,
        };
        let ends_at = now.after(visibility);
        if ends_at > terms.granted_at.after(limits::MAX_VISIBILITY) {
            return Ok(Err(PullError::TooLong));
        }
        let Ok(terms) = self.board.extend(fence, ends_at) else {
            return Ok(Err(PullError::LeaseLost));
        };
        if !is_planted(Bug::PullLeaseNotRecorded) {
            group.change_lease(fence, &terms);
        }
        Ok(Ok(()))
    }

    /// Ends the leases whose time is up.
    pub(super) fn lapse(&mut self, group: &mut Group<'_>, now: Timestamp) -> Result<(), Fatal> {
        const MOST: usize = 1000;
        for _ in 0..MOST {
            let Some(fence) = self.board.lapsed(now) else {
                return Ok(());
            };
            let Ok((row, terms)) = self.board.pulled(fence) else {
                return Ok(());
            };
            let lasted = terms.ends_at.since(terms.granted_at);
            let outcome = Outcome::Failed {
                reason: Reason::LeaseExpired,
                error: format!(
                    "the lease ended after {} s, and the message was not settled",
                    lasted.as_secs_f64()
                ),
                delay: Some(Duration::ZERO),
            };
            let outcome = if is_planted(Bug::LapseNotCounted) {
                Outcome::HandedBack(HandedBack::Released)
            } else {
                outcome
            };
            self.end_pulled(fence, &row, &terms, &outcome, group, now)?;
        }
        Ok(())
    }

    pub(super) fn end_pulled(
        &mut self,
        fence: Fence,
        row: &Row,
        terms: &PullTerms,
        outcome: &Outcome,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        group.remove_lease(fence.sequence);
        let evidence = Evidence {
            started_at: terms.granted_at,
            usage: Usage {
                wall: now.since(terms.granted_at),
                ..Usage::default()
            },
            diagnostics: None,
            module: "".into(),
            config: "".into(),
            handler: "".into(),
        };
        self.settle_one(fence, row, outcome, evidence, group, now)
    }
}

impl Group<'_> {
    /// Writes the lease of a pull consumer.
    pub fn insert_lease(&mut self, fence: Fence, terms: &PullTerms) {
        self.changes();
        let row = lease::encode(fence, terms);
        self.leases.insert(fence.sequence, row);
    }

    /// Writes the lease of a pull consumer anew.
    pub fn change_lease(&mut self, fence: Fence, terms: &PullTerms) {
        self.changes();
        let row = lease::encode(fence, terms);
        self.leases.replace(fence.sequence, row);
    }

    /// Removes the lease of a pull consumer.
    pub fn remove_lease(&mut self, sequence: u64) {
        self.changes();
        self.leases.remove(sequence);
    }
}
