//! Undoing part of what a delivery has sent and stored.
//!
//! ```
//! use gristmill_sdk::prelude::*;
//! use gristmill_sdk::transaction;
//!
//! #[handler]
//! fn handle(message: Message) -> Result<(), Failure> {
//!     let before = transaction::mark();
//!     send("offers", "three for two")?;
//!     if message.attribute("no-offers").is_some() {
//!         transaction::rollback(before);
//!     }
//!     Ok(())
//! }
//! # fn main() {
//! # let mut delivery = gristmill_sdk::testing::Delivery::new();
//! # let message = Message::with_text("").with_attribute("no-offers", "1");
//! # delivery.run(handle, message).unwrap();
//! # assert!(delivery.sent().is_empty());
//! # }
//! ```

use crate::host;

/// A point within the current delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub(crate) u32);

/// Marks the present point.
#[must_use]
pub fn mark() -> Mark {
    Mark(host::mark())
}

/// Forgets all that was sent and stored since the mark, and all later marks. The mark itself stays
/// good.
///
/// # Panics
/// Traps when the mark was forgotten by a rollback to an earlier one, or belongs to another
/// delivery.
pub fn rollback(to: Mark) {
    host::rollback_to(to.0);
}
