//! Acknowledges messages, each by itself.

use gristmill_store::Pulled;

use super::batch::{self, Outcome};
use crate::sqs::Ask;
use crate::sqs::error::Answer;
use crate::sqs::handle;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let entries = batch::entries(ask, "DeleteMessage")?;
    let order = |entry| handle::read(ask, &name, entry).map(|held| (held, Pulled::Ack));
    let orders = entries.iter().map(|(_, entry)| order(entry)).collect();
    let done = handle::settle(ask, &name, orders).await?;
    let mut outcome = Outcome::default();
    for ((id, _), done) in entries.into_iter().zip(done) {
        outcome.note(id, done);
    }
    outcome.answer()
}
