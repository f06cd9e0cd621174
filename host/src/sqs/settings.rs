//! Attributes of a queue: which there are, what they may be, and what they mean to a queue of Gristmill.
//!
//! What the host acts on stands in the definition of the queue, whoever changes it; the rest is kept as it
//! was given and given back.

use std::collections::BTreeMap;
use std::time::Duration;

use gristmill_queue::{QueueName, QueuePolicy};
use serde_json::{Map, Value, json};

use super::address::Place;
use super::error::{Kind, SqsError};
use super::redrive_policy::RedrivePolicy;
use crate::config::SqsLimits;
use crate::queues::{Known, Made};

/// Names and values, as they are asked for and answered.
pub type Attributes = BTreeMap<String, String>;

/// The most bytes of a message.
pub const MAX_MESSAGE: u64 = 1_048_576;
/// How often a message may be received where no policy says it: practically for ever.
const UNLIMITED: u32 = 1_000_000;
/// How long messages are kept unless a queue says otherwise, in seconds.
const RETENTION: u64 = 345_600;
const MAX_RETENTION: u64 = 1_209_600;

/// What an attribute may be.
enum Shape {
    Number(u64, u64),
    Flag,
    Word(&'static [&'static str]),
    /// Any text, of JSON if it is said so; none takes the attribute away.
    Text {
        json: bool,
    },
}

const SETTABLE: [(&str, Shape); 14] = [
    ("DelaySeconds", Shape::Number(0, 900)),
    ("MaximumMessageSize", Shape::Number(1024, MAX_MESSAGE)),
    ("MessageRetentionPeriod", Shape::Number(60, MAX_RETENTION)),
    ("ReceiveMessageWaitTimeSeconds", Shape::Number(0, 20)),
    ("VisibilityTimeout", Shape::Number(0, 43_200)),
    ("KmsDataKeyReusePeriodSeconds", Shape::Number(60, 86_400)),
    ("KmsMasterKeyId", Shape::Text { json: false }),
    ("SqsManagedSseEnabled", Shape::Flag),
    ("Policy", Shape::Text { json: true }),
    ("RedrivePolicy", Shape::Text { json: true }),
    ("RedriveAllowPolicy", Shape::Text { json: true }),
    ("ContentBasedDeduplication", Shape::Flag),
    (
        "DeduplicationScope",
        Shape::Word(&["queue", "messageGroup"]),
    ),
    (
        "FifoThroughputLimit",
        Shape::Word(&["perQueue", "perMessageGroupId"]),
    ),
];

/// Attributes that only FIFO queues have.
const OF_FIFO: [&str; 3] = [
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoThroughputLimit",
];

/// Attributes that are counted or known, and not set.
pub const COUNTERS: [&str; 3] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
];
const FIXED: [&str; 4] = [
    "QueueArn",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "FifoQueue",
];

/// Whether a queue of this name is a FIFO queue.
#[must_use]
pub fn is_fifo(name: &QueueName) -> bool {
    name.as_str().ends_with(".fifo")
}

/// Whether there is such an attribute.
#[must_use]
pub fn is_attribute(name: &str) -> bool {
    SETTABLE.iter().any(|(known, _)| *known == name)
        || COUNTERS.contains(&name)
        || FIXED.contains(&name)
}

/// Checks attributes that are to be set, and writes them as they are read back. `FifoQueue` is not among
/// them: that is for the action to deal with.
///
/// # Errors
/// When one is not there, not of such a queue, or cannot have its value.
pub fn check(given: &Attributes, fifo: bool, limits: SqsLimits) -> Result<Attributes, SqsError> {
    let mut checked = Attributes::new();
    for (name, value) in given {
        let Some((_, shape)) = SETTABLE.iter().find(|(known, _)| known == name) else {
            return Err(SqsError::unknown_attribute(name));
        };
        if !fifo && OF_FIFO.contains(&name.as_str()) {
            return Err(SqsError::new(
                Kind::InvalidAttributeName,
                format!("You can specify the {name} only when FifoQueue is set to true."),
            ));
        }
        checked.insert(name.clone(), check_value(name, value, shape, limits)?);
    }
    Ok(checked)
}

fn check_value(
    name: &str,
    value: &str,
    shape: &Shape,
    limits: SqsLimits,
) -> Result<String, SqsError> {
    let refused = || SqsError::attribute_value(name);
    match shape {
        Shape::Number(least, most) => {
            let relaxed = limits == SqsLimits::Relaxed && name == "MessageRetentionPeriod";
            let least = if relaxed { 1 } else { *least };
            let number: u64 = value.trim().parse().map_err(|_| refused())?;
            if number < least || number > *most {
                return Err(refused());
            }
            Ok(number.to_string())
        }
        Shape::Flag => match value.to_ascii_lowercase().as_str() {
            "true" => Ok("true".to_owned()),
            "false" => Ok("false".to_owned()),
            _ => Err(refused()),
        },
        Shape::Word(words) => {
            let known = words.contains(&value);
            known.then(|| value.to_owned()).ok_or_else(refused)
        }
        Shape::Text { json: true } if !value.is_empty() && name != "RedrivePolicy" => {
            let parsed: Result<Map<String, Value>, _> = serde_json::from_str(value);
            parsed.map_err(|_| refused())?;
            Ok(value.to_owned())
        }
        Shape::Text { .. } => Ok(value.to_owned()),
    }
}

/// A queue that is made with these attributes, which were checked.
///
/// # Errors
/// When its redrive policy cannot be.
pub fn make(
    attributes: &Attributes,
    tags: Attributes,
    now_ms: u64,
    find: impl Fn(&QueueName) -> bool,
    name: &QueueName,
) -> Result<Made, SqsError> {
    let definition = json!({
        "visibility_timeout": "30s",
        "delay": "0s",
        "ttl": format!("{RETENTION}s"),
        "on_expiry": "drop",
        "max_message_size": MAX_MESSAGE,
        "max_attempts": UNLIMITED,
    });
    let mut made = Made {
        definition: definition.as_object().cloned().unwrap_or_default(),
        tags,
        created_at_ms: now_ms,
        changed_at_ms: now_ms,
        ..Made::default()
    };
    change(&mut made, attributes, find, name)?;
    Ok(made)
}

/// Changes a queue to these attributes, which were checked. An empty text takes one away.
///
/// # Errors
/// When its redrive policy cannot be.
pub fn change(
    made: &mut Made,
    attributes: &Attributes,
    find: impl Fn(&QueueName) -> bool,
    name: &QueueName,
) -> Result<(), SqsError> {
    let mut define = |key: &str, value: Value| made.definition.insert(key.to_owned(), value);
    for (attribute, value) in attributes {
        let seconds = || Value::from(format!("{value}s"));
        match attribute.as_str() {
            "VisibilityTimeout" => drop(define("visibility_timeout", seconds())),
            "DelaySeconds" => drop(define("delay", seconds())),
            "MessageRetentionPeriod" => drop(define("ttl", seconds())),
            "MaximumMessageSize" => {
                let size: u64 = value.parse().unwrap_or(MAX_MESSAGE);
                define("max_message_size", size.into());
            }
            "RedrivePolicy" if value.is_empty() => {
                define("max_attempts", UNLIMITED.into());
                define("dead_letter", Value::Null);
            }
            "RedrivePolicy" => {
                let policy = RedrivePolicy::read(value, is_fifo(name), &find)?;
                define("max_attempts", policy.max_receives.into());
                define("dead_letter", policy.target.as_str().into());
            }
            _ if value.is_empty() => drop(made.attributes.remove(attribute)),
            _ => drop(made.attributes.insert(attribute.clone(), value.clone())),
        }
    }
    Ok(())
}

/// All attributes of a queue but those that are counted. One of the file is as old as this endpoint.
#[must_use]
pub fn all(name: &QueueName, known: &Known, place: &Place) -> Attributes {
    let mut all = of_policy(&known.policy, place);
    let mut set = |name: &str, value: String| {
        all.entry(name.to_owned()).or_insert(value);
    };
    let (mut created, mut changed) = (place.since_ms / 1000, place.since_ms / 1000);
    let mut kept = &Attributes::new();
    if let Some(made) = &known.made {
        (created, changed) = (made.created_at_ms / 1000, made.changed_at_ms / 1000);
        kept = &made.attributes;
    }
    for (name, value) in kept {
        // At its default, the period is not told.
        if name != "KmsDataKeyReusePeriodSeconds" || value != "300" {
            set(name, value.clone());
        }
    }
    set("QueueArn", place.arn(name));
    set("CreatedTimestamp", created.to_string());
    set("LastModifiedTimestamp", changed.to_string());
    set("ReceiveMessageWaitTimeSeconds", "0".to_owned());
    let managed = !kept.contains_key("KmsMasterKeyId");
    set("SqsManagedSseEnabled", managed.to_string());
    if is_fifo(name) {
        set("FifoQueue", "true".to_owned());
        set("ContentBasedDeduplication", "false".to_owned());
        set("DeduplicationScope", "queue".to_owned());
        set("FifoThroughputLimit", "perQueue".to_owned());
    }
    all
}

/// What the host acts on.
fn of_policy(policy: &QueuePolicy, place: &Place) -> Attributes {
    let seconds = |time: Duration| time.as_secs().to_string();
    let mut all = Attributes::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    set("VisibilityTimeout", seconds(policy.pull.visibility));
    set("DelaySeconds", seconds(policy.delay));
    let retention = policy
        .default_ttl
        .map_or(MAX_RETENTION, |ttl| ttl.as_secs());
    set("MessageRetentionPeriod", retention.to_string());
    set("MaximumMessageSize", largest(policy).to_string());
    if let Some(target) = &policy.dead_letter {
        let policy = RedrivePolicy {
            target: target.clone(),
            max_receives: policy.retry.max_attempts,
        };
        set("RedrivePolicy", policy.show(place));
    }
    all
}

/// The most bytes of a message of a queue.
#[must_use]
pub fn largest(policy: &QueuePolicy) -> u64 {
    policy.max_body.min(MAX_MESSAGE)
}

/// A flag or a word that a queue was given; the default, if none was.
#[must_use]
pub fn given<'k>(known: &'k Known, attribute: &str, default: &'k str) -> &'k str {
    let made = known.made.as_ref();
    let value = made.and_then(|made| made.attributes.get(attribute));
    value.map_or(default, String::as_str)
}
