//! Leases messages, and waits for them if there are none.

use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::Message;
use gristmill_store::{GroupOrder, Receive, ReceiveError, Received};
use serde_json::Value;

use super::{member, nothing};
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::message::{Wanted, show};
use crate::sqs::{Ask, handle, settings, text};

const SYSTEM: [&str; 10] = [
    "All",
    "SenderId",
    "SentTimestamp",
    "ApproximateReceiveCount",
    "ApproximateFirstReceiveTimestamp",
    "SequenceNumber",
    "MessageDeduplicationId",
    "MessageGroupId",
    "AWSTraceHeader",
    "DeadLetterQueueSourceArn",
];

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, known) = ask.queue()?;
    let params = &ask.params;
    let max = match params.integer("MaxNumberOfMessages")?.unwrap_or(1) {
        max @ 1..=10 => u32::try_from(max).unwrap_or(1),
        other => {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(SqsError::value(
                &other.to_string(),
                "MaxNumberOfMessages",
                reason,
            ));
        }
    };
    let wait = match params.integer("WaitTimeSeconds")? {
        Some(wait @ 0..=20) => wait.unsigned_abs(),
        Some(other) => {
            let reason = "Must be >= 0 and <= 20, if provided.";
            return Err(SqsError::value(
                &other.to_string(),
                "WaitTimeSeconds",
                reason,
            ));
        }
        None => settings::given(&known, "ReceiveMessageWaitTimeSeconds", "0")
            .parse()
            .unwrap_or(0),
    };
    let visibility = match params.integer("VisibilityTimeout")? {
        None => None,
        given => Some(check_visibility(given)?),
    };
    if let Some(attempt) = params.text("ReceiveRequestAttemptId")? {
        text::check_token(attempt, "ReceiveRequestAttemptId")?;
    }
    let mut system = params.list("AttributeNames")?;
    system.extend(params.list("MessageSystemAttributeNames")?);
    if let Some(unknown) = system.iter().find(|one| !SYSTEM.contains(one)) {
        return Err(SqsError::unknown_attribute(unknown));
    }
    let wanted = Wanted {
        system,
        attributes: params.list("MessageAttributeNames")?,
    };
    let order = if settings::is_fifo(&name) {
        GroupOrder::Batch
    } else {
        GroupOrder::One
    };
    let receive = Receive {
        queue: name,
        max,
        wait: Duration::from_secs(wait),
        visibility,
        order,
    };
    let received = ask.sqs.queues.receive(receive).await?;
    let mut messages = Vec::with_capacity(received.len());
    for one in &received {
        if let Some(shown) = show_one(ask, one, &wanted).await {
            messages.push(shown);
        }
    }
    if messages.is_empty() {
        return Ok(nothing());
    }
    Ok(member("Messages", messages))
}

/// Checks a visibility timeout, which has to be there.
///
/// # Errors
/// When it is not, or is out of range.
pub fn check_visibility(given: Option<i64>) -> Result<Duration, SqsError> {
    match given {
        Some(seconds @ 0..=43_200) => Ok(Duration::from_secs(seconds.unsigned_abs())),
        Some(other) => {
            let reason =
                "VisibilityTimeout must be an integer between 0 and 43200, both inclusive.";
            Err(SqsError::value(
                &other.to_string(),
                "VisibilityTimeout",
                reason,
            ))
        }
        None => Err(SqsError::missing("VisibilityTimeout")),
    }
}

/// A message whose body cannot be read is not given to anybody: it is received again when its lease ends.
async fn show_one(ask: &Ask<'_>, received: &Received, wanted: &Wanted<'_>) -> Option<Value> {
    let body = body(ask, &received.message).await?;
    let handle = handle::issue(ask, received);
    Some(show(received, &body, handle, wanted, &ask.place))
}

async fn body(ask: &Ask<'_>, message: &Message) -> Option<Bytes> {
    let Some(blob) = message.blob else {
        return Some(message.body.clone());
    };
    let queues = ask.sqs.queues.clone();
    let read = move || queues.open_large(blob).and_then(|body| body.whole());
    let read = tokio::task::spawn_blocking(read).await;
    match read {
        Ok(Ok(body)) => Some(body),
        Ok(Err(error)) => {
            tracing::error!(message = %message.id, queue = %message.queue, "a large body cannot be read: {error}");
            None
        }
        Err(_) => None,
    }
}

impl From<ReceiveError> for SqsError {
    fn from(error: ReceiveError) -> Self {
        let kind = match error {
            ReceiveError::UnknownQueue(_) => return SqsError::no_queue(),
            ReceiveError::NotPull(_) => Kind::UnsupportedOperation,
            ReceiveError::TooManyWaiting => Kind::OverLimit,
            ReceiveError::Busy { .. } | ReceiveError::Closed => Kind::ServiceUnavailable,
        };
        SqsError::new(kind, error.to_string())
    }
}
