//! Removes all messages of a queue: those that wait, those that are held, and what was sent lately is
//! forgotten.

use super::nothing;
use crate::config::SqsLimits;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, Kind, SqsError};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let strict = ask.sqs.config.limits == SqsLimits::Strict;
    if strict && ask.sqs.recent.purge(&name, ask.sqs.queues.now()) {
        let message =
            format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
        return Err(SqsError::new(Kind::PurgeQueueInProgress, message));
    }
    ask.sqs.queues.empty(name).await?;
    Ok(nothing())
}
