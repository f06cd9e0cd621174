//! Changes until when a message is held; no time at all gives it back.

use std::time::Duration;

use gristmill_queue::QueueName;
use gristmill_store::Pulled;

use super::nothing;
use super::receive_message::check_visibility;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};
use crate::sqs::handle::{self, Held};
use crate::sqs::params::Params;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let order = order(ask, &name, &ask.params);
    let mut done = handle::settle(ask, &name, vec![order]).await?;
    done.pop().unwrap_or_else(|| Ok(nothing()))
}

/// What a request, or an entry of a batch, asks for.
///
/// # Errors
/// When the handle is none, or the time is out of range.
pub fn order(ask: &Ask<'_>, queue: &QueueName, given: &Params) -> Result<(Held, Pulled), SqsError> {
    let visibility = check_visibility(given.integer("VisibilityTimeout")?)?;
    let held = handle::read(ask, queue, given)?;
    let pulled = if visibility.is_zero() {
        Pulled::Retry {
            delay: Some(Duration::ZERO),
            error: "its consumer gave it back".to_owned(),
        }
    } else {
        Pulled::Extend { visibility }
    };
    Ok((held, pulled))
}
