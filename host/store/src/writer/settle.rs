//! Ending attempts: the ack with its effects, the retry, death.

use std::sync::Arc;

use gristmill_queue::board::Row;
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::effects::Effects;
use gristmill_queue::outcome::{AttemptRecord, HandedBack, cut};
use gristmill_queue::policy::Dedup;
use gristmill_queue::retry::Roll;
use gristmill_queue::settle::Counters;
use gristmill_queue::{Fence, Outcome, Reason, Settlement, Timestamp, limits};

use super::Writer;
use super::bury::{Cause, EXPIRED};
use super::group::{Group, fatal};
use super::topics::Route;
use crate::error::{Fatal, SendError};
use crate::ops::{Evidence, Settle, SettleBatch};
use crate::state;

impl Writer {
    /// Ends an attempt. A stale fence changes nothing.
    pub(super) fn settle(
        &mut self,
        request: Settle,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Settle {
            fence,
            mut outcome,
            effects,
            evidence,
        } = request;
        let Ok(&row) = self.board.leased(fence) else {
            tracing::warn!(
                message = fence.sequence,
                "a settlement came after its lease was lost; it is refused"
            );
            return Ok(());
        };
        if outcome == Outcome::Done
            && let Err(instead) = self.apply_effects(Some(fence), effects, &evidence, group, now)?
        {
            outcome = instead;
        }
        self.settle_one(fence, &row, &outcome, evidence, group, now)
    }

    /// Ends the attempts of a batch. What it sent and stored appears with the acks of all that are
    /// done, or not at all. If it cannot appear, none of the verdicts holds either: each was given
    /// in view of what the others had done.
    pub(super) fn settle_batch(
        &mut self,
        request: SettleBatch,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let SettleBatch {
            ended,
            effects,
            evidence,
        } = request;
        let mut done = ended
            .iter()
            .filter(|(_, outcome)| *outcome == Outcome::Done);
        let instead = if done
            .clone()
            .any(|&(fence, _)| self.board.leased(fence).is_err())
        {
            // Its part of the effects cannot be told from the others'.
            tracing::warn!("a lease of a batch was lost; the others are handed back");
            Some(HandedBack::BatchFailed)
        } else if done.next().is_some() {
            match self.apply_effects(None, effects, &evidence, group, now)? {
                Ok(()) => None,
                Err(Outcome::HandedBack(why)) => Some(why),
                Err(_) => Some(HandedBack::BatchFailed),
            }
        } else {
            None
        };
        for (fence, outcome) in ended {
            let Ok(&row) = self.board.leased(fence) else {
                continue;
            };
            let outcome = instead.map_or(outcome, Outcome::HandedBack);
            self.settle_one(fence, &row, &outcome, evidence.clone(), group, now)?;
        }
        Ok(())
    }

    /// Ends an attempt whose effects are seen to, or which has none.
    pub(super) fn settle_one(
        &mut self,
        fence: Fence,
        row: &Row,
        outcome: &Outcome,
        evidence: Evidence,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        #[cfg(feature = "seeded-bugs")]
        let now = if is_planted(Bug::RetryByWallClock) {
            crate::writer::seeded::wall_clock()
        } else {
            now
        };
        let before = row.counters_after(outcome);
        let roll = Roll::of(
            self.board.name(row.queue).as_str(),
            self.message_id(fence),
            before.next_attempt(),
        );
        let settlement = row.settle(self.board.policy(row.queue), outcome, now, roll);
        if !self.record(fence, row, outcome, &settlement, evidence, group, now)? {
            self.quarantine(fence.sequence, group)?;
            let lost = self.board.lose(fence, now);
            debug_assert!(lost.is_ok(), "the lease was held a moment ago");
            return Ok(());
        }
        let ended = self.board.end(fence, outcome, &settlement, now);
        debug_assert!(ended.is_ok(), "the lease was held a moment ago");
        let stays = ended.ok().flatten();
        let alone_next = matches!(
            outcome,
            Outcome::HandedBack(HandedBack::ReusedInstance | HandedBack::BatchFailed)
        );
        if stays.is_some() && alone_next {
            self.fresh_next.insert(fence.sequence);
        }
        self.release(fence, stays, now);
        self.land_moved(now);
        Ok(())
    }

    /// Sends and stores what a handler asked for, all or nothing. If that cannot be, says how the
    /// attempt ends instead. What was sent may get dedup ids derived from the message `of` which it
    /// was; what a batch sent is of none of its messages.
    fn apply_effects(
        &mut self,
        of: Option<Fence>,
        effects: Effects,
        evidence: &Evidence,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<(), Outcome>, Fatal> {
        let handler = evidence.handler.as_ref();
        if !effects.reads.is_empty() {
            let unchanged = state::still_so(&**group.state()?, handler, &effects.reads)
                .map_err(fatal("checking what was read"))?;
            if !unchanged {
                return Ok(Err(Outcome::HandedBack(HandedBack::Conflict)));
            }
        }
        let sends = effects.sends.iter().map(|send| (&send.to, &send.message));
        // What is sent was checked when it was sent.
        let mut routes = match self.routes(sends, None) {
            Ok(routes) => routes,
            Err((_, error)) => return Ok(Err(not_sent(&error))),
        };
        let shared = self.share_bodies(&mut routes, |at| {
            let send = &effects.sends[at];
            (&send.to, send.message.blob)
        });
        if let Err(error) = shared {
            tracing::warn!(%error, "a handler's send waits, because its body cannot be stored");
            return Ok(Err(Outcome::HandedBack(HandedBack::DestinationFull)));
        }
        if let Some(fence) = of {
            self.derive_dedup_ids(fence, &effects, &mut routes);
        }
        let copies = routes
            .iter()
            .map(|route| (route, &effects.sends[route.at].message));
        let room = if is_planted(Bug::HandlersNotAdmitted) {
            Ok(())
        } else {
            self.make_room(copies, group, now)?
        };
        if let Err(error) = room {
            tracing::debug!(%error, "a handler's send waits, because there is no room for it");
            return Ok(Err(Outcome::HandedBack(HandedBack::DestinationFull)));
        }
        let mut routes = routes.chunk_by(|a, b| a.at == b.at).peekable();
        for (at, send) in effects.sends.into_iter().enumerate() {
            let own = routes.next_if(|routes| routes[0].at == at);
            let send = (&send.to, Some(send.id), send.message);
            self.accept_routed(send, own.unwrap_or_default(), group, now)?;
        }
        for (key, write) in &effects.writes {
            let version = self.ordinal();
            group.changes();
            #[cfg(feature = "seeded-bugs")]
            if is_planted(Bug::EffectsInSecondCommit) {
                let (handler, key, write) = (evidence.handler.clone(), key.clone(), write.clone());
                crate::writer::seeded::later(move |group| {
                    group.changes();
                    state::write(group.state()?, &handler, &key, &write, version)
                        .map_err(fatal("writing state"))
                });
                continue;
            }
            state::write(group.state()?, handler, key, write, version)
                .map_err(fatal("writing state"))?;
        }
        Ok(Ok(()))
    }

    /// Gives what a handler sends without a dedup id one that is the same whenever the handler runs
    /// for this message, in each destination that asks for it, and in no other.
    fn derive_dedup_ids(&self, fence: Fence, effects: &Effects, routes: &mut [Route]) {
        for route in routes {
            let asked = self.board.policy(route.queue).dedup == Dedup::Derived;
            if asked && effects.sends[route.at].message.dedup_id.is_none() {
                route.derived = Some(format!("{}/{}", self.message_id(fence), route.at));
            }
        }
    }

    /// Says whether the record of the message is sound; if not, nothing is done.
    #[expect(
        clippy::too_many_arguments,
        reason = "each says something else about the one attempt"
    )]
    fn record(
        &mut self,
        fence: Fence,
        row: &Row,
        outcome: &Outcome,
        settlement: &Settlement,
        evidence: Evidence,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<bool, Fatal> {
        let sequence = fence.sequence;
        match *settlement {
            Settlement::Ack | Settlement::Drop { .. } => self.remove_whole(row, group)?,
            Settlement::Requeue { .. } => {
                let attempt = attempt_record(row, outcome, &evidence);
                let refunded = is_refunded(row, outcome);
                if refunded || attempt.is_some() {
                    let mut history = group.history(sequence)?;
                    extend_history(&mut history, refunded, attempt);
                    group.put_history(sequence, &history)?;
                }
                if let Some(stays) = row.after(outcome, settlement)
                    && stays != *row
                {
                    group.put_row(&stays);
                }
            }
            Settlement::Dead { reason, counters } => {
                let attempt = attempt_record(row, outcome, &evidence);
                let error = match outcome {
                    Outcome::Failed { error, .. } | Outcome::Rejected { error } => error.clone(),
                    Outcome::Postponed { .. } | Outcome::HandedBack(_)
                        if reason == Reason::Expired =>
                    {
                        EXPIRED.to_owned()
                    }
                    Outcome::Postponed { .. } => {
                        format!("postponed more than {} times", limits::MAX_POSTPONED)
                    }
                    Outcome::Done | Outcome::HandedBack(_) => String::new(),
                };
                let message = match self.leased.get(&sequence) {
                    Some(hand) => hand.message.as_ref().clone(),
                    // Pull consumers hold messages for long, so they are not kept in memory.
                    None => match self.sound_message(row, group)? {
                        Some(message) => message,
                        None => return Ok(false),
                    },
                };
                let cause = Cause {
                    reason,
                    error,
                    counters,
                    refunded: is_refunded(row, outcome),
                    attempt,
                    evidence: Some(evidence),
                };
                self.bury(row, message, cause, group, now)?;
            }
        }
        Ok(true)
    }

    /// Lets go of a message that is no longer leased.
    pub(super) fn release(&mut self, fence: Fence, stays: Option<Row>, now: Timestamp) {
        let Some(hand) = self.leased.remove(&fence.sequence) else {
            return;
        };
        if is_planted(Bug::ForgottenTooEarly) {
            self.inflight.end(hand.slot);
            let _ = self.inflight.write();
        } else {
            self.ended_slots.push(hand.slot);
        }
        if let Some(row) = stays.filter(|row| row.place.due <= now) {
            self.hot.keep(Arc::clone(&hand.message), row);
        }
    }

    pub(super) fn message_id(&self, fence: Fence) -> gristmill_queue::MessageId {
        let zero = gristmill_queue::MessageId::from_bytes([0; 16]);
        let pulled = || self.board.pulled(fence).map_or(zero, |(_, terms)| terms.id);
        let hand = self.leased.get(&fence.sequence);
        hand.map_or_else(pulled, |hand| hand.message.id)
    }

    /// Moves what has expired while it waited.
    pub(super) fn expire(&mut self, group: &mut Group<'_>, now: Timestamp) -> Result<(), Fatal> {
        const MOST: usize = 1000;
        for _ in 0..MOST {
            let Some(sequence) = self.board.expired(now) else {
                return Ok(());
            };
            let Some(row) = group.row(sequence)? else {
                // Its row is damaged: it must not keep the others from expiring.
                self.board.forget(sequence, now);
                self.quarantine(sequence, group)?;
                continue;
            };
            self.expire_one(&row, group, now)?;
        }
        Ok(())
    }
}

fn not_sent(error: &SendError) -> Outcome {
    let error = match error {
        SendError::UnknownQueue(queue) => {
            format!("queue {queue} is no longer declared: declare it again, or change the handler")
        }
        other => other.to_string(),
    };
    Outcome::Failed {
        reason: Reason::Retry,
        error,
        delay: None,
    }
}

/// Whether a message may have a row in `history`.
pub(super) fn has_history(row: &Row) -> bool {
    row.counters != Counters::default()
}

/// Whether the charge for a crash is taken back by how the attempt ended.
fn is_refunded(row: &Row, outcome: &Outcome) -> bool {
    row.suspect && outcome.clears_suspect()
}

/// Adds an attempt to a history, in place of a crash whose charge is taken back.
pub(crate) fn extend_history(
    history: &mut Vec<AttemptRecord>,
    refunded: bool,
    attempt: Option<AttemptRecord>,
) {
    let is_crash = |attempt: &AttemptRecord| attempt.reason == Reason::HostCrash;
    if refunded && let Some(crash) = history.iter().rposition(is_crash) {
        history.remove(crash);
    }
    history.extend(attempt);
    let excess = history.len().saturating_sub(limits::MAX_HISTORY);
    history.drain(..excess);
}

/// What is kept of an attempt that failed and counted.
fn attempt_record(row: &Row, outcome: &Outcome, evidence: &Evidence) -> Option<AttemptRecord> {
    let (reason, error) = match outcome {
        Outcome::Failed { reason, error, .. } => (*reason, error),
        Outcome::Rejected { error } => (Reason::Rejected, error),
        Outcome::Done | Outcome::Postponed { .. } | Outcome::HandedBack(_) => return None,
    };
    Some(AttemptRecord {
        attempt: row.counters_after(outcome).next_attempt(),
        started_at: evidence.started_at,
        reason,
        error: cut(error, limits::MAX_REASON),
        usage: evidence.usage,
        handler: evidence.module.chars().take(16).collect(),
    })
}
