//! Takes tags off a queue; one that is not there is no matter.

use super::tag_queue::check_key;
use super::{change_made, nothing};
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    if !ask.params.has("TagKeys") {
        return Err(SqsError::missing("TagKeys"));
    }
    let keys = ask.params.list("TagKeys")?;
    if keys.is_empty() {
        check_key("")?;
    }
    for key in &keys {
        check_key(key)?;
    }
    let change = |made: &mut crate::queues::Made| {
        made.tags.retain(|key, _| !keys.contains(&key.as_str()));
        Ok(())
    };
    change_made(ask, &name, change).await?;
    Ok(nothing())
}
