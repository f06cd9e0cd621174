//! Write Gristmill handlers in Rust.
//!
//! A handler is one function. The attribute [`macro@handler`] turns it into a WebAssembly component
//! that Gristmill calls once for every message of a queue:
//!
//! ```
//! use gristmill_sdk::prelude::*;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     id: String,
//!     cents: i64,
//! }
//!
//! #[handler]
//! fn handle(message: Message) -> Result<(), Failure> {
//!     let order: Order = message.json()?;
//!     if order.cents < 0 {
//!         return Err(Failure::reject("an order cannot cost less than nothing"));
//!     }
//!     state::add("cents", order.cents)?;
//!     send("invoices", json!({ "order": order.id, "cents": order.cents }))?;
//!     Ok(())
//! }
//! # fn main() {
//! # let mut delivery = gristmill_sdk::testing::Delivery::new();
//! # let order = json!({ "id": "a1", "cents": 250 });
//! # assert_eq!(delivery.run(handle, Message::with_json(&order)), Ok(()));
//! # assert_eq!(delivery.counter("cents"), 250);
//! # }
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2`, as a crate of type `cdylib`.
//!
//! **One transaction per delivery.** What a handler sends and stores becomes visible together with
//! the acknowledgement of its message, once, or not at all. `Ok` acknowledges; [`Failure`] says what
//! happens otherwise; a panic, an exit or an overrun of a limit is a retry.
//!
//! **Ordinary Rust works.** `println!`, `std::env::var`, `SystemTime::now` and crates that need no
//! threads, files or sockets do what they always do. Outgoing HTTP is the host's to grant.
//!
//! **Tests need no host.** In a native build the same calls go to a fake delivery on the same
//! thread; see [`testing`]. A component imports only what its handler really uses, which is what
//! its grants are checked against.

#[cfg(target_family = "wasm")]
extern crate self as gristmill_sdk;

pub mod batch;
pub mod delivery;
pub mod secrets;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod transaction;

mod body;
mod failure;
mod host;
mod message;
mod outgoing;

pub use body::BodyReader;
pub use failure::{Failure, OrReject, Verdict};
pub use gristmill_sdk_macros::{batch_handler, handler};
#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub use host::component;
pub use message::{Message, MessageId, TraceContext};
pub use outgoing::{Outgoing, SendError, send, send_json};
pub use serde_json::{Value, json};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What nearly every handler needs.
pub mod prelude {
    pub use crate::{
        Failure, Message, OrReject, Outgoing, batch_handler, handler, json, send, send_json, state,
    };
}
