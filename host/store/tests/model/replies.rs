//! Requests, replies, and who waits for them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gristmill_queue::policy::{OnExpiry, OnFull};
use gristmill_queue::{MessageId, QueuePolicy, Reason, limits};
use gristmill_store::{AdminError, Requested, SendError, Sent};

use super::large::INLINE;
use super::parcel::{Held, Parcel};
use super::policy::policy;
use super::reference::{Message, Reference};
use super::rig::name;
use super::script::Sending;
use super::world::{Answer, Asked, World, poll_once};

/// The correlation ids that requests bring with them.
const OWN: [&str; 2] = ["own 0", "own 1"];

/// The policy of the queue of the replies: few, and not for long.
pub fn replies_policy() -> QueuePolicy {
    let mut policy = policy(0);
    policy.default_ttl = Some(Duration::from_secs(10));
    policy.on_expiry = OnExpiry::Drop;
    policy.on_full = OnFull::DropOldest;
    policy.max_messages = Some(4);
    policy.pull.allowed = Some(false);
    policy
}

/// Somebody who waits.
pub struct Waiter {
    pub number: u64,
    correlation: String,
    asked: gristmill_store::Asked,
}

impl Reference {
    /// Who waits for a reply is told that its request is dead. What it is told is not known yet.
    pub fn notify(&mut self, request: &Message, reason: Reason) {
        if !request.asks {
            return;
        }
        let parcel = Parcel {
            to: limits::REPLIES.to_owned(),
            ..Parcel::new(&Sending::default(), 0)
        };
        let correlation = request.correlation.clone();
        let parcel = Parcel {
            correlation,
            ..parcel
        };
        let (copies, fates, refusals) = self.fates(&[&parcel]);
        assert_eq!(refusals, [], "dying never fails");
        let told = self.take(&[&parcel], &copies, &fates, &[None]);
        let notice = self.messages.get_mut(&told[0].id.sequence());
        let notice = notice.expect("it was accepted");
        // Only what its handler said is known before it is seen.
        if matches!(reason, Reason::Retry | Reason::Trap | Reason::Rejected) {
            let last = request.history.last().expect("it was just ended");
            notice.body = last.1.clone().into_bytes();
        }
        notice.causation = Some(request.id);
        notice.label = format!("{:?}", notice.causation);
        notice.died = Some(super::redrives::Died {
            queue: request.queue.clone(),
            reason,
            lives: None,
        });
    }

    /// Who gets which reply: the first who waits the oldest one.
    fn hand_out(&mut self) -> Vec<(u64, Message)> {
        let mut handed = Vec::new();
        for (correlation, waiters) in &mut self.waiters {
            let mut replies: Vec<&Message> = self.messages.values().collect();
            let its = |m: &&Message| m.correlation.as_ref() == Some(correlation);
            replies.retain(|m| m.queue == limits::REPLIES && its(m));
            replies.sort_by_key(|m| m.order);
            for reply in replies {
                let Some(waiter) = waiters.pop_front() else {
                    break;
                };
                handed.push((waiter, reply.clone()));
            }
        }
        self.waiters.retain(|_, waiters| !waiters.is_empty());
        for (_, reply) in &handed {
            self.messages.remove(&reply.id.sequence());
            self.tally.note(match reply.died {
                None => "replies handed out",
                Some(_) => "notices of deaths handed out",
            });
        }
        handed
    }

    fn leave(&mut self, waiter: u64) {
        for waiters in self.waiters.values_mut() {
            waiters.retain(|&other| other != waiter);
        }
    }
}

/// Who waits for a correlation id, in their order.
pub type Waiters = BTreeMap<String, VecDeque<u64>>;

/// What was asked about replies.
pub enum AskedReply {
    Request(Parcel, Answer<Result<Requested, SendError>>),
    Wait(String, Answer<Result<gristmill_store::Asked, AdminError>>),
    Leave(u64),
}

impl World {
    pub fn ask_request(&mut self, sending: &Sending, own: Option<usize>, in_group: bool) -> Asked {
        let mut parcel = self.prepare(sending);
        if in_group {
            // A large body is stored on a thread of its own first, which a group does not wait for.
            parcel.body.truncate(usize::try_from(INLINE).unwrap());
        }
        parcel.correlation = own.map(|own| OWN[own].to_owned());
        let (store, outgoing) = (self.rig.store.clone(), parcel.outgoing());
        let asked = async move { store.request(outgoing).await };
        Asked::Reply(AskedReply::Request(parcel, poll_once(asked)))
    }

    /// Waits for the reply to one of the last requests.
    pub fn ask_wait(&mut self, n: usize) -> Asked {
        let all = || self.reference.messages.values();
        let replies = all().filter(|m| m.queue == limits::REPLIES);
        let requests = all().filter(|m| m.asks);
        let mut of: Vec<&String> = replies
            .chain(requests)
            .filter_map(|m| m.correlation.as_ref())
            .collect();
        of.extend(self.requests.iter().rev().take(2));
        let Some(correlation) = of.get(n % of.len().max(1)).copied().cloned() else {
            return Asked::Nothing;
        };
        let (store, of) = (self.rig.store.clone(), correlation.clone());
        let asked = async move { store.ask_reply(&of).await };
        Asked::Reply(AskedReply::Wait(correlation, poll_once(asked)))
    }

    pub fn ask_leave(&mut self, n: usize) -> Asked {
        if self.waiters.is_empty() {
            return Asked::Nothing;
        }
        let waiter = self.waiters.remove(n % self.waiters.len());
        let left = waiter.asked.give_up();
        assert!(left.is_none(), "{} kept {left:?}", waiter.correlation);
        Asked::Reply(AskedReply::Leave(waiter.number))
    }

    pub fn judge_reply(&mut self, asked: AskedReply) {
        match asked {
            AskedReply::Request(parcel, answer) => {
                let answer = self.rig.wait(answer);
                self.judge_request(parcel, answer);
            }
            AskedReply::Wait(correlation, answer) => {
                let asked = self.rig.wait(answer).unwrap();
                self.serial += 1;
                let number = self.serial;
                let waiters = self.reference.waiters.entry(correlation.clone());
                waiters.or_default().push_back(number);
                self.waiters.push(Waiter {
                    number,
                    correlation,
                    asked,
                });
            }
            AskedReply::Leave(waiter) => {
                self.rig.tick();
                self.reference.leave(waiter);
            }
        }
    }

    fn judge_request(&mut self, mut parcel: Parcel, answer: Result<Requested, SendError>) {
        if let Err(SendError::RequestToTopic(_)) = answer {
            assert!(self.reference.topics.contains_key(&parcel.to));
            return;
        }
        let known = self.reference.queues.get(&parcel.to);
        let known = known.is_some_and(|queue| queue.declared);
        assert!(known || answer.is_err(), "accepted for {}", parcel.to);
        let own = parcel.correlation.take();
        let requested = answer.as_ref().ok().cloned();
        let answer = answer.map(|requested| {
            let accepted = requested.accepted;
            vec![Sent {
                accepted,
                copies: None,
            }]
        });
        if !self.judge_send(&[parcel], answer, true) {
            return;
        }
        let Requested {
            accepted,
            correlation_id,
        } = requested.unwrap();
        let expected = own.unwrap_or_else(|| accepted.id.to_string());
        assert_eq!(correlation_id, expected, "what its reply is found by");
        if !accepted.duplicate {
            let message = self.reference.messages.get_mut(&accepted.id.sequence());
            let message = message.expect("it was accepted");
            (message.asks, message.correlation) = (true, Some(expected));
        }
        self.reference.tally.note("requests");
        self.requests.push(correlation_id);
    }

    /// A handler replies: the first from the n-th on that handles a request.
    pub fn act_reply(&mut self, n: usize, size: usize) -> Option<usize> {
        let count = self.flights.len();
        let message = |n: usize| &self.reference.messages[&self.flights[n].fence.sequence];
        let n = (n..n + count)
            .map(|n| n % count)
            .find(|&n| message(n).asks)?;
        let correlation = message(n).correlation.clone();
        let flight = &mut self.flights[n];
        self.serial += 1;
        let sending = Sending {
            size,
            ..Sending::default()
        };
        let parcel = Parcel {
            to: limits::REPLIES.to_owned(),
            correlation,
            ..Parcel::new(&sending, self.serial)
        };
        let transaction = flight
            .transaction
            .get_or_insert_with(|| self.rig.transaction());
        let id = transaction.reply(name(&parcel.to), parcel.message());
        let id = id.unwrap();
        flight.work.sends.push(Held { id, parcel });
        Some(n)
    }

    /// Collects what those who wait have been handed.
    pub fn collect(&mut self) {
        let mut context = Context::from_waker(Waker::noop());
        for waiter in &mut self.waiters {
            let mut answer = std::pin::pin!(waiter.asked.wait());
            if let Poll::Ready(reply) = answer.as_mut().poll(&mut context) {
                self.handed.push((waiter.number, reply.unwrap()));
            }
        }
        let handed = &self.handed;
        let left = |waiter: &Waiter| handed.iter().all(|(number, _)| *number != waiter.number);
        self.waiters.retain(left);
    }

    /// All that are there for somebody have been handed to the first who waited, and no others.
    pub fn check_handed(&mut self) {
        let mut handed: BTreeMap<u64, Arc<gristmill_queue::Message>> =
            std::mem::take(&mut self.handed).into_iter().collect();
        for (waiter, expected) in self.reference.hand_out() {
            let found = handed.remove(&waiter);
            let found = found.unwrap_or_else(|| panic!("{waiter} was not handed {expected:?}"));
            super::check::check_message(&expected, &found, &self.rig.store);
        }
        assert!(handed.is_empty(), "{handed:?} was handed out");
    }

    /// What somebody was told about a death is the error of the letter: its words are not known
    /// before.
    pub fn learn_notice(&mut self, id: MessageId, found: &gristmill_queue::Message) {
        let Some(notice) = self.reference.messages.get_mut(&id.sequence()) else {
            return;
        };
        let Some(died) = &notice.died else { return };
        if notice.queue != limits::REPLIES {
            return;
        }
        let told = |name| found.envelope.attribute(name);
        assert_eq!(told("gristmill-died"), Some(died.reason.as_str()));
        assert_eq!(told("gristmill-died-in"), Some(died.queue.as_str()));
        if notice.body.len() > 1 {
            assert_eq!(found.body, notice.body, "what is told of a death");
        }
        notice.body = found.body.to_vec();
    }
}
