//! The files that are written in the course of a commit, or what a test puts in their place.

use std::fs::File;
use std::io;

use redb::StorageBackend;
use redb::backends::FileBackend;

/// Opens a file in another way than usual.
pub type OpenFile = Box<dyn FnOnce(File) -> io::Result<Box<dyn StorageBackend>> + Send>;

/// A file that is open, or what a test puts in its place.
pub(crate) fn on_disk(
    file: File,
    open: Option<OpenFile>,
) -> Result<Box<dyn StorageBackend>, redb::Error> {
    match open {
        Some(open) => Ok(open(file)?),
        None => Ok(Box::new(FileBackend::new(file)?)),
    }
}
