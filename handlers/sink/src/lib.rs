//! The smallest handler: it acknowledges whatever comes.

use gristmill_sdk::prelude::*;

#[handler]
fn handle(_: Message) {}
