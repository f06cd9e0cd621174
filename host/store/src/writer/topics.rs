//! Where messages go: to a queue, or to each queue of a topic that gets a copy.
//!
//! Which those are is decided for the whole send before anything of it is applied; so all copies are
//! accepted in one commit, or none is.

use std::collections::HashMap;

use gristmill_queue::board::QueueId;
use gristmill_queue::topic::Unmatched;
use gristmill_queue::{BlobRef, MessageId, NewMessage, QueueName, Timestamp, TopicPolicy, limits};

use super::Writer;
use super::group::Group;
use crate::error::{Fatal, SendError};
use crate::ops::Accepted;
use crate::topics::{Sent, SubscriptionView, TopicCopy, TopicDeclaration, TopicView};

/// The attribute of a copy that names its topic.
const TOPIC_ATTRIBUTE: &str = "gristmill-topic";

/// The topics that are declared.
#[derive(Default)]
pub(crate) struct Topics(HashMap<QueueName, Topic>);

struct Topic {
    policy: TopicPolicy,
    /// The queues of the subscriptions, in their order.
    queues: Vec<QueueId>,
    sent: u64,
    unmatched: u64,
    refused: u64,
    /// For each subscription.
    copies: Vec<u64>,
}

/// One message that a send makes.
pub(super) struct Route {
    /// Which message of the send it is.
    pub at: usize,
    pub queue: QueueId,
    /// Which subscription of the topic, if it was sent to one.
    subscription: Option<usize>,
    /// The large body of this copy, if it is not the first, which has the one that was sent.
    pub shared: Option<BlobRef>,
    /// The dedup id of this copy, if it has one of its own.
    pub derived: Option<String>,
}

/// Which message of a send is refused, and why.
pub(super) type Refused = (usize, SendError);

impl Writer {
    /// Declares exactly these topics. Those that stay go on counting.
    pub(super) fn declare_topics(&mut self, topics: Vec<TopicDeclaration>) {
        let mut before = std::mem::take(&mut self.topics.0);
        for TopicDeclaration { name, policy } in topics {
            let known = before.remove(&name);
            let copies_of = |queue: &QueueName| {
                let known = known.as_ref()?;
                let mut subscriptions = known.policy.subscriptions.iter();
                let at = subscriptions.position(|one| one.queue == *queue)?;
                Some(known.copies[at])
            };
            // The configuration has seen to it that they are declared.
            let mut subscriptions = Vec::with_capacity(policy.subscriptions.len());
            let mut queues = Vec::with_capacity(policy.subscriptions.len());
            for subscription in policy.subscriptions {
                match self.board.find(subscription.queue.as_str()) {
                    Some(queue) => {
                        queues.push(queue);
                        subscriptions.push(subscription);
                    }
                    None => {
                        tracing::error!(topic = %name, queue = %subscription.queue, "a topic has a queue that is not declared; it gets no copies");
                    }
                }
            }
            let copies = subscriptions
                .iter()
                .map(|subscription| copies_of(&subscription.queue).unwrap_or(0))
                .collect();
            let count = |of: fn(&Topic) -> u64| known.as_ref().map_or(0, of);
            let topic = Topic {
                sent: count(|topic| topic.sent),
                unmatched: count(|topic| topic.unmatched),
                refused: count(|topic| topic.refused),
                policy: TopicPolicy {
                    subscriptions,
                    unmatched: policy.unmatched,
                },
                queues,
                copies,
            };
            self.topics.0.insert(name, topic);
        }
    }

    /// The queue of this name, if it is declared.
    pub(super) fn declared(&self, name: &QueueName) -> Option<QueueId> {
        let queue = self.board.find(name.as_str());
        queue.filter(|&queue| self.board.is_declared(queue))
    }

    /// Where the messages of a send go, in their order. If `now` is told, they are checked too.
    pub(super) fn routes<'m>(
        &mut self,
        sends: impl Iterator<Item = (&'m QueueName, &'m NewMessage)>,
        now: Option<Timestamp>,
    ) -> Result<Vec<Route>, Refused> {
        let mut routes = Vec::with_capacity(sends.size_hint().0);
        let (mut copies, mut bytes) = (0, 0);
        for (at, (to, message)) in sends.enumerate() {
            if let Some(queue) = self.declared(to) {
                self.check(to, queue, message, now)
                    .map_err(|error| (at, error))?;
                routes.push(Route {
                    at,
                    queue,
                    subscription: None,
                    shared: None,
                    derived: None,
                });
                continue;
            }
            let before = routes.len();
            self.route_topic(at, to, message, now, &mut routes)
                .map_err(|error| (at, error))?;
            let count = routes.len() - before;
            copies += count;
            bytes += message.body.len() as u64 * count as u64;
            if copies > limits::MAX_COPIES || bytes > limits::MAX_COPY_BYTES {
                return Err((at, SendError::TooManyCopies));
            }
        }
        Ok(routes)
    }

    fn route_topic(
        &mut self,
        at: usize,
        to: &QueueName,
        message: &NewMessage,
        now: Option<Timestamp>,
        routes: &mut Vec<Route>,
    ) -> Result<(), SendError> {
        let Some(topic) = self.topics.0.get_mut(to) else {
            return Err(SendError::UnknownQueue(to.clone()));
        };
        if let Some(now) = now {
            let checked = message.check(limits::MAX_BODY, now);
            checked.map_err(|problem| SendError::Invalid {
                queue: to.clone(),
                problem,
            })?;
        }
        let before = routes.len();
        for subscription in topic.policy.matching(&message.envelope) {
            routes.push(Route {
                at,
                queue: topic.queues[subscription],
                subscription: Some(subscription),
                shared: None,
                derived: None,
            });
        }
        if routes.len() == before && topic.policy.unmatched == Unmatched::Refuse {
            topic.refused += 1;
            return Err(SendError::Unmatched(to.clone()));
        }
        for route in &routes[before..] {
            let name = self.board.name(route.queue);
            self.check(name, route.queue, message, now)?;
        }
        Ok(())
    }

    fn check(
        &self,
        name: &QueueName,
        queue: QueueId,
        message: &NewMessage,
        now: Option<Timestamp>,
    ) -> Result<(), SendError> {
        let Some(now) = now else { return Ok(()) };
        let checked = message.check(self.board.policy(queue).max_body, now);
        checked.map_err(|problem| SendError::Invalid {
            queue: name.clone(),
            problem,
        })
    }

    /// Gives each copy of a large body a file of its own, without a copy of the bytes. Do so before
    /// anything of the send is applied: the disk may refuse it.
    pub(super) fn share_bodies<'m>(
        &mut self,
        routes: &mut [Route],
        blob_of: impl Fn(usize) -> (&'m QueueName, Option<BlobRef>),
    ) -> Result<(), SendError> {
        for at in 1..routes.len() {
            if routes[at].at != routes[at - 1].at {
                continue;
            }
            let (to, blob) = blob_of(routes[at].at);
            if let Some(blob) = blob {
                routes[at].shared = self.large.share(&blob, to)?;
            }
        }
        Ok(())
    }

    /// Accepts a message where its routes lead. The first copy has the id that was told, if one was.
    /// Bodies are shared by the copies.
    pub(super) fn accept_routed(
        &mut self,
        (to, id, mut message): (&QueueName, Option<MessageId>, NewMessage),
        routes: &[Route],
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Sent, Fatal> {
        if let [
            Route {
                queue,
                subscription: None,
                ref derived,
                ..
            },
        ] = *routes
        {
            derive(derived, &mut message);
            let accepted = self.accept_once(queue, id, message, group, now)?;
            return Ok(Sent {
                accepted,
                copies: None,
            });
        }
        if routes.is_empty() {
            // Its id is told, so after a restart it must not be another's: its number is kept.
            group.changes();
        }
        message.envelope.stamp(TOPIC_ATTRIBUTE, to.as_str());
        let mut copies = Vec::with_capacity(routes.len());
        let mut message = Some(message);
        for (n, route) in routes.iter().enumerate() {
            let last = n + 1 == routes.len();
            let copy = if last {
                message.take()
            } else {
                message.clone()
            };
            let Some(mut copy) = copy else { break };
            if route.shared.is_some() {
                copy.blob = route.shared;
            }
            derive(&route.derived, &mut copy);
            let id = id.filter(|_| n == 0);
            copies.push(TopicCopy {
                queue: self.board.name(route.queue).clone(),
                accepted: self.accept_once(route.queue, id, copy, group, now)?,
            });
        }
        let minted = || id.unwrap_or_else(|| self.ids.mint(now));
        let accepted = Accepted {
            id: copies.first().map_or_else(minted, |copy| copy.accepted.id),
            duplicate: !copies.is_empty() && copies.iter().all(|copy| copy.accepted.duplicate),
            conflict: copies.iter().any(|copy| copy.accepted.conflict),
        };
        self.count_topic(to, routes, &copies, accepted.duplicate);
        Ok(Sent {
            accepted,
            copies: Some(copies),
        })
    }

    fn count_topic(
        &mut self,
        name: &QueueName,
        routes: &[Route],
        copies: &[TopicCopy],
        repeated: bool,
    ) {
        let Some(topic) = self.topics.0.get_mut(name).filter(|_| !repeated) else {
            return;
        };
        topic.sent += 1;
        topic.unmatched += u64::from(routes.is_empty());
        for (route, copy) in routes.iter().zip(copies) {
            if let Some(subscription) = route.subscription {
                topic.copies[subscription] += u64::from(!copy.accepted.duplicate);
            }
        }
    }

    pub(super) fn topic_views(&self) -> Vec<TopicView> {
        let mut views: Vec<TopicView> = self.topics.0.iter().map(view).collect();
        views.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        views
    }

    pub(super) fn is_topic(&self, name: &QueueName) -> bool {
        self.topics.0.contains_key(name)
    }
}

fn derive(derived: &Option<String>, copy: &mut NewMessage) {
    if derived.is_some() {
        copy.dedup_id.clone_from(derived);
    }
}

fn view((name, topic): (&QueueName, &Topic)) -> TopicView {
    let subscriptions = topic.policy.subscriptions.iter().zip(&topic.copies);
    TopicView {
        name: name.clone(),
        unmatched_are: topic.policy.unmatched,
        sent: topic.sent,
        unmatched: topic.unmatched,
        refused: topic.refused,
        subscriptions: subscriptions
            .map(|(subscription, &copies)| SubscriptionView {
                queue: subscription.queue.clone(),
                filter: subscription.to_string(),
                copies,
            })
            .collect(),
    }
}
