//! Changes until when messages are held, each by itself.

use super::batch::{self, Outcome};
use super::change_message_visibility::order;
use crate::sqs::Ask;
use crate::sqs::error::Answer;
use crate::sqs::handle;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let entries = batch::entries(ask, "ChangeMessageVisibility")?;
    let orders = entries.iter().map(|(_, entry)| order(ask, &name, entry));
    let done = handle::settle(ask, &name, orders.collect()).await?;
    let mut outcome = Outcome::default();
    for ((id, _), done) in entries.into_iter().zip(done) {
        outcome.note(id, done);
    }
    outcome.answer()
}
