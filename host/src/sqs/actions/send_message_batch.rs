//! Sends messages. Those that are refused do not keep the others from being sent, which are durable together.

use gristmill_store::Outgoing;

use super::batch::{self, Outcome};
use crate::sqs::Ask;
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::message::{Composed, Target};
use crate::sqs::settings::{self, MAX_MESSAGE};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, known) = ask.queue()?;
    let entries = batch::entries(ask, "SendMessage")?;
    let fifo = settings::is_fifo(&name);
    let target = Target {
        queue: &name,
        known: &known,
        limits: ask.sqs.config.limits,
        trace: ask.trace.as_deref(),
    };
    let mut outcome = Outcome::default();
    let mut composed = Vec::with_capacity(entries.len());
    let mut size = 0;
    for (id, entry) in entries {
        if fifo && !entry.has("MessageGroupId") {
            // The order of the others would not be what was meant.
            return Err(SqsError::parameter(
                "The request must contain the parameter MessageGroupId.",
            ));
        }
        match target.compose(&entry) {
            Ok(one) => {
                size += one.size;
                composed.push((id, one));
            }
            Err(error) => outcome.note(id, Err(of_entry(error))),
        }
    }
    if size > MAX_MESSAGE {
        let message = format!(
            "Batch requests cannot be longer than {MAX_MESSAGE} bytes. You have sent {size} bytes."
        );
        return Err(SqsError::new(Kind::BatchRequestTooLong, message));
    }
    if composed.is_empty() {
        return outcome.answer();
    }
    let batch = composed
        .iter_mut()
        .map(|(_, one): &mut (_, Composed)| Outgoing {
            queue: name.clone(),
            message: std::mem::take(&mut one.message),
        });
    let sent = ask.sqs.queues.send_all(batch.collect()).await?;
    for ((id, one), sent) in composed.into_iter().zip(sent) {
        outcome.note(id, Ok(one.answer(sent.accepted.id, fifo)));
    }
    outcome.answer()
}

/// The older words of one error, which AWS keeps for entries.
fn of_entry(mut error: SqsError) -> SqsError {
    error.message = error.message.replace(
        "One or more parameters are invalid.",
        "One or more parameters cannot be validated.",
    );
    error
}
