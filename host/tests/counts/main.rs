//! How many instructions the paths take that every message goes: a guard against work that creeps in.
//!
//! Times are noise on a busy machine, instructions are not. So each path runs a number of rounds and twice
//! that number under callgrind, each in a process of its own, and the difference is divided by the rounds:
//! whatever is done once, from linking to the first page of a file, is in neither figure. What is found is
//! held against `figures.txt`; a figure that is off by more than 5 %, in either direction, fails.
//!
//! `UPDATE_COUNTS=1 cargo test --locked -p gristmill --test counts` writes the file. Do it with a change
//! that is meant, and say in its message what the instructions are spent on.
//!
//! What is counted is the debug profile, in which a test run is built anyway: a release build for this alone
//! would cost a CI more than the rest of its tests. There the libraries, redb and wasmtime among them, are
//! optimised as in a release; the store and the core are at level 1, and the host's own code, with what it
//! instantiates of axum and hyper, not at all. So a figure says nothing about what a message costs (see
//! `docs/performance.md` for that), but it moves when a path does more than before. System calls count as
//! none, and a change of them is not seen here.
//!
//! Without valgrind this is left out, with a line that says so; with `CI=1` or `GRISTMILL_CLIENTS=required`
//! that is a failure.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops at what it does not expect"
)]

mod figures;
mod guest;
mod http;
mod store;

use figures::Threads::{All, Own};
use figures::counted;

#[test]
fn a_message_through_the_store() {
    counted("store", All, 20, store::live);
}

#[test]
fn a_send_over_http() {
    counted("http", Own, 60, http::send);
}

#[test]
fn a_delivery_to_a_fresh_instance() {
    counted("fresh", Own, 100, |deliveries| {
        guest::deliver(deliveries, 1)
    });
}

#[test]
fn a_delivery_to_a_reused_instance() {
    counted("reused", Own, 200, |deliveries| {
        guest::deliver(deliveries, 1000)
    });
}
