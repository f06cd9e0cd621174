//! Gristmill: a durable message queue that runs its consumers itself, as sandboxed WebAssembly.

pub mod api;
pub mod cli;
pub mod config;
pub mod cron;
pub mod dispatch;
pub mod http;
pub mod queues;
pub mod reload;
pub mod runtime;
pub mod server;
