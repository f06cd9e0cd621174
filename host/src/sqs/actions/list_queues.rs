//! Lists queues, those of the file among them.

use super::page;
use crate::sqs::error::Answer;
use crate::sqs::{Ask, access};

pub fn run(ask: &Ask<'_>) -> Answer {
    let prefix = ask.params.text("QueueNamePrefix")?.unwrap_or_default();
    let mut names = ask.sqs.queues.names(None);
    names.retain(|name| name.as_str().starts_with(prefix) && access::may_see(ask, name));
    page::of(ask, "QueueUrls", &names)
}
