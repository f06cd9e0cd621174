//! What the host holds for a guest in resources: bounded, because a guest may make many of them.

use super::Broken;
use crate::runtime::instance::Sandbox;

/// Bytes that a guest may have the host hold, beside what it may send.
const MAX_HELD: u64 = 16 * 1024 * 1024;

impl Sandbox {
    /// Notes that it is so many bytes less, and so many more; `what` they are is for the message if that is
    /// too much.
    pub(super) fn hold(&mut self, less: u64, more: u64, what: &str) -> wasmtime::Result<()> {
        self.held = self.held.saturating_sub(less).saturating_add(more);
        // Of a message that came, it is the host that is to blame.
        let received: u64 = self.call()?.messages.all().iter().map(|m| m.size()).sum();
        let most = MAX_HELD + self.shared.spec.limits.effects.max_send_bytes + received;
        if self.held > most {
            return Err(Broken::limit(format!(
                "holds {what} of {} bytes at once, but may hold {most}: drop those that are done with",
                self.held
            )));
        }
        Ok(())
    }
}
