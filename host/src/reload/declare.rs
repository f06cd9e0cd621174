//! What the store is told of a configuration: its queues and topics, and the host's own queue.

use gristmill_queue::{QueueName, limits};
use gristmill_store::{Declaration, TopicDeclaration};

use crate::config::{Config, QueueConfig, defaults};

/// The queues of a configuration, as the store wants to know them, and the host's own.
#[must_use]
pub fn declarations(config: &Config) -> Vec<Declaration> {
    let declare = |(name, queue): (&QueueName, &QueueConfig)| Declaration {
        name: name.clone(),
        policy: queue.policy.clone(),
    };
    let own = QueueName::new(limits::REPLIES).map(|name| Declaration {
        name,
        policy: defaults::replies(),
    });
    config.queues.iter().map(declare).chain(own).collect()
}

/// The topics of a configuration, as the store wants to know them.
#[must_use]
pub fn topic_declarations(config: &Config) -> Vec<TopicDeclaration> {
    let topics = config.topics.iter();
    topics
        .map(|(name, topic)| TopicDeclaration {
            name: name.clone(),
            policy: topic.policy.clone(),
        })
        .collect()
}
