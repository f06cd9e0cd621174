//! Topics: who gets a copy of what, and what is counted, written from the contract.

use std::collections::BTreeMap;
use std::ops::Bound;

use gristmill_queue::TopicPolicy;
use gristmill_queue::topic::{Condition, Field, Filter, Subscription, Test, Unmatched};
use gristmill_store::TopicDeclaration;

use super::accept::{Copy, Refusal, Told, is_valid};
use super::parcel::Parcel;
use super::reference::Reference;
use super::rig::name;
use super::script::{Sending, TOPICS};
use super::world::World;

/// How many kinds of topics there are.
pub const KINDS: u8 = 5;

/// What a queue wants to have of a topic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wants {
    All,
    /// Of this tenant.
    Tenant(u8),
    /// Of one of these.
    TenantOf(u8, u8),
    AnyTenant,
    NoTenant,
    /// Whose group begins so.
    GroupOf(&'static str),
    Urgent,
    /// Of the first tenant and in a group, or not urgent.
    Either,
}

#[derive(Clone, Debug)]
pub struct Topic {
    pub subscriptions: Vec<(&'static str, Wants)>,
    pub refuses: bool,
    sent: u64,
    unmatched: u64,
    refused: u64,
    copies: BTreeMap<&'static str, u64>,
}

fn kind(number: u8) -> (Vec<(&'static str, Wants)>, bool) {
    match number {
        0 => (vec![("a", Wants::All), ("b", Wants::All)], false),
        1 => {
            let (first, second) = (("a", Wants::Tenant(0)), ("b", Wants::AnyTenant));
            (vec![first, second, ("c", Wants::GroupOf("g"))], false)
        }
        2 => {
            let first = ("b", Wants::TenantOf(1, 2));
            (vec![first, ("c", Wants::Either)], true)
        }
        3 => {
            let first = ("c", Wants::NoTenant);
            (vec![first, ("a", Wants::Urgent)], true)
        }
        _ => {
            let first = ("c", Wants::All);
            let other = ("b", Wants::GroupOf("g1"));
            (vec![first, ("a", Wants::Tenant(0)), other], false)
        }
    }
}

impl Wants {
    fn wants(self, sending: &Sending) -> bool {
        match self {
            Wants::All => true,
            Wants::Tenant(tenant) => sending.key == Some(tenant),
            Wants::TenantOf(one, other) => [Some(one), Some(other)].contains(&sending.key),
            Wants::AnyTenant => sending.key.is_some(),
            Wants::NoTenant => sending.key.is_none(),
            Wants::GroupOf(start) => {
                let group = sending.group.map(|group| format!("g{group}"));
                group.is_some_and(|group| group.starts_with(start))
            }
            Wants::Urgent => sending.priority >= 5,
            Wants::Either => {
                sending.key == Some(0) && sending.group.is_some() || sending.priority < 3
            }
        }
    }

    /// The same, as it is configured.
    fn filters(self) -> Vec<Filter> {
        let tenant = || Field::Attribute("tenant".to_owned());
        let of = |tenant: u8| Test::Is(format!("t{tenant}"));
        let urgent = |from, to| (Field::Priority, vec![Test::Between(from, to)]);
        let filters = match self {
            Wants::All => Vec::new(),
            Wants::Tenant(one) => vec![vec![(tenant(), vec![of(one)])]],
            Wants::TenantOf(one, other) => vec![vec![(tenant(), vec![of(one), of(other)])]],
            Wants::AnyTenant => vec![vec![(tenant(), vec![Test::Exists])]],
            Wants::NoTenant => vec![vec![(tenant(), vec![Test::Absent])]],
            Wants::GroupOf(start) => {
                vec![vec![(Field::Group, vec![Test::StartsWith(start.into())])]]
            }
            Wants::Urgent => vec![vec![urgent(Bound::Included(5.0), Bound::Unbounded)]],
            Wants::Either => {
                let in_group = (Field::Group, vec![Test::Exists]);
                let first = vec![(tenant(), vec![of(0)]), in_group];
                vec![first, vec![urgent(Bound::Unbounded, Bound::Excluded(3.0))]]
            }
        };
        let condition = |(field, any_of)| Condition { field, any_of };
        let filter = |all: Vec<_>| Filter(all.into_iter().map(condition).collect());
        filters.into_iter().map(filter).collect()
    }
}

impl Reference {
    /// Declares these kinds of topics, over those of their queues that are declared.
    pub fn declare_topics(&mut self, kinds: &[Option<u8>]) {
        for (topic, number) in TOPICS.into_iter().zip(kinds) {
            let before = self.topics.remove(topic);
            let Some(number) = number else { continue };
            let (mut subscriptions, refuses) = kind(*number);
            subscriptions.retain(|(queue, _)| self.queues[*queue].declared);
            let count = |of: fn(&Topic) -> u64| before.as_ref().map_or(0, of);
            let copies = subscriptions.iter().map(|(queue, _)| {
                let copies = before.as_ref().and_then(|topic| topic.copies.get(queue));
                (*queue, copies.copied().unwrap_or(0))
            });
            let topic_now = Topic {
                copies: copies.collect(),
                sent: count(|topic| topic.sent),
                unmatched: count(|topic| topic.unmatched),
                refused: count(|topic| topic.refused),
                subscriptions,
                refuses,
            };
            self.topics.insert(topic.to_owned(), topic_now);
        }
    }

    /// What is counted is counted since the host started.
    pub fn restart_topics(&mut self) {
        for topic in self.topics.values_mut() {
            (topic.sent, topic.unmatched, topic.refused) = (0, 0, 0);
            topic.copies.values_mut().for_each(|count| *count = 0);
        }
    }

    pub fn topic_declarations(&self) -> Vec<TopicDeclaration> {
        let topics = self.topics.iter();
        let declaration = |(topic, of): (&String, &Topic)| TopicDeclaration {
            name: name(topic),
            policy: TopicPolicy {
                subscriptions: of
                    .subscriptions
                    .iter()
                    .map(|(queue, wants)| Subscription {
                        queue: name(queue),
                        filters: wants.filters(),
                    })
                    .collect(),
                unmatched: if of.refuses {
                    Unmatched::Refuse
                } else {
                    Unmatched::Count
                },
            },
        };
        topics.map(declaration).collect()
    }

    /// Where a parcel goes.
    pub fn copies(&self, at: usize, parcel: &Parcel) -> Result<Vec<Copy>, Refusal> {
        let to = &parcel.to;
        if self.queues.get(to).is_some_and(|queue| queue.declared) {
            let (queue, topic) = (to.clone(), None);
            return Ok(vec![Copy { at, queue, topic }]);
        }
        let topic = self.topics.get(to).ok_or(Refusal::Unknown)?;
        if !is_valid(&parcel.sending) {
            return Err(Refusal::Invalid);
        }
        let wanted = topic.subscriptions.iter();
        let wanted = wanted.filter(|(_, wants)| wants.wants(&parcel.sending));
        let copies: Vec<Copy> = wanted
            .map(|(queue, _)| Copy {
                at,
                queue: (*queue).to_owned(),
                topic: Some(to.clone()),
            })
            .collect();
        if copies.is_empty() && topic.refuses {
            return Err(Refusal::Unmatched);
        }
        Ok(copies)
    }

    /// Counts what topics were sent, unless it is a repeat for all who get it.
    pub fn count_topics(&mut self, batch: &[&Parcel], copies: &[Copy], told: &[Told]) {
        for (at, parcel) in batch.iter().enumerate() {
            let declared = self.queues.get(&parcel.to).is_some_and(|q| q.declared);
            let topic = self.topics.get_mut(&parcel.to);
            let Some(topic) = topic.filter(|_| !declared) else {
                continue;
            };
            let mine = || copies.iter().zip(told).filter(|(copy, _)| copy.at == at);
            if mine().next().is_some() && mine().all(|(_, told)| told.duplicate) {
                continue;
            }
            topic.sent += 1;
            let unmatched = u64::from(mine().next().is_none());
            topic.unmatched += unmatched;
            self.tally.add("messages that nobody wants", unmatched);
            for (copy, _) in mine().filter(|(_, told)| !told.duplicate) {
                *topic.copies.get_mut(copy.queue.as_str()).expect("its own") += 1;
            }
        }
    }

    /// A topic has refused what nobody wants.
    pub fn refuse(&mut self, topic: &str) {
        self.topics.get_mut(topic).expect("it is declared").refused += 1;
    }
}

impl World {
    pub fn check_topics(&self) {
        let views = self.rig.wait(self.rig.store.topics()).unwrap();
        let found: Vec<_> = views
            .iter()
            .map(|view| {
                let copies = view.subscriptions.iter();
                let copies: Vec<_> = copies.map(|one| (one.queue.as_str(), one.copies)).collect();
                let counts = (view.sent, view.unmatched, view.refused);
                (view.name.as_str(), counts, copies)
            })
            .collect();
        let expected: Vec<_> = self
            .reference
            .topics
            .iter()
            .map(|(name, topic)| {
                let queues = topic.subscriptions.iter().map(|(queue, _)| *queue);
                let copies: Vec<_> = queues.map(|queue| (queue, topic.copies[queue])).collect();
                let counts = (topic.sent, topic.unmatched, topic.refused);
                (name.as_str(), counts, copies)
            })
            .collect();
        assert_eq!(found, expected, "topics");
    }
}
