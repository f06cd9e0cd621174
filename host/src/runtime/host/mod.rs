//! What guests may call: one file for each interface that the host implements itself.
//!
//! Each is a thin translation onto the core's `Transaction` and the delivery's clock. The decision
//! whether a handler may import an interface at all is made when it is loaded (see `linker.rs`).

mod body;
mod delivery;
mod logging;
mod producer;
mod secrets;
mod state;
mod transaction;

use super::bindings::queue::gristmill::queue::types;
use super::instance::Sandbox;

impl types::Host for Sandbox {}
