//! Changes attributes of a queue.

use gristmill_queue::QueueName;

use super::{change_made, nothing};
use crate::sqs::Ask;
use crate::sqs::error::{Answer, Kind, SqsError};
use crate::sqs::settings;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let given = ask.params.pairs("Attributes")?;
    let mut given = given.ok_or_else(|| SqsError::missing("Attributes"))?;
    let fifo = settings::is_fifo(&name);
    if let Some(value) = given.remove("FifoQueue")
        && !value.eq_ignore_ascii_case(&fifo.to_string())
    {
        return Err(SqsError::new(
            Kind::InvalidAttributeValue,
            "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.",
        ));
    }
    let attributes = settings::check(&given, fifo, ask.sqs.config.limits)?;
    let find = |target: &QueueName| ask.is_there(target);
    let change = |made: &mut _| settings::change(made, &attributes, find, &name);
    change_made(ask, &name, change).await?;
    Ok(nothing())
}
