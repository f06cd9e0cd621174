//! Accepting messages: from outside, and from handlers with their ack.

use std::collections::HashSet;
use std::sync::Arc;

use gristmill_queue::board::{QueueId, Removal, Row};
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::key::KeyHash;
use gristmill_queue::message::Due;
use gristmill_queue::policy::Dedup;
use gristmill_queue::ready::Place;
use gristmill_queue::{Counters, Envelope, Message, MessageId, NewMessage, Timestamp};
use xxhash_rust::xxh3::xxh3_64;

use super::Writer;
use super::group::{Group, fatal};
use super::topics::Route;
use crate::blob;
use crate::dedup;
use crate::error::{Fatal, SendError};
use crate::ops::{Accepted, Outgoing, Reply};
use crate::record;
use crate::topics::Sent;

impl Writer {
    /// Accepts all messages of a batch, or none.
    pub(super) fn send(
        &mut self,
        batch: Vec<Outgoing>,
        reply: Reply<Result<Vec<Sent>, SendError>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let batch = batch.into_iter().map(|outgoing| (outgoing, None)).collect();
        let accepted = self.take_batch(batch, &[], group, now)?;
        let repeats = |sent: &Sent| sent.accepted.duplicate;
        if is_planted(Bug::RepeatAnsweredEarly)
            && accepted.as_ref().is_ok_and(|all| all.iter().all(repeats))
        {
            let _ = reply.send(accepted);
            return Ok(());
        }
        self.answer(reply, accepted);
        Ok(())
    }

    /// The same; one may have an id already, and each gets these attributes of Gristmill's own.
    pub(super) fn take_batch(
        &mut self,
        batch: Vec<(Outgoing, Option<MessageId>)>,
        stamps: &[(&'static str, String)],
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<Vec<Sent>, SendError>, Fatal> {
        let routes = match self.check_batch(&batch, group, now)? {
            Ok(routes) => routes,
            Err(error) => return Ok(Err(error)),
        };
        let mut accepted = Vec::with_capacity(batch.len());
        let mut routes = routes.chunk_by(|a, b| a.at == b.at).peekable();
        for (at, (outgoing, id)) in batch.into_iter().enumerate() {
            let Outgoing { queue, mut message } = outgoing;
            for (name, value) in stamps {
                message.envelope.stamp(name, value);
            }
            let own = routes.next_if(|routes| routes[0].at == at);
            let own = own.unwrap_or_default();
            accepted.push(self.accept_routed((&queue, id, message), own, group, now)?);
        }
        Ok(Ok(accepted))
    }

    /// Checks everything about a batch before anything of it is applied, and makes room for it.
    fn check_batch(
        &mut self,
        batch: &[(Outgoing, Option<MessageId>)],
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<Vec<Route>, SendError>, Fatal> {
        let sends = batch.iter().map(|(sent, _)| (&sent.queue, &sent.message));
        let mut routes = match self.routes(sends, Some(now)) {
            Ok(routes) => routes,
            Err((_, error)) if batch.len() == 1 => return Ok(Err(error)),
            Err((at, error)) => {
                let error = Box::new(error);
                return Ok(Err(SendError::InBatch { at, error }));
            }
        };
        let shared = self.share_bodies(&mut routes, |at| {
            let sent = &batch[at].0;
            (&sent.queue, sent.message.blob)
        });
        if let Err(error) = shared {
            return Ok(Err(error));
        }
        let copies = routes
            .iter()
            .map(|route| (route, &batch[route.at].0.message));
        let room = self.make_room(copies, group, now)?;
        Ok(room.map(|()| routes))
    }

    /// Makes sure that the disk and all destinations have room for what goes to them together: those that drop
    /// their oldest do so if all others have room. A repeat needs none: it is told the id of the
    /// first one, however full the queue is. Ask for a whole batch at once and last of all, so that
    /// nothing is dropped for what is refused after all, and nothing that was just accepted.
    pub(super) fn make_room<'m>(
        &mut self,
        sends: impl Iterator<Item = (&'m Route, &'m NewMessage)>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<(), SendError>, Fatal> {
        let mut repeated = HashSet::new();
        let mut news: Vec<(QueueId, u64)> = Vec::new();
        let mut inline = 0;
        for (route, message) in sends {
            let queue = route.queue;
            let id = route.derived.as_ref().or(message.dedup_id.as_ref());
            if let Some(key) = self.dedup_key(queue, message, id) {
                let first = dedup::find(&**group.dedup()?, &key, now);
                let first = first.map_err(fatal("reading a dedup id"))?;
                if first.is_some() || !repeated.insert(key) {
                    continue;
                }
            }
            news.push((queue, message.size()));
            // What is stored aside has been counted when it was.
            inline += message.body.len() as u64;
        }
        news.sort_unstable_by_key(|&(queue, _)| queue);
        let needs = news.chunk_by(|a, b| a.0 == b.0).map(|news| {
            let bytes = news.iter().map(|&(_, bytes)| bytes).sum::<u64>();
            (news[0].0, news.len() as u64, bytes)
        });
        let needs: Vec<_> = needs.collect();
        if !needs.is_empty()
            && let Err(reached) = self.large.reserve().take(news.len() as u64, inline)
        {
            return Ok(Err(reached.into()));
        }
        let mut checks = needs.iter();
        let room = checks.try_for_each(|&(queue, messages, bytes)| {
            self.board.check_room(queue, messages, bytes)
        });
        if room.is_ok() {
            for (queue, messages, bytes) in needs {
                for sequence in self.board.to_drop(queue, messages, bytes) {
                    self.drop_one(sequence, group, now)?;
                }
            }
        }
        Ok(room.map_err(SendError::Full))
    }

    /// Removes a waiting message to make room for others.
    fn drop_one(
        &mut self,
        sequence: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Some(row) = group.row(sequence)? else {
            self.board.forget(sequence, now);
            return self.quarantine(sequence, group);
        };
        self.let_go(sequence);
        self.remove_whole(&row, group)?;
        self.board.remove(&row, Removal::Dropped, now);
        Ok(())
    }

    /// Accepts a message unless its dedup id, or what stands for it, was seen within the window.
    pub(super) fn accept_once(
        &mut self,
        queue: QueueId,
        id: Option<MessageId>,
        message: NewMessage,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Accepted, Fatal> {
        let Some(key) = self.dedup_key(queue, &message, message.dedup_id.as_ref()) else {
            let id = self.accept(queue, id, message, group, now)?;
            return Ok(Accepted {
                id,
                duplicate: false,
                conflict: false,
            });
        };
        let body = message
            .blob
            .map_or_else(|| blob::checksum(&message.body), |blob| blob.checksum);
        if let Some(first) =
            dedup::find(&**group.dedup()?, &key, now).map_err(fatal("reading a dedup id"))?
        {
            return Ok(Accepted {
                id: first.id,
                duplicate: true,
                conflict: first.body != body,
            });
        }
        let window = self.board.policy(queue).dedup_window;
        let id = self.accept(queue, id, message, group, now)?;
        let first = dedup::First {
            id,
            expires: now.after(window),
            body,
        };
        #[cfg(feature = "seeded-bugs")]
        if is_planted(Bug::DedupInSecondCommit) {
            crate::writer::seeded::later(move |group| group.put_dedup(&key, first));
            return Ok(Accepted {
                id,
                duplicate: false,
                conflict: false,
            });
        }
        group.put_dedup(&key, first)?;
        Ok(Accepted {
            id,
            duplicate: false,
            conflict: false,
        })
    }

    /// What a message must not share with another within the window, if there is something.
    fn dedup_key(
        &self,
        queue: QueueId,
        message: &NewMessage,
        id: Option<&String>,
    ) -> Option<[u8; 20]> {
        match id {
            Some(id) => Some(dedup::key(queue, id)),
            None => (self.board.policy(queue).dedup == Dedup::Content)
                .then(|| dedup::content_key(queue, message, self.large.digest(message))),
        }
    }

    fn accept(
        &mut self,
        queue: QueueId,
        id: Option<MessageId>,
        message: NewMessage,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<MessageId, Fatal> {
        let id = id.unwrap_or_else(|| self.ids.mint(now));
        let due = match message.due {
            Due::Now => now.after(self.board.policy(queue).delay),
            Due::After(_) | Due::At(_) => message.due_at(now),
        };
        // A queue's own time-to-live counts from when the message is due: a delay must not eat it.
        let default_expiry = self
            .board
            .policy(queue)
            .default_ttl
            .map(|ttl| due.after(ttl));
        let expires_at = message.expires_at(now).or(default_expiry);
        let row = Row {
            queue,
            place: Place {
                sequence: id.sequence(),
                due,
                priority: message.envelope.priority,
                group: message.envelope.group.as_deref().map(group_hash),
                key: self.key_of(queue, &message.envelope),
                ordinal: self.ordinal(),
            },
            counters: Counters::default(),
            enqueued_at: now,
            expires_at,
            size: u32::try_from(message.size()).unwrap_or(u32::MAX),
            suspect: false,
        };
        let message = Message {
            id,
            queue: self.board.name(queue).clone(),
            enqueued_at: now,
            expires_at,
            envelope: message.envelope,
            body: message.body,
            blob: message.blob,
        };
        if let Some(blob) = message.blob {
            self.adopt(id.sequence(), blob, group)?;
        }
        group.insert_message(&row, record::encode(&message));
        if Some(queue) == self.replies.queue {
            let correlation_id = message.envelope.correlation_id.as_deref();
            self.replies.note(id.sequence(), correlation_id);
        }
        self.board.accept(&row, now);
        if row.place.due <= now {
            self.hot.keep(Arc::new(message), row);
        }
        Ok(id)
    }

    /// Whose turn a message waits for, as its queue is configured now.
    pub(super) fn key_of(&self, queue: QueueId, envelope: &Envelope) -> Option<KeyHash> {
        let limits = self.board.policy(queue).key.as_ref()?;
        limits.source.key_of(envelope)
    }

    /// The next number in the order of acceptance.
    pub(super) fn ordinal(&mut self) -> u64 {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        ordinal
    }
}

/// Groups are told apart by 64 bits; should two ever share them, they merely take turns.
pub(crate) fn group_hash(group: &str) -> u64 {
    xxh3_64(group.as_bytes())
}
