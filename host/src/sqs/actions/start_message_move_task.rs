//! Begins to move messages out of a queue that takes what dies in others.

use std::time::Duration;

use gristmill_queue::QueueName;
use gristmill_store::{Destination, RedriveOrder, Redriven};

use super::member;
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::move_task::{Status, Task};
use crate::sqs::{Ask, address};

/// How many messages per second are moved, unless the request says less.
const RATE: u32 = 10_000;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let source = queue(ask, "SourceArn", ask.params.need("SourceArn")?)?;
    let destination = match ask.params.text("DestinationArn")? {
        None | Some("") => None,
        Some(arn) => Some(queue(ask, "DestinationArn", arn)?),
    };
    let rate = match ask.params.integer("MaxNumberOfMessagesPerSecond")? {
        None => None,
        Some(rate @ 1..=500) => u32::try_from(rate).ok(),
        Some(rate) => {
            let reason = "It must be between 1 and 500.";
            return Err(SqsError::value(
                &rate.to_string(),
                "MaxNumberOfMessagesPerSecond",
                reason,
            ));
        }
    };
    if ask.sqs.queues.dying_into(&source).is_empty() {
        return Err(SqsError::parameter(
            "Source queue must be configured as a Dead Letter Queue.",
        ));
    }
    if destination.as_ref() == Some(&source) {
        return Err(SqsError::parameter(
            "Source queue arn and destination queue arn cannot be the same.",
        ));
    }
    let tasks = ask.sqs.tasks.of(ask, &source).await?;
    if tasks.iter().any(|task| task.status == Status::Running) {
        return Err(SqsError::parameter(
            "There is already a task running. Only one active task is allowed for a source queue arn at a given time.",
        ));
    }
    let view = ask.sqs.queues.view(&source).await?;
    let to_move = view.map_or(0, |view| view.depths.ready + view.depths.scheduled);
    let order = RedriveOrder {
        to: destination
            .clone()
            .map_or(Destination::Source, Destination::Onward),
        rate: Some((rate.unwrap_or(RATE), Duration::from_secs(1))),
        ..RedriveOrder::default()
    };
    let started_at = ask.sqs.queues.now();
    let redriven = ask.sqs.queues.redrive(source.clone(), order).await?;
    let (number, moved, status) = match redriven {
        Redriven::UnderWay(number) => (number, 0, Status::Running),
        // Redrives have small numbers, so this is none of theirs.
        Redriven::Done(moved) => (started_at.unix_ms() << 16, moved, Status::Completed),
    };
    let task = Task {
        number,
        source,
        destination,
        rate,
        started_at,
        to_move,
        moved,
        status,
    };
    let handle = task.handle(ask);
    ask.sqs.tasks.add(task);
    Ok(member("TaskHandle", handle))
}

/// The queue that an ARN names.
///
/// # Errors
/// When it is not there.
pub fn queue(ask: &Ask<'_>, parameter: &str, arn: &str) -> Result<QueueName, SqsError> {
    let name = address::of_arn(arn).filter(|name| ask.is_there(name));
    name.ok_or_else(|| {
        let message =
            format!("The resource that you specified for the {parameter} parameter doesn't exist.");
        SqsError::new(Kind::ResourceNotFound, message)
    })
}
