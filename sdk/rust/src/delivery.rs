//! The delivery in progress: how long it may take, and what is known about it.

use std::fmt;
use std::time::Duration;

use crate::host;

/// Time left until the host stops the handler, in whole milliseconds. The lease of the message is
/// renewed by the host until then.
#[must_use]
pub fn remaining() -> Duration {
    host::remaining()
}

/// Asks that at least this much time be left from now on. Returns the time left, which may be more.
///
/// # Errors
/// See [`ExtendError`]. The deadline is then where it was.
pub fn extend(need: Duration) -> Result<Duration, ExtendError> {
    host::extend(need)
}

/// Whether the handler should wind up early: the host is shutting down, the handler is being
/// replaced, or an operator cancelled the message.
#[must_use]
pub fn ending() -> bool {
    host::ending()
}

/// Tells operators how far the delivery has come. Neither durable nor part of the transaction.
pub fn progress(percent: u8, note: &str) {
    host::progress(percent, note);
}

/// How many attempts a message gets, if there is a limit.
#[must_use]
pub fn max_attempts() -> Option<u32> {
    host::max_attempts()
}

/// Why the previous attempt at this message failed, if it did.
#[must_use]
pub fn previous_failure() -> Option<String> {
    host::previous_failure()
}

/// Why the deadline was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendError {
    /// The most time that a delivery may take in all would be exceeded.
    LimitReached,
    /// The lease was lost, or the host is shutting down: finish or give up now.
    Ending,
}

impl fmt::Display for ExtendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ExtendError::LimitReached => {
                "no more time: the most that a delivery may take in all would be exceeded; raise max_timeout in the configuration of the handler"
            }
            ExtendError::Ending => "no more time: the delivery is being ended",
        })
    }
}

impl std::error::Error for ExtendError {}
