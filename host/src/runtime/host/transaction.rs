//! `gristmill:queue/transaction`: undoing part of what a delivery has done.

use crate::runtime::bindings::queue::gristmill::queue::transaction::Host;
use crate::runtime::instance::Sandbox;

/// The most marks of one delivery.
const MAX_MARKS: u32 = 10_000;

impl Host for Sandbox {
    fn mark(&mut self) -> wasmtime::Result<u32> {
        let mark = self.call()?.transaction.mark();
        if mark >= MAX_MARKS {
            let text = format!("marked more than {MAX_MARKS} points in one delivery");
            return Err(wasmtime::Error::msg(text));
        }
        Ok(mark)
    }

    fn rollback_to(&mut self, to: u32) -> wasmtime::Result<()> {
        if self.call()?.transaction.rollback_to(to) {
            Ok(())
        } else {
            let text = format!("rolled back to mark {to}, which this delivery does not have");
            Err(wasmtime::Error::msg(text))
        }
    }
}
