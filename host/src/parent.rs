//! Ties the life of a process to that of the one which started it.

use std::io;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Gives this process the signal when its parent dies.
///
/// # Errors
/// `gone`, when the parent is gone already; or when the system cannot do it.
pub fn follow(parent: i32, signal: Signal, gone: &'static str) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    if getppid().map(Pid::as_raw_pid) == Some(parent) {
        return Ok(());
    }
    Err(io::Error::other(gone))
}
