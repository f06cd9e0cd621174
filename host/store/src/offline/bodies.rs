//! The files of large bodies: whether each is what its message says.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use gristmill_queue::{BlobReader as _, BlobRef, BlobUnavailable};

use crate::Blob;
use crate::blob::Blobs;

/// What was verified of the large bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodiesReport {
    /// How many were read and are sound.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many are not what was written, or not there.
    pub damaged: u64,
}

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Reads a large body to its end.
pub(super) fn verify(blobs: &Blobs, blob: BlobRef) -> Result<(), BlobUnavailable> {
    let body = Blob::open(blobs, blob)?;
    let mut piece = vec![0; PIECE];
    let mut offset = 0;
    while offset < blob.size {
        offset += body.read_at(offset, &mut piece)? as u64;
    }
    Ok(())
}

/// The names of all files in the folder of large bodies that are named as ours.
pub(super) fn names(data_dir: &Path) -> io::Result<BTreeSet<u64>> {
    let folder = Blobs::folder(data_dir);
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(crate::blob::name_of));
    }
    Ok(names)
}
