//! What becomes of what is sent: who gets it, what it repeats, and what is told of it.

use std::collections::BTreeMap;

use gristmill_queue::MessageId;
use gristmill_queue::policy::Dedup;
use gristmill_store::{Accepted, SendError, Sent};

use super::large::INLINE;
use super::parcel::{Parcel, key_of};
use super::reference::{Counts, Message, Reference, ms};
use super::script::Sending;
use super::standin::same;
use super::world::World;

/// The first message sent with a dedup id, or with some content.
#[derive(Clone, Debug)]
pub struct First {
    pub id: MessageId,
    pub body: Vec<u8>,
    pub until: u64,
}

/// What becomes of a message that is sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    New,
    /// There was one like it: this, with this body.
    Repeats(MessageId, Vec<u8>),
    /// There was one in the same batch: the n-th.
    RepeatsNth(usize),
}

/// Why a batch is refused; a batch may have several reasons.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    Unknown,
    Unmatched,
    Invalid,
    Full,
}

/// One message that a batch makes: of which parcel, in which queue.
#[derive(Clone, Debug)]
pub struct Copy {
    pub at: usize,
    pub queue: String,
    /// The topic that it comes through.
    pub topic: Option<String>,
}

/// What is told of one copy. The id may be a stand-in.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    pub id: MessageId,
    pub duplicate: bool,
    pub conflict: bool,
}

impl Reference {
    /// All copies that a batch makes, and what speaks against it: all are taken, or none.
    pub fn fates(&self, batch: &[&Parcel]) -> (Vec<Copy>, Vec<Fate>, Vec<Refusal>) {
        let mut refusals = Vec::new();
        let mut copies = Vec::new();
        for (at, parcel) in batch.iter().enumerate() {
            match self.copies(at, parcel) {
                Ok(routed) => copies.extend(routed),
                Err(refusal) => refusals.push(refusal),
            }
        }
        let mut keys: Vec<Option<(String, String)>> = Vec::new();
        let mut fates: Vec<Fate> = Vec::new();
        let mut more: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for copy in &copies {
            let parcel = batch[copy.at];
            let size = parcel.body.len() as u64;
            if size > self.queues[&copy.queue].policy.max_body || !is_valid(&parcel.sending) {
                refusals.push(Refusal::Invalid);
            }
            let key = self.dedup_key(&copy.queue, parcel);
            let first = key.as_ref().and_then(|key| self.firsts.get(key));
            let first = first.filter(|first| first.until > self.now);
            let earlier = keys.iter().position(|other| key.is_some() && *other == key);
            let fate = match (first, earlier) {
                (Some(first), _) => Fate::Repeats(first.id, first.body.clone()),
                (None, Some(n)) => Fate::RepeatsNth(n),
                (None, None) => Fate::New,
            };
            if fate == Fate::New {
                let more = more.entry(&copy.queue).or_default();
                *more = (more.0 + 1, more.1 + size);
            }
            keys.push(key);
            fates.push(fate);
        }
        for (to, more) in more {
            if !self.has_room(to, more) {
                refusals.push(Refusal::Full);
            }
        }
        (copies, fates, refusals)
    }

    /// What a message must not share with another of its queue within the window.
    fn dedup_key(&self, queue: &str, parcel: &Parcel) -> Option<(String, String)> {
        let by_content = self.queues[queue].policy.dedup == Dedup::Content;
        let key = match parcel.sending.dedup {
            Some(id) => format!("id {id}"),
            None if by_content => format!("{:?} {:?}", parcel.content_type(), parcel.body),
            None => return None,
        };
        Some((queue.to_owned(), key))
    }

    /// Takes in what nothing speaks against. Ids that nobody has told yet have stand-ins.
    pub fn take(
        &mut self,
        batch: &[&Parcel],
        copies: &[Copy],
        fates: &[Fate],
        ids: &[Option<MessageId>],
    ) -> Vec<Told> {
        self.make_room(batch, copies, fates);
        let mut told: Vec<Told> = Vec::new();
        for (n, (copy, fate)) in copies.iter().zip(fates).enumerate() {
            let parcel = batch[copy.at];
            let (id, first_body) = match fate {
                Fate::New => {
                    let id = ids[n].unwrap_or_else(|| self.stand_in());
                    self.take_in(id, copy, parcel);
                    (id, None)
                }
                Fate::Repeats(id, body) => (*id, Some(body)),
                Fate::RepeatsNth(first) => (told[*first].id, Some(&batch[copies[*first].at].body)),
            };
            let repeats = first_body.is_some();
            if copy.topic.is_some() {
                let what = if repeats {
                    "copies that repeat"
                } else {
                    "copies"
                };
                self.tally.note(what);
            }
            if repeats && parcel.sending.dedup.is_none() {
                self.tally.note("repeats of content");
                if parcel.body.len() as u64 > INLINE {
                    self.tally.note("repeats of large content");
                }
            }
            told.push(Told {
                id,
                duplicate: repeats,
                conflict: first_body.is_some_and(|body| *body != parcel.body),
            });
        }
        self.count_topics(batch, copies, &told);
        told
    }

    /// A message has been accepted.
    fn take_in(&mut self, id: MessageId, copy: &Copy, parcel: &Parcel) {
        self.meet(id);
        let Parcel { sending, body, .. } = parcel;
        let (now, to) = (self.now, copy.queue.clone());
        let policy = &self.queues[&to].policy;
        // A queue's own time-to-live counts from when the message is due.
        let lives = sending
            .ttl_ms
            .or(policy.default_ttl.map(|ttl| sending.delay_ms + ms(ttl)));
        let key = policy.key.as_ref().and_then(|_| key_of(sending));
        let until = now + ms(policy.dedup_window);
        if let Some(key) = self.dedup_key(&to, parcel) {
            let body = body.clone();
            self.firsts.insert(key, First { id, body, until });
        }
        self.orders += 1;
        let message = Message {
            id,
            queue: to,
            body: body.clone(),
            label: parcel.serial.to_string(),
            group: sending.group.map(|group| format!("g{group}")),
            tenant: key_of(sending),
            key,
            shares: false,
            priority: sending.priority,
            due: now + sending.delay_ms,
            since: now,
            lives,
            expires: lives.map(|lives| now + lives),
            order: self.orders,
            counts: Counts::default(),
            suspect: false,
            conflicts: 0,
            wants_fresh: false,
            history: Vec::new(),
            in_flight: false,
            pulled: None,
            tick: parcel.tick.map(|tick| tick.to_string()),
            topic: copy.topic.clone(),
            correlation: parcel.correlation.clone(),
            asks: false,
            causation: None,
            died: None,
        };
        self.messages.insert(id.sequence(), message);
        self.note_turns();
    }
}

/// A message must not expire before it is due.
pub fn is_valid(sending: &Sending) -> bool {
    sending.ttl_ms.is_none_or(|ttl| sending.delay_ms < ttl)
}

/// What a refusal is in the words of the reference.
pub fn refusal(error: &SendError) -> Refusal {
    match error.cause() {
        SendError::UnknownQueue(_) => Refusal::Unknown,
        SendError::Unmatched(_) => Refusal::Unmatched,
        SendError::Invalid { .. } => Refusal::Invalid,
        SendError::Full(_) => Refusal::Full,
        other => panic!("{other}"),
    }
}

impl World {
    /// Says whether it was sent. The answer may tell nothing of copies.
    pub fn judge_send(
        &mut self,
        batch: &[Parcel],
        answer: Result<Vec<Sent>, SendError>,
        tells: bool,
    ) -> bool {
        let batch: Vec<&Parcel> = batch.iter().collect();
        let (copies, fates, refusals) = self.reference.fates(&batch);
        let sent = match answer {
            Ok(sent) => sent,
            Err(error) => {
                let kind = refusal(&error);
                assert!(
                    refusals.contains(&kind),
                    "{error}, but expected {refusals:?}"
                );
                let to_topic = |parcel: &&Parcel| self.reference.topics.contains_key(&parcel.to);
                if kind == Refusal::Full && batch.iter().any(to_topic) {
                    self.reference.tally.note("topics that are full");
                }
                if let SendError::Unmatched(topic) = error.cause() {
                    self.reference.refuse(topic.as_str());
                }
                return false;
            }
        };
        assert_eq!(refusals, [], "accepted all the same");
        assert_eq!(sent.len(), batch.len());
        let ids = copies.iter().enumerate();
        let ids: Vec<Option<MessageId>> = ids
            .map(|(n, copy)| {
                let nth = copies[..n].iter().filter(|other| other.at == copy.at);
                let sent = &sent[copy.at];
                match (&sent.copies, nth.count()) {
                    (Some(answers), nth) => answers.get(nth).map(|one| one.accepted.id),
                    (None, 0) => Some(sent.accepted.id),
                    (None, _) => None,
                }
            })
            .collect();
        let mut told = self.reference.take(&batch, &copies, &fates, &ids);
        for (told, id) in told.iter_mut().zip(&ids) {
            if let Some(id) = *id {
                told.id = self.reference.learn(told.id, id);
            }
        }
        for (at, sent) in sent.iter().enumerate() {
            let mine: Vec<(&Copy, &Told)> = copies.iter().zip(&told).collect();
            let mine: Vec<_> = mine.into_iter().filter(|(copy, _)| copy.at == at).collect();
            check_answer(sent, &mine, tells);
            if mine.is_empty() {
                self.reference.meet(sent.accepted.id);
            }
        }
        true
    }
}

fn check_answer(sent: &Sent, expected: &[(&Copy, &Told)], tells: bool) {
    let is = |found: &Accepted, expected: &Told| {
        assert!(same(found.id, expected.id), "{found:?} not {expected:?}");
        let found = (found.duplicate, found.conflict);
        assert_eq!(found, (expected.duplicate, expected.conflict));
    };
    let to_queue = expected.iter().any(|(copy, _)| copy.topic.is_none());
    assert_eq!(sent.copies.is_some(), tells && !to_queue, "{sent:?}");
    if let Some(copies) = &sent.copies {
        let queues = copies.iter().map(|copy| copy.queue.as_str());
        let meant = expected.iter().map(|(copy, _)| copy.queue.as_str());
        assert!(queues.eq(meant), "copies: {sent:?} not {expected:?}");
        for (copy, (_, told)) in copies.iter().zip(expected) {
            is(&copy.accepted, told);
        }
    }
    let all = expected.iter().all(|(_, told)| told.duplicate);
    let whole = Told {
        id: expected
            .first()
            .map_or(sent.accepted.id, |(_, told)| told.id),
        duplicate: !expected.is_empty() && all,
        conflict: expected.iter().any(|(_, told)| told.conflict),
    };
    is(&sent.accepted, &whole);
}
