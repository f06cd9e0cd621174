//! Deletes a queue with all that is in it.

use super::nothing;
use crate::sqs::Ask;
use crate::sqs::error::Answer;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    ask.sqs.queues.delete_made(&name).await?;
    ask.sqs.recent.delete(&name, ask.sqs.queues.now());
    Ok(nothing())
}
