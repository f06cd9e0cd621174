//! Telling what is done to the files beside the database: for tests that let the power fail at any step.

use std::sync::Arc;

/// What is done to the files beside the database; the numbers are the names of large bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileStep {
    /// A file is there, and empty; that it is there is not durable.
    Made(u64),
    /// Its content is durable.
    Filled(u64),
    /// The content has another name as well; that is not durable.
    Linked {
        /// The name that it had.
        from: u64,
        /// The new one.
        to: u64,
    },
    /// It is gone; that is not durable.
    Removed(u64),
    /// Which files there are is durable.
    FolderSynced,
    /// The file of a new store has its name, durably.
    StoreNamed,
    /// The content of the file that is to replace the store's is durable.
    CopySynced,
    /// It has replaced the store's; that is not durable.
    Replaced,
}

/// Is told what is done to those files, as soon as it is done.
pub type Watch = Arc<dyn Fn(FileStep) + Send + Sync>;
