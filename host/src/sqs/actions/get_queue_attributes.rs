//! Tells attributes of a queue, and how many messages it has.

use gristmill_queue::QueueName;
use serde_json::Value;

use super::{member, nothing};
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};
use crate::sqs::settings::{self, Attributes, COUNTERS};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, known) = ask.queue()?;
    let wanted = ask.params.list("AttributeNames")?;
    let unknown = wanted
        .iter()
        .find(|name| **name != "All" && !settings::is_attribute(name));
    if let Some(unknown) = unknown {
        return Err(SqsError::unknown_attribute(unknown));
    }
    let all = wanted.contains(&"All");
    let mut attributes = settings::all(&name, &known, &ask.place);
    if all || wanted.iter().any(|wanted| COUNTERS.contains(wanted)) {
        count(ask, &name, &mut attributes).await?;
    }
    attributes.retain(|name, _| all || wanted.contains(&name.as_str()));
    if attributes.is_empty() {
        return Ok(nothing());
    }
    let pairs = attributes
        .into_iter()
        .map(|(name, value)| (name, Value::from(value)));
    Ok(member("Attributes", Value::Object(pairs.collect())))
}

async fn count(
    ask: &Ask<'_>,
    name: &QueueName,
    attributes: &mut Attributes,
) -> Result<(), SqsError> {
    let view = ask.sqs.queues.view(name).await?;
    let depths = view.ok_or_else(SqsError::no_queue)?.depths;
    let [visible, in_flight, delayed] = COUNTERS;
    for (counter, count) in [
        (visible, depths.ready),
        (in_flight, depths.in_flight),
        (delayed, depths.scheduled),
    ] {
        attributes.insert(counter.to_owned(), count.to_string());
    }
    Ok(())
}
