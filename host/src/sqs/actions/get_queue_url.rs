//! Tells the URL of a queue by its name. Whose it is makes no difference: there is one account.

use gristmill_queue::QueueName;

use super::member;
use crate::sqs::Ask;
use crate::sqs::error::{Answer, SqsError};

pub fn run(ask: &Ask<'_>) -> Answer {
    let text = ask.params.need("QueueName")?;
    let name = QueueName::new(text).map_err(|_| SqsError::no_queue())?;
    ask.known(&name)?;
    Ok(member("QueueUrl", ask.place.url(&name)))
}
