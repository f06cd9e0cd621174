//! Copying everything into a folder while the queues go on.

use std::path::Path;

use gristmill_store::{Backup, BackupError, Progress};

use super::Queues;

impl Queues {
    /// Copies everything, as it is when this begins, into a new folder. Blocks as files do.
    ///
    /// # Errors
    /// When the folder is there already, the disk is full, or another backup is under way.
    pub fn backup(&self, to: &Path, progress: Progress<'_>) -> Result<Backup, BackupError> {
        self.store.backup(to, progress)
    }
}
