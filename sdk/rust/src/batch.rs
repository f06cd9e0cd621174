//! Taking several messages in one call.
//!
//! A queue with `batch_size` gives its handler up to so many messages at once. The call is one
//! transaction: what it sent and stored becomes visible with the acknowledgement of all messages
//! that are `Ok`, or not at all if none is. After a panic the messages come one by one.
//!
//! Most handlers need not know: `#[handler(batch)]` calls the same function for each message of a
//! batch, undoes what a message did that fails, and saves the cost of a call and a commit for each.
//! A handler that gains from seeing all messages takes them whole:
//!
//! ```
//! use gristmill_sdk::prelude::*;
//!
//! #[batch_handler]
//! fn handle(messages: Vec<Message>) -> Vec<Result<(), Failure>> {
//!     let mut sum = 0;
//!     let verdicts = messages
//!         .iter()
//!         .map(|message| {
//!             let amount: i64 = message.json()?;
//!             sum += amount;
//!             Ok(())
//!         })
//!         .collect();
//!     if let Err(error) = state::add("sum", sum) {
//!         let failure = Failure::from(error);
//!         return messages.iter().map(|_| Err(failure.clone())).collect();
//!     }
//!     verdicts
//! }
//! # fn main() {
//! # let mut delivery = gristmill_sdk::testing::Delivery::new();
//! # let messages = [json!(1), json!("x"), json!(2)].map(|body| Message::with_json(&body));
//! # let verdicts = delivery.run_batch(handle, messages);
//! # assert!(verdicts[0].is_ok() && verdicts[1].is_err() && verdicts[2].is_ok());
//! # assert_eq!(delivery.counter("sum"), 3);
//! # }
//! ```
//!
//! Exactly one result for each message, in their order: any other number is a trap. What is sent
//! from a batch of several messages has no causation id and no trace context, since none of them
//! caused it alone; a reply has those of the message that it answers.

use crate::{Failure, Message, Verdict, host};

/// Calls a handler of single messages with each of them, and undoes what it sent and stored for
/// those that fail. What `#[handler(batch)]` does.
pub fn each<V: Verdict>(
    handler: impl Fn(Message) -> V,
    messages: Vec<Message>,
) -> Vec<Result<(), Failure>> {
    let one = |message| {
        let before = host::mark();
        let result = handler(message).into_result();
        if result.is_err() {
            host::rollback_to(before);
        }
        result
    };
    messages.into_iter().map(one).collect()
}
