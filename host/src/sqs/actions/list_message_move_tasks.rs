//! Tells of the last moves of messages out of a queue.

use serde_json::Value;

use super::member;
use super::start_message_move_task::queue;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let source = queue(ask, "SourceArn", ask.params.need("SourceArn")?)?;
    let most = match ask.params.integer("MaxResults")? {
        None => 1,
        Some(most @ 1..=10) => usize::try_from(most).unwrap_or(1),
        Some(most) => {
            let reason = "It must be between 1 and 10.";
            return Err(SqsError::value(&most.to_string(), "MaxResults", reason));
        }
    };
    let tasks = ask.sqs.tasks.of(ask, &source).await?;
    let shown: Vec<Value> = tasks.iter().take(most).map(|task| task.show(ask)).collect();
    Ok(member("Results", shown))
}
