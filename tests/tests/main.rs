//! Gristmill from end to end, through the real binary: what a user does and sees.
//!
//! Each test has a folder and a host of its own, and waits for what it wants to see, never for time
//! to pass. Whatever can be tested lower down is tested there.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod bad_modules;
mod batches;
mod blackbox;
mod canary;
mod churn;
mod compile;
mod confine;
mod conformance;
mod cron;
mod dependencies;
mod dev;
mod disk;
mod envelope;
mod fixture;
mod flow;
mod forms;
mod inspect;
mod javascript;
mod javascript_batches;
mod kill;
mod languages;
mod large;
mod misbehave;
mod native;
mod network;
mod new;
mod orders;
mod pull;
mod readme;
mod redrive;
mod refusals;
mod reload;
mod requests;
mod schemathesis;
mod semantics;
mod shutdown;
mod sqs;
mod store;
mod storm;
mod supervise;
mod tidy;
mod topics;
mod traps;
mod wasm;
