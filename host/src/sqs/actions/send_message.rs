//! Sends a message.

use gristmill_store::Outgoing;

use crate::sqs::Ask;
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::message::Target;
use crate::sqs::settings;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, known) = ask.queue()?;
    let target = Target {
        queue: &name,
        known: &known,
        limits: ask.sqs.config.limits,
        trace: ask.trace.as_deref(),
    };
    let mut composed = target.compose(&ask.params)?;
    let message = std::mem::take(&mut composed.message);
    let outgoing = Outgoing {
        queue: name.clone(),
        message,
    };
    let sent = ask.sqs.queues.send_all(vec![outgoing]).await?;
    let unknown = || {
        SqsError::new(
            Kind::ServiceUnavailable,
            "It is not known whether the message was accepted.",
        )
    };
    let sent = sent.first().ok_or_else(unknown)?;
    Ok(composed.answer(sent.accepted.id, settings::is_fifo(&name)))
}
