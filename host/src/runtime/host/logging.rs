//! `wasi:logging/logging`: the guest's log joins its output.

use crate::runtime::bindings::logging::wasi::logging::logging::{Host, Level};
use crate::runtime::instance::Sandbox;

impl Host for Sandbox {
    fn log(&mut self, level: Level, context: String, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => tracing::Level::TRACE,
            Level::Debug => tracing::Level::DEBUG,
            Level::Info => tracing::Level::INFO,
            Level::Warn => tracing::Level::WARN,
            Level::Error | Level::Critical => tracing::Level::ERROR,
        };
        self.output.log(level, &context, &message);
        Ok(())
    }
}
