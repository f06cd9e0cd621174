//! Modules and the configuration, watched and applied while the host runs.
//!
//! Watch → scan → compile → check → trial → swap. Whatever goes wrong before the swap, what served
//! before serves on, and says why it is not newer. Attempts in flight finish on the version they
//! began with.
//!
//! | file | what it knows |
//! |---|---|
//! | `scan` | when a file is worth reading, and what its content then means; pure |
//! | `disk` | how a file is looked at and read whole |
//! | `watch` | what the system says about the folders; `sources`: that sources of modules changed. Only they name `notify` |
//! | `table` | which handlers there are and which queues have a line; pure bookkeeping |
//! | `handlers` | the registry: applying a configuration, and what everybody may ask |
//! | `load` | from a file to the version that serves, and back to an earlier one |
//! | `progress` | what is said while a load takes long |
//! | `keep` | copies of the modules that serve or served |
//! | `config_file` | reading the configuration again |
//! | `reloader` | the loop that drives all this |
//!
//! What it does not know: how a module is loaded (the sandbox), how a message gets to it
//! (dispatch), what a configuration may say (config).
//!
//! **Whole or not at all.** A configuration file with an error changes nothing. One without is
//! applied as a whole, also if a module that serves is refused under it: then that module's queues
//! wait, and nothing is charged. To keep the old version serving under its old grants instead would
//! mean that a grant which the operator withdrew is still in use, and that the host does something
//! else than it would do if it were started with this file. To refuse the whole file would let one
//! module stand in the way of everything else in it. Waiting is safe, and it is said aloud.

mod config_file;
mod declare;
mod disk;
mod handlers;
mod keep;
mod load;
mod progress;
mod reloader;
mod scan;
mod sources;
mod table;
#[cfg(test)]
mod tests;
mod watch;

pub use config_file::ConfigReload;
pub use declare::{declarations, topic_declarations};
pub use handlers::{Applied, Handlers};
pub use load::RollbackError;
pub use reloader::Reloader;
pub use sources::Sources;

use gristmill_store::AdminError;

/// Why handlers cannot be served, or a configuration not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The queues cannot be declared.
    #[error("the queues cannot be declared: {0}")]
    Store(#[from] AdminError),
    /// There is no current folder that relative paths could start from.
    #[error("the path {path} cannot be made absolute: {source}", path = .path.display())]
    Path {
        /// The path.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Reads the module of a handler once, for a command that watches nothing.
///
/// # Errors
/// When it cannot be read, is too large, or changes meanwhile. `Ok(None)` if there is none.
pub fn read_module(path: &std::path::Path, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    match disk::look(path).0 {
        scan::Seen::Missing => return Ok(None),
        scan::Seen::There(_) | scan::Seen::Odd => {}
    }
    match disk::read(path, limit) {
        disk::Whole::Read { bytes, .. } => Ok(Some(bytes)),
        disk::Whole::Moving => Err(format!("{file} changed while it was read: try again")),
        disk::Whole::TooLarge(size) => Err(disk::too_large(&file, size, limit)),
        disk::Whole::Failed(problem) => {
            Err(format!("{} cannot be read: {problem}", path.display()))
        }
    }
}

/// A hash in hexadecimal.
fn hex(hash: &scan::Hash) -> String {
    use std::fmt::Write;
    hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
