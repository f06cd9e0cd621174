//! Gristmill: a durable message queue that runs its consumers itself, as sandboxed WebAssembly.

pub mod api;
pub mod auth;
pub mod cli;
pub mod config;
pub mod confine;
pub mod cron;
pub mod dev;
pub mod dispatch;
mod drift;
pub mod http;
pub mod net;
mod parent;
pub mod queues;
pub mod reload;
pub mod runtime;
pub mod server;
pub mod sqs;
pub mod supervise;

/// The allocator of everything that links the host: messages are made on one thread and freed on
/// another, which makes the system's allocator wait for its own locks.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
