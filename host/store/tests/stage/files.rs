//! The files of a store, as they are found.

#[path = "../moment/mod.rs"]
mod moment;

use std::path::Path;

/// Copies the file and the log of a store that may be open.
pub fn copy_store(from: &Path, to: &Path) {
    moment::copy(from, to, &["store.log", "store.redb"]);
}

/// What is stored in a folder, with what only its log has.
pub fn database(folder: &Path) -> redb::Database {
    let database = redb::Database::open(folder.join("store.redb")).unwrap();
    let log = std::fs::File::open(folder.join("store.log")).unwrap();
    let log = redb::backends::FileBackend::new(log).unwrap();
    gristmill_store::replay(&log, &database).unwrap();
    database
}
