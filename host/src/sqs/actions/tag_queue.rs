//! Notes tags on a queue.

use super::{change_made, nothing};
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};
use crate::sqs::settings::Attributes;

/// The most tags of a queue.
const MOST: usize = 50;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let tags = ask.params.pairs("Tags")?.filter(|tags| !tags.is_empty());
    let tags = tags.ok_or_else(|| SqsError::missing("Tags"))?;
    check(&tags)?;
    let change = |made: &mut crate::queues::Made| {
        made.tags.extend(tags);
        check_count(made.tags.len())
    };
    change_made(ask, &name, change).await?;
    Ok(nothing())
}

/// Checks the tags of a request.
///
/// # Errors
/// When one is too long, or there are too many.
pub fn check(tags: &Attributes) -> Result<(), SqsError> {
    for (key, value) in tags {
        check_key(key)?;
        if value.chars().count() > 256 {
            return Err(SqsError::parameter(
                "Tag values must be between 0 and 256 characters in length.",
            ));
        }
    }
    check_count(tags.len())
}

/// Checks the key of a tag.
///
/// # Errors
/// When it is empty or too long.
pub fn check_key(key: &str) -> Result<(), SqsError> {
    if (1..=128).contains(&key.chars().count()) {
        return Ok(());
    }
    Err(SqsError::parameter(
        "Tag keys must be between 1 and 128 characters in length.",
    ))
}

fn check_count(count: usize) -> Result<(), SqsError> {
    if count <= MOST {
        return Ok(());
    }
    Err(SqsError::parameter(format!(
        "Too many tags added for queue: it has at most {MOST}."
    )))
}
