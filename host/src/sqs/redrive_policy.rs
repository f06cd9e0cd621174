//! Where the messages of a queue go that were received too often, as it is asked for and answered.

use gristmill_queue::QueueName;
use serde_json::{Map, Value};

use super::address::{Place, of_arn};
use super::error::{Kind, SqsError};

/// How often a message may be received at the most before it goes.
const MOST: u64 = 1000;

/// Where messages go, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The queue that takes them.
    pub target: QueueName,
    /// After how many receives.
    pub max_receives: u32,
}

impl RedrivePolicy {
    /// Reads a policy; `find` says whether there is a queue.
    ///
    /// # Errors
    /// When it is malformed, or its target is not there or of another type.
    pub fn read(
        text: &str,
        fifo: bool,
        find: impl Fn(&QueueName) -> bool,
    ) -> Result<Self, SqsError> {
        let refused = |reason: &str| SqsError::value(text, "RedrivePolicy", reason);
        let parsed: Result<Map<String, Value>, _> = serde_json::from_str(text);
        let policy = parsed.map_err(|_| refused("Redrive policy is not a valid JSON map."))?;
        let member = |name: &str| {
            let found = policy.get(name).filter(|value| !value.is_null());
            let missing = format!("Redrive policy does not contain mandatory attribute: {name}.");
            found.ok_or_else(|| refused(&missing))
        };
        let target = member("deadLetterTargetArn")?;
        let count = member("maxReceiveCount")?;
        let arn = target.as_str().unwrap_or_default();
        let target =
            of_arn(arn).ok_or_else(|| refused("Invalid value for deadLetterTargetArn."))?;
        let number = match count {
            Value::String(text) => text.trim().parse().ok(),
            other => other.as_u64(),
        };
        let in_range = number.filter(|number| (1..=MOST).contains(number));
        let max_receives = in_range
            .and_then(|number| u32::try_from(number).ok())
            .ok_or_else(|| {
                refused(&format!(
                    "Invalid value for maxReceiveCount: {count}, valid values are from 1 to {MOST} both inclusive."
                ))
            })?;
        if !find(&target) {
            let message = format!("Could not find DLQ for {arn}");
            return Err(SqsError::new(Kind::QueueDoesNotExist, message));
        }
        if fifo != target.as_str().ends_with(".fifo") {
            let message = if fifo {
                "Fifo queues cannot use non fifo dead letter queues"
            } else {
                "Standard queues cannot use fifo dead letter queues"
            };
            return Err(SqsError::new(Kind::InvalidParameterCombination, message));
        }
        Ok(RedrivePolicy {
            target,
            max_receives,
        })
    }

    /// The policy as it is answered.
    #[must_use]
    pub fn show(&self, place: &Place) -> String {
        let arn = place.arn(&self.target);
        format!(
            r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":{}}}"#,
            self.max_receives
        )
    }
}
