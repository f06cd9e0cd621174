//! Requests, and who waits for their replies.
//!
//! Replies are messages of a queue, kept and rebuilt like all others. Here they are found by their
//! correlation id. A reply is handed out after the commit that holds it, and removed in the next:
//! should the host die between the two, it can be asked for again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use gristmill_queue::board::{QueueId, Removal};
use gristmill_queue::{Envelope, Message, NewMessage, QueueName, Timestamp, limits};
use tokio::sync::oneshot;

use super::Writer;
use super::group::Group;
use crate::dead::DeadLetter;
use crate::error::{Fatal, SendError};
use crate::ops::{Op, Outgoing, Reply, Stamped};
use crate::replies::{DIED_ATTRIBUTE, DIED_IN_ATTRIBUTE, Requested, is_replies};

/// The replies that wait, and those who wait for one.
#[derive(Default)]
pub(crate) struct Replies {
    pub queue: Option<QueueId>,
    /// What waited when the store was opened is among them.
    pub restored: bool,
    waiting: HashMap<Arc<str>, VecDeque<u64>>,
    correlation: HashMap<u64, Arc<str>>,
    askers: HashMap<Arc<str>, VecDeque<oneshot::Sender<Arc<Message>>>>,
    /// Of which there may be both.
    due: Vec<Arc<str>>,
}

impl Replies {
    /// Takes note of a reply.
    pub fn note(&mut self, sequence: u64, correlation_id: Option<&str>) {
        let Some(correlation_id) = correlation_id else {
            return;
        };
        let correlation_id: Arc<str> = correlation_id.into();
        if self.askers.contains_key(&correlation_id) {
            self.due.push(Arc::clone(&correlation_id));
        }
        let waiting = self.waiting.entry(Arc::clone(&correlation_id)).or_default();
        waiting.push_back(sequence);
        self.correlation.insert(sequence, correlation_id);
    }

    /// Forgets a reply that is no longer there.
    pub fn forget(&mut self, sequence: u64) {
        let Some(correlation_id) = self.correlation.remove(&sequence) else {
            return;
        };
        if let Some(waiting) = self.waiting.get_mut(&correlation_id) {
            waiting.retain(|&other| other != sequence);
            if waiting.is_empty() {
                self.waiting.remove(&correlation_id);
            }
        }
    }

    /// The oldest reply and the first asker of this correlation id, if both are there.
    fn pair(&mut self, correlation_id: &Arc<str>) -> Option<(u64, oneshot::Sender<Arc<Message>>)> {
        let &sequence = self.waiting.get(correlation_id)?.front()?;
        let askers = self.askers.get_mut(correlation_id)?;
        let asker = askers.pop_front();
        if askers.is_empty() {
            self.askers.remove(correlation_id);
        }
        Some((sequence, asker?))
    }
}

impl Writer {
    /// Sends a message whose reply comes to the host's own queue.
    pub(super) fn request(
        &mut self,
        mut outgoing: Outgoing,
        reply: Reply<Result<Requested, SendError>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        if self.declared(&outgoing.queue).is_none() && self.is_topic(&outgoing.queue) {
            self.answer(reply, Err(SendError::RequestToTopic(outgoing.queue)));
            return Ok(());
        }
        let Some(replies) = self.replies.queue else {
            let name = QueueName::new(limits::REPLIES).unwrap_or(outgoing.queue);
            self.answer(reply, Err(SendError::UnknownQueue(name)));
            return Ok(());
        };
        let id = self.ids.mint(now);
        let envelope = &mut outgoing.message.envelope;
        envelope.reply_to = Some(self.board.name(replies).clone());
        let own = envelope.correlation_id.clone();
        envelope
            .correlation_id
            .get_or_insert_with(|| id.to_string());
        let sent = self.take_batch(vec![(outgoing, Some(id))], &[], group, now)?;
        let sent = sent.and_then(|sent| sent.into_iter().next().ok_or(SendError::Unknown));
        let requested = sent.map(|sent| Requested {
            accepted: sent.accepted,
            // One that repeats another waits for the reply to that.
            correlation_id: own.unwrap_or_else(|| sent.accepted.id.to_string()),
        });
        self.answer(reply, requested);
        Ok(())
    }

    pub(super) fn ask_reply(
        &mut self,
        correlation_id: Arc<str>,
        asker: oneshot::Sender<Arc<Message>>,
    ) {
        self.replies.due.push(Arc::clone(&correlation_id));
        let askers = self.replies.askers.entry(correlation_id).or_default();
        askers.push_back(asker);
    }

    /// Forgets those who wait no more.
    pub(super) fn leave_reply(&mut self, correlation_id: &Arc<str>) {
        if let Some(askers) = self.replies.askers.get_mut(correlation_id) {
            askers.retain(|asker| !asker.is_closed());
            if askers.is_empty() {
                self.replies.askers.remove(correlation_id);
            }
        }
    }

    /// Hands durable replies to those who wait for them.
    pub(super) fn hand_out(&mut self) -> Result<(), Fatal> {
        for correlation_id in std::mem::take(&mut self.replies.due) {
            while let Some((sequence, asker)) = self.replies.pair(&correlation_id) {
                let Some(message) = self.reply_message(sequence)? else {
                    self.replies.forget(sequence);
                    self.todo.push(Op::Quarantine { sequence });
                    self.ask_reply(Arc::clone(&correlation_id), asker);
                    continue;
                };
                if asker.send(message).is_ok() {
                    self.replies.forget(sequence);
                    self.todo.push(Op::TakeReply { sequence });
                }
            }
        }
        // Pushed again by what was damaged; nothing is there for them.
        self.replies.due.clear();
        Ok(())
    }

    fn reply_message(&mut self, sequence: u64) -> Result<Option<Arc<Message>>, Fatal> {
        if let Some((message, _)) = self.hot.take(sequence) {
            return Ok(Some(message));
        }
        let Some(queue) = self.replies.queue else {
            return Ok(None);
        };
        let name = self.board.name(queue).clone();
        self.read_message(sequence, name)
    }

    /// Removes a reply that was handed out.
    pub(super) fn take_reply(
        &mut self,
        sequence: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let row = group.row(sequence)?;
        // It may have expired, or been purged, in the same moment.
        let Some(row) = row.filter(|row| !self.board.is_leased(row.place.sequence)) else {
            return Ok(());
        };
        self.let_go(sequence);
        self.remove_whole(&row, group)?;
        self.board.remove(&row, Removal::Taken, now);
        Ok(())
    }

    /// Tells who waits for a reply that there will be none, because the request died.
    pub(super) fn reply_with_death(
        &mut self,
        letter: &DeadLetter,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let request = &letter.message;
        let awaited = request.envelope.reply_to.as_ref();
        let Some(replies) = awaited.filter(|queue| is_replies(queue.as_str())) else {
            return Ok(());
        };
        let own = request.envelope.correlation_id.clone();
        let message = NewMessage {
            envelope: Envelope {
                content_type: Some("text/plain; charset=utf-8".to_owned()),
                correlation_id: Some(own.unwrap_or_else(|| request.id.to_string())),
                causation_id: Some(request.id),
                ..Envelope::default()
            },
            ..NewMessage::with_body(letter.error.clone())
        };
        let notice = Stamped {
            outgoing: Outgoing {
                queue: replies.clone(),
                message,
            },
            stamps: vec![
                (DIED_ATTRIBUTE, letter.reason.as_str().to_owned()),
                (DIED_IN_ATTRIBUTE, request.queue.to_string()),
            ],
        };
        if !self.replies.restored {
            // The board does not know yet who waits.
            self.todo.push(Op::Notify(Box::new(notice)));
            return Ok(());
        }
        self.notify(notice, group, now)
    }

    /// Dying never fails: if there is no room for the notice, there is none.
    pub(super) fn notify(
        &mut self,
        notice: Stamped,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        if let Err(error) = self.send_stamped(notice, group, now)? {
            tracing::warn!(%error, "who waits for a reply is not told that the request died");
        }
        Ok(())
    }
}
