//! `gristmill:queue/delivery`: the time and the circumstances of the attempt.

use std::time::Duration;

use gristmill_queue::outcome::cut;

use crate::runtime::Progress;
use crate::runtime::bindings::queue::gristmill::queue::delivery::{ExtendError, Host};
use crate::runtime::instance::Sandbox;
use crate::runtime::output::escaped;

/// Bytes kept of a note on progress.
const MAX_NOTE: usize = 1024;

impl Host for Sandbox {
    fn remaining(&mut self) -> wasmtime::Result<u64> {
        Ok(millis(self.clock.remaining()))
    }

    fn extend(&mut self, need: u64) -> wasmtime::Result<Result<u64, ExtendError>> {
        if self.call()?.ending.is_set() {
            return Ok(Err(ExtendError::Ending));
        }
        let left = self.clock.extend(Duration::from_millis(need));
        Ok(left.map(millis).ok_or(ExtendError::LimitReached))
    }

    fn ending(&mut self) -> wasmtime::Result<bool> {
        Ok(self.call()?.ending.is_set())
    }

    fn progress(&mut self, percent: u8, note: String) -> wasmtime::Result<()> {
        let progress = Progress {
            percent: percent.min(100),
            note: self.output.masked(&escaped(&cut(&note, MAX_NOTE))),
        };
        let wanted = tracing::enabled!(target: "handler", tracing::Level::DEBUG);
        if wanted && self.output.may_log(progress.note.len() + 1) {
            let handler = &*self.shared.handler;
            tracing::debug!(target: "handler", handler, percent = progress.percent, "{}", progress.note);
        }
        self.call()?.progress = Some(progress);
        Ok(())
    }

    fn max_attempts(&mut self) -> wasmtime::Result<Option<u32>> {
        Ok(self.call()?.max_attempts)
    }

    fn previous_failure(&mut self) -> wasmtime::Result<Option<String>> {
        Ok(self.call()?.previous_failure.clone())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
