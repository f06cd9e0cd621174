//! Lists the queues whose redrive policy names this one.

use serde_json::Value;

use super::page;
use crate::sqs::Ask;
use crate::sqs::error::Answer;

pub fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let names = ask.sqs.queues.dying_into(&name);
    let mut answer = page::of(ask, "queueUrls", &names)?;
    // The one list that is there though it is empty.
    answer
        .entry("queueUrls")
        .or_insert_with(|| Value::Array(Vec::new()));
    Ok(answer)
}
