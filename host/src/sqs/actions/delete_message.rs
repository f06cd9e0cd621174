//! Acknowledges a message.

use gristmill_store::Pulled;

use super::nothing;
use crate::sqs::Ask;
use crate::sqs::error::Answer;
use crate::sqs::handle;

pub async fn run(ask: &Ask<'_>) -> Answer {
    let (name, _) = ask.queue()?;
    let order = handle::read(ask, &name, &ask.params).map(|held| (held, Pulled::Ack));
    let mut done = handle::settle(ask, &name, vec![order]).await?;
    done.pop().unwrap_or_else(|| Ok(nothing()))
}
