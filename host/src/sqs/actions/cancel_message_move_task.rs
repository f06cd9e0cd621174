//! Ends a move of messages where it is.

use gristmill_store::AdminError;

use super::member;
use super::start_message_move_task::queue;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::move_task::{Status, read_handle};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (number, source) = read_handle(ask.params.need("TaskHandle")?)?;
    let source = queue(ask, "SourceArn", &source)?;
    let unknown = || SqsError::new(Kind::ResourceNotFound, "Task does not exist.");
    let tasks = ask.sqs.tasks.of(ask, &source).await?;
    let task = tasks.iter().find(|task| Some(task.number) == number);
    let task = task.ok_or_else(unknown)?;
    if task.status != Status::Running {
        return Err(SqsError::parameter(
            "Only active tasks can be cancelled: this one has ended.",
        ));
    }
    let moved = match ask.sqs.queues.cancel_redrive(task.number).await {
        Ok(moved) => moved,
        Err(AdminError::UnknownRedrive(_)) => return Err(unknown()),
        Err(error) => return Err(error.into()),
    };
    ask.sqs.tasks.cancel(task.number, moved);
    Ok(member("ApproximateNumberOfMessagesMoved", moved))
}
