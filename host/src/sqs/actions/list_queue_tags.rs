//! Tells the tags of a queue.

use serde_json::Value;

use super::{member, nothing};
use crate::sqs::Ask;
use crate::sqs::error::Answer;

pub fn run(ask: &Ask<'_>) -> Answer {
    let (_, known) = ask.queue()?;
    let Some(made) = known.made.filter(|made| !made.tags.is_empty()) else {
        return Ok(nothing());
    };
    let tags = made.tags.iter();
    let tags = tags.map(|(key, value)| (key.clone(), Value::from(value.as_str())));
    Ok(member("Tags", Value::Object(tags.collect())))
}
