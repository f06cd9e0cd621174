//! Pull consumers that ask for messages: who waits, and leases that are granted within the group which
//! makes them durable.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::board::{Claim, PullTerms, QueueId, Row};
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::{Message, Outcome, QueueName, Timestamp, limits};
use tokio::sync::oneshot;

use super::Writer;
use super::grant::unknown_row;
use super::group::Group;
use super::settle::has_history;
use crate::error::Fatal;
use crate::pull::{Asked, Granted, GroupOrder, Receive, ReceiveError, Received};

/// Those who wait for messages, first come, first served.
#[derive(Default)]
pub(crate) struct Receivers {
    waiting: HashMap<u64, Receiver>,
    /// By queue, in the order in which they asked.
    lines: BTreeMap<QueueId, BTreeSet<u64>>,
    /// When whose wait ends.
    ends: BTreeSet<(Timestamp, u64)>,
}

struct Receiver {
    queue: QueueId,
    until: Timestamp,
    receive: Receive,
    reply: oneshot::Sender<Result<Granted, ReceiveError>>,
}

impl Receivers {
    fn add(&mut self, number: u64, receiver: Receiver) {
        self.lines.entry(receiver.queue).or_default().insert(number);
        self.ends.insert((receiver.until, number));
        self.waiting.insert(number, receiver);
    }

    fn remove(&mut self, number: u64) -> Option<Receiver> {
        let receiver = self.waiting.remove(&number)?;
        self.ends.remove(&(receiver.until, number));
        if let Some(line) = self.lines.get_mut(&receiver.queue) {
            line.remove(&number);
            if line.is_empty() {
                self.lines.remove(&receiver.queue);
            }
        }
        Some(receiver)
    }

    fn first(&self, queue: QueueId) -> Option<u64> {
        self.lines.get(&queue)?.first().copied()
    }

    /// When the next wait ends.
    pub fn next_end(&self) -> Option<Timestamp> {
        self.ends.first().map(|&(until, _)| until)
    }
}

impl Writer {
    /// Lets somebody wait for messages; what is there is granted when the group's operations are done.
    pub(super) fn receive(&mut self, asked: Asked, now: Timestamp) {
        let Asked {
            number,
            receive,
            reply,
        } = asked;
        let queue = match self.check_receive(&receive) {
            Ok(queue) => queue,
            Err(error) => return self.answer(reply, Err(error)),
        };
        let until = now.after(receive.wait.min(limits::MAX_RECEIVE_WAIT));
        let receiver = Receiver {
            queue,
            until,
            receive,
            reply,
        };
        self.receivers.add(number, receiver);
        self.board.call_receivers(queue);
    }

    fn check_receive(&self, receive: &Receive) -> Result<QueueId, ReceiveError> {
        let Some(queue) = self.declared(&receive.queue) else {
            return Err(ReceiveError::UnknownQueue(receive.queue.clone()));
        };
        if !self.board.is_pullable(queue) {
            return Err(ReceiveError::NotPull(receive.queue.clone()));
        }
        let waits = receive.wait > Duration::ZERO;
        if waits && self.receivers.waiting.len() >= limits::MAX_WAITING_RECEIVES {
            return Err(ReceiveError::TooManyWaiting);
        }
        Ok(queue)
    }

    /// Somebody waits no more.
    pub(super) fn leave_receive(&mut self, number: u64) {
        if let Some(receiver) = self.receivers.remove(number) {
            self.note_receivers(receiver.queue);
        }
    }

    /// Tells those who wait for messages of a queue that is deleted.
    pub(super) fn refuse_receivers(&mut self, queue: QueueId, name: &QueueName) {
        while let Some(number) = self.receivers.first(queue) {
            if let Some(receiver) = self.receivers.remove(number) {
                let gone = ReceiveError::UnknownQueue(name.clone());
                self.answer(receiver.reply, Err(gone));
            }
        }
        self.note_receivers(queue);
    }

    fn note_receivers(&mut self, queue: QueueId) {
        let waiting = self.receivers.first(queue).is_some();
        self.board.keep_receivers(queue, waiting);
    }

    /// Grants leases to those who wait and may have some, and tells those whose time is up that there is
    /// nothing.
    pub(super) fn serve(&mut self, group: &mut Group<'_>, now: Timestamp) -> Result<(), Fatal> {
        while let Some(queue) = self.board.next_called() {
            self.serve_queue(queue, group, now)?;
        }
        while let Some(&(until, number)) = self.receivers.ends.first() {
            if until > now {
                break;
            }
            if let Some(receiver) = self.receivers.remove(number) {
                self.note_receivers(receiver.queue);
                self.grant_to(receiver, Vec::new());
            }
        }
        Ok(())
    }

    fn serve_queue(
        &mut self,
        queue: QueueId,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        while let Some(number) = self.receivers.first(queue) {
            let Some(receiver) = self.receivers.waiting.get(&number) else {
                break;
            };
            if receiver.reply.is_closed() {
                self.receivers.remove(number);
                continue;
            }
            let (max, order) = (receiver.receive.max, receiver.receive.order);
            let max = max.clamp(1, limits::MAX_RECEIVE) as usize;
            let visibility = receiver.receive.visibility;
            let visibility = visibility.unwrap_or(self.board.policy(queue).pull.visibility);
            let ends_at = now.after(visibility.min(limits::MAX_VISIBILITY));
            let received = self.lease_some(queue, max, order, ends_at, group, now)?;
            if received.is_empty() {
                break;
            }
            if let Some(receiver) = self.receivers.remove(number) {
                self.grant_to(receiver, received);
            }
        }
        self.note_receivers(queue);
        Ok(())
    }

    fn grant_to(&mut self, receiver: Receiver, received: Vec<Received>) {
        let granted = Granted {
            inbox: Arc::clone(&self.inbox),
            queue: receiver.receive.queue,
            received,
        };
        self.answer(receiver.reply, Ok(granted));
    }

    fn lease_some(
        &mut self,
        queue: QueueId,
        max: usize,
        order: GroupOrder,
        ends_at: Timestamp,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Vec<Received>, Fatal> {
        let mut received: Vec<Received> = Vec::new();
        let mut bytes = 0;
        // Of the group of the last message, all that is in flight is of this receive.
        let mut last = None;
        while received.len() < max && bytes < limits::MAX_RECEIVE_BYTES {
            let behind = last.filter(|_| order == GroupOrder::Batch);
            let behind = behind.and_then(|hash| self.board.claim_behind(queue, hash, now));
            let Some(claim) = behind.or_else(|| self.board.claim_pulled(queue, now)) else {
                break;
            };
            let (message, row) = match self.fetch_in(claim, group)? {
                Ok(found) => found,
                Err(row) => {
                    self.board.abandon(claim, &row, now);
                    self.quarantine(claim.sequence, group)?;
                    last = None;
                    continue;
                }
            };
            bytes += message.body.len() as u64;
            last = row.place.group;
            received.push(self.lease_one(claim, row, message, ends_at, group, now)?);
        }
        Ok(received)
    }

    fn lease_one(
        &mut self,
        claim: Claim,
        row: Row,
        message: Arc<Message>,
        ends_at: Timestamp,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Received, Fatal> {
        let attempts = if has_history(&row) {
            group.history(claim.sequence)?
        } else {
            Vec::new()
        };
        // What was before a redrive is of another life.
        let mut lived = attempts.iter().map(|attempt| attempt.started_at);
        let first = lived.find(|started| *started >= row.enqueued_at);
        let terms = PullTerms {
            id: message.id,
            granted_at: now,
            ends_at,
        };
        let fence = self.board.lease_pulled(claim, row, terms);
        self.fresh_next.remove(&claim.sequence);
        if !is_planted(Bug::PullLeaseNotRecorded) {
            group.insert_lease(fence, &terms);
        }
        Ok(Received {
            fence,
            sequence: claim.sequence,
            message,
            attempt: row.counters_after(&Outcome::Done).next_attempt(),
            first_received_at: first.unwrap_or(now),
            enqueued_at: row.enqueued_at,
            ordinal: row.place.ordinal,
            lease_ends: ends_at,
        })
    }

    /// The message and its row, from memory or as the group has them by now; if damaged, what is known of
    /// the row.
    fn fetch_in(
        &mut self,
        claim: Claim,
        group: &Group<'_>,
    ) -> Result<Result<(Arc<Message>, Row), Row>, Fatal> {
        let found = match self.hot.take(claim.sequence) {
            Some(hot) => hot,
            None => {
                let Some(row) = group.row(claim.sequence)? else {
                    return Ok(Err(unknown_row(claim)));
                };
                let Some(message) = self.sound_message(&row, group)? else {
                    return Ok(Err(row));
                };
                (Arc::new(message), row)
            }
        };
        // A large body may have been taken away from the outside.
        let whole = self.large.is_there(found.0.blob.as_ref());
        Ok(if whole { Ok(found) } else { Err(found.1) })
    }
}
