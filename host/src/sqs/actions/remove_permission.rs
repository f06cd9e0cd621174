//! Takes a statement out of the policy of a queue.

use serde_json::{Value, json};

use super::add_permission::{read, write};
use super::{change_made, nothing};
use crate::queues::Made;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let label = ask.params.need("Label")?;
    let unknown = || {
        let reason = "can't find label on existing policy.";
        SqsError::value(label, "Label", reason)
    };
    let change = |made: &mut Made| {
        let mut policy = read(made).ok_or_else(unknown)?;
        let statements = policy.get_mut("Statement").and_then(Value::as_array_mut);
        let statements = statements.ok_or_else(unknown)?;
        let count = statements.len();
        statements.retain(|one| one.get("Sid") != Some(&json!(label)));
        if statements.len() == count {
            return Err(unknown());
        }
        write(made, policy);
        Ok(())
    };
    change_made(ask, &name, change).await?;
    Ok(nothing())
}
