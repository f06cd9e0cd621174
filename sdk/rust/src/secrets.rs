//! Secrets granted to the handler in the configuration of the host.
//!
//! Configuration that is not secret comes from the environment ([`std::env::var`]) or from
//! `wasi:config`.

use crate::host;

/// The secret of this name, or `None` if none was granted. Never put it into a message, a log line
/// or the reason of a failure.
#[must_use]
pub fn get(name: &str) -> Option<String> {
    host::secret(name)
}
