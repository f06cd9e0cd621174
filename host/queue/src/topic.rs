//! Topics: which queues get a copy of a message.
//!
//! A subscription is a queue and its filters. A filter holds if all its conditions do, a condition if
//! one of its tests does, and a subscription matches if it has no filter or one that holds. What is
//! looked at is the envelope, never the body.

use std::fmt;
use std::ops::{Bound, RangeBounds};

use crate::{Envelope, QueueName};

/// A topic as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicPolicy {
    /// Who gets copies, in the order in which they are told.
    pub subscriptions: Vec<Subscription>,
    /// What becomes of a message that no subscription matches.
    pub unmatched: Unmatched,
}

/// What becomes of a message that no subscription of its topic matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unmatched {
    /// It is accepted, counted, and goes nowhere.
    #[default]
    Count,
    /// It is refused.
    Refuse,
}

/// A queue that gets copies of what is sent to a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// The queue.
    pub queue: QueueName,
    /// One of these has to hold; all messages match if there is none.
    pub filters: Vec<Filter>,
}

/// All of these have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter(pub Vec<Condition>);

/// What is asked of one field: one of the tests has to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Which field.
    pub field: Field,
    /// The tests.
    pub any_of: Vec<Test>,
}

/// A field of the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// `type`
    Type,
    /// `schema_version`
    SchemaVersion,
    /// `source`
    Source,
    /// `content_type`
    ContentType,
    /// `correlation_id`
    CorrelationId,
    /// `reply_to`
    ReplyTo,
    /// `group`
    Group,
    /// `priority`; every message has one.
    Priority,
    /// The attribute of this name.
    Attribute(String),
}

/// What is asked of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// It is this text.
    Is(String),
    /// It begins with this text.
    StartsWith(String),
    /// It is a decimal number between these; compared as floating point, so whole numbers are told
    /// apart up to 2^53.
    Between(Bound<f64>, Bound<f64>),
    /// It is there.
    Exists,
    /// It is not there.
    Absent,
}

impl TopicPolicy {
    /// The places in [`TopicPolicy::subscriptions`] of those that match.
    pub fn matching<'t>(&'t self, envelope: &'t Envelope) -> impl Iterator<Item = usize> + 't {
        let matches = |subscription: &Subscription| subscription.matches(envelope);
        let all = self.subscriptions.iter().enumerate();
        all.filter_map(move |(at, subscription)| matches(subscription).then_some(at))
    }
}

impl Subscription {
    /// Whether the queue gets a copy of a message with this envelope.
    #[must_use]
    pub fn matches(&self, envelope: &Envelope) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.holds(envelope))
    }
}

impl Filter {
    /// Whether all its conditions hold.
    #[must_use]
    pub fn holds(&self, envelope: &Envelope) -> bool {
        self.0.iter().all(|condition| {
            let value = condition.field.of(envelope);
            condition.any_of.iter().any(|test| test.holds(value))
        })
    }
}

impl Field {
    /// The field that has this name, other than an attribute.
    #[must_use]
    pub fn named(name: &str) -> Option<Field> {
        Some(match name {
            "type" => Field::Type,
            "schema_version" => Field::SchemaVersion,
            "source" => Field::Source,
            "content_type" => Field::ContentType,
            "correlation_id" => Field::CorrelationId,
            "reply_to" => Field::ReplyTo,
            "group" => Field::Group,
            "priority" => Field::Priority,
            _ => return None,
        })
    }

    fn of<'e>(&self, envelope: &'e Envelope) -> Option<&'e str> {
        const LEVELS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        match self {
            Field::Type => envelope.message_type.as_deref(),
            Field::SchemaVersion => envelope.schema_version.as_deref(),
            Field::Source => envelope.source.as_deref(),
            Field::ContentType => envelope.content_type.as_deref(),
            Field::CorrelationId => envelope.correlation_id.as_deref(),
            Field::ReplyTo => envelope.reply_to.as_ref().map(QueueName::as_str),
            Field::Group => envelope.group.as_deref(),
            Field::Priority => Some(LEVELS[usize::from(envelope.priority.level())]),
            Field::Attribute(name) => envelope.attribute(name),
        }
    }
}

impl Test {
    fn holds(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Test::Absent, value) => value.is_none(),
            (_, None) => false,
            (Test::Exists, Some(_)) => true,
            (Test::Is(text), Some(value)) => text == value,
            (Test::StartsWith(text), Some(value)) => value.starts_with(text.as_str()),
            (Test::Between(from, to), Some(value)) => {
                let number: Option<f64> = value.trim().parse().ok();
                number.is_some_and(|number| number.is_finite() && (*from, *to).contains(&number))
            }
        }
    }
}

impl fmt::Display for Subscription {
    /// What it lets through, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.filters.is_empty() {
            return f.write_str("all");
        }
        for (n, filter) in self.filters.iter().enumerate() {
            let between = if n > 0 { " or " } else { "" };
            write!(f, "{between}{filter}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, Condition { field, any_of }) in self.0.iter().enumerate() {
            let between = if n > 0 { " and " } else { "" };
            write!(f, "{between}{field} ")?;
            for (n, test) in any_of.iter().enumerate() {
                let between = if n > 0 { " | " } else { "" };
                write!(f, "{between}{test}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Field::Type => "type",
            Field::SchemaVersion => "schema_version",
            Field::Source => "source",
            Field::ContentType => "content_type",
            Field::CorrelationId => "correlation_id",
            Field::ReplyTo => "reply_to",
            Field::Group => "group",
            Field::Priority => "priority",
            Field::Attribute(name) => return write!(f, "attributes.{name}"),
        })
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Is(text) => write!(f, "= {text:?}"),
            Test::StartsWith(text) => write!(f, "= {text:?}…"),
            Test::Exists => f.write_str("exists"),
            Test::Absent => f.write_str("does not exist"),
            Test::Between(from, to) => {
                let mut parts = Vec::new();
                match from {
                    Bound::Included(from) => parts.push(format!(">= {from}")),
                    Bound::Excluded(from) => parts.push(format!("> {from}")),
                    Bound::Unbounded => {}
                }
                match to {
                    Bound::Included(to) => parts.push(format!("<= {to}")),
                    Bound::Excluded(to) => parts.push(format!("< {to}")),
                    Bound::Unbounded => {}
                }
                f.write_str(&parts.join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests;
