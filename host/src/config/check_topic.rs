//! The rules between topics and queues: one name space, and subscriptions that lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use gristmill_queue::topic::Subscription;
use gristmill_queue::{QueueName, TopicPolicy, limits};
use toml::Spanned;

use super::check::value;
use super::problem::Problems;
use super::raw::{RawTopic, filter_key};
use super::{QueueConfig, TopicConfig, spelling};

/// Names that begin so are the host's own.
const RESERVED: &str = limits::RESERVED_ATTRIBUTE_PREFIX;

/// Notes a name that is the host's own.
pub fn check_reserved(room: &str, name: &Spanned<String>, problems: &mut Problems<'_>) {
    let text = name.get_ref();
    if text.starts_with(RESERVED) {
        let key = format!("{room}.{}", spelling::quoted(text));
        let message = format!("{text:?} is a name of the host's own");
        let cure = format!("choose one that does not start with \"{RESERVED}\"");
        problems.error(name.span(), &key, message, cure);
    }
}

/// What may be sent to: the queues, and the topics.
pub struct Destinations<'d> {
    pub queues: &'d BTreeMap<QueueName, QueueConfig>,
    pub topics: &'d BTreeMap<QueueName, TopicConfig>,
}

impl Destinations<'_> {
    /// The name, and the most bytes of a body that it takes; of a topic, that all its queues take.
    pub fn find(&self, name: &str) -> Option<(QueueName, u64)> {
        if let Some((name, queue)) = self.queues.get_key_value(name) {
            return Some((name.clone(), queue.policy.max_body));
        }
        let (name, topic) = self.topics.get_key_value(name)?;
        let queues = topic.policy.subscriptions.iter();
        let bodies = queues.filter_map(|one| self.queues.get(&one.queue));
        let least = bodies.map(|queue| queue.policy.max_body).min();
        Some((name.clone(), least.unwrap_or(limits::MAX_BODY)))
    }

    /// What to do about a name that is none.
    pub fn cure(&self, name: &str) -> String {
        let names = self.queues.keys().chain(self.topics.keys());
        spelling::did_you_mean(name, names.map(QueueName::as_str))
            .unwrap_or_else(|| format!("declare it: [queue.{}]", spelling::quoted(name)))
    }
}

/// Checks all topics, and builds those that are sound.
pub fn topics(
    raw: Vec<(Spanned<String>, RawTopic)>,
    queues: &BTreeMap<QueueName, QueueConfig>,
    problems: &mut Problems<'_>,
) -> BTreeMap<QueueName, TopicConfig> {
    let mut topics = BTreeMap::new();
    for (name, topic) in raw {
        check_reserved("topic", &name, problems);
        let key = format!("topic.{}", spelling::quoted(name.get_ref()));
        let topic = build(&name, &topic, queues, problems);
        match QueueName::new(name.get_ref()) {
            Ok(valid) if queues.contains_key(&valid) => {
                let message = format!("{valid} is the name of a queue too");
                let cure =
                    "give one of them another name: what is sent to a name must go to one place";
                problems.error(name.span(), &key, message, cure.to_owned());
            }
            Ok(valid) => drop(topics.insert(valid, topic)),
            Err(error) => {
                let message = error.to_string().replace("a queue name", "a topic name");
                problems.error(name.span(), &key, message, None);
            }
        }
    }
    topics
}

fn build(
    name: &Spanned<String>,
    raw: &RawTopic,
    queues: &BTreeMap<QueueName, QueueConfig>,
    problems: &mut Problems<'_>,
) -> TopicConfig {
    let topic = name.get_ref();
    let queues_key = format!("topic.{}.queues", spelling::quoted(topic));
    let mut subscriptions = Vec::new();
    let mut seen = BTreeSet::new();
    let whole = raw.queues.iter().flat_map(|given| given.get_ref());
    let whole = whole.map(|queue| (queue, queues_key.clone(), Vec::new()));
    let filtered = raw.filters.iter().map(|(queue, filters)| {
        let key = filter_key(topic, queue.get_ref());
        (queue, key, filters.clone())
    });
    for (queue, key, filters) in whole.chain(filtered) {
        let Some((known, _)) = queues.get_key_value(queue.get_ref().as_str()) else {
            let names = queues.keys().map(QueueName::as_str);
            let cure = spelling::did_you_mean(queue.get_ref(), names).unwrap_or_else(|| {
                format!("declare it: [queue.{}]", spelling::quoted(queue.get_ref()))
            });
            let message = format!("`{key}`: no queue is named {:?}", queue.get_ref());
            problems.error(queue.span(), &key, message, cure);
            continue;
        };
        if !seen.insert(known.clone()) {
            let message = format!("`{key}`: queue {known} is subscribed twice");
            let cure = "name it once: in `queues` for all messages, or with a filter; a list of filters, [[…]], means any of them";
            problems.error(queue.span(), &key, message, cure.to_owned());
            continue;
        }
        subscriptions.push(Subscription {
            queue: known.clone(),
            filters,
        });
    }
    note_count(name, raw, subscriptions.len(), problems);
    TopicConfig {
        policy: TopicPolicy {
            subscriptions,
            unmatched: value(&raw.unmatched).unwrap_or_default(),
        },
        origin: problems.line_of(&name.span()),
    }
}

fn note_count(name: &Spanned<String>, raw: &RawTopic, count: usize, problems: &mut Problems<'_>) {
    let key = format!("topic.{}", spelling::quoted(name.get_ref()));
    if count > limits::MAX_SUBSCRIPTIONS {
        let most = limits::MAX_SUBSCRIPTIONS;
        let message = format!("`{key}` has {count} subscriptions, but may have {most}");
        problems.error(name.span(), &key, message, None);
    }
    if raw.filters.is_empty()
        && raw
            .queues
            .as_ref()
            .is_none_or(|all| all.get_ref().is_empty())
    {
        let message = format!("`{key}` has no queue: what is sent to it goes nowhere");
        let cure = "write queues = [\"…\"]".to_owned();
        problems.warning(name.span(), &key, message, cure);
    }
}
