//! The modules that serve or served lately, by the hash of their content.
//!
//! The folder of modules belongs to others: what lies there may be gone or replaced when the
//! configuration asks for the serving module to be loaded again, or an operator for an earlier one.
//! So the host keeps its own copies. A copy is checked against its hash when it is read: this room
//! trusts no file.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::hex;

/// A folder of modules that are named by their hash.
#[derive(Clone, Debug)]
pub(super) struct Keep {
    folder: PathBuf,
}

impl Keep {
    pub fn new(folder: PathBuf) -> Self {
        Keep { folder }
    }

    fn path(&self, hash: &str) -> PathBuf {
        self.folder.join(format!("{hash}.wasm"))
    }

    /// Keeps a module; does nothing if it is there.
    pub fn put(&self, hash: &str, module: &[u8]) -> io::Result<()> {
        if self.get(hash).is_ok() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let unfinished = self.folder.join(format!("{hash}.part"));
        fs::write(&unfinished, module)?;
        fs::rename(unfinished, self.path(hash))
    }

    /// The module with this hash.
    pub fn get(&self, hash: &str) -> io::Result<Vec<u8>> {
        read_checked(&self.path(hash), hash)
    }

    /// Removes all but these.
    pub fn retain(&self, hashes: &BTreeSet<String>) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if !is_one_of(&path, hashes) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// Reads a file if it has this hash.
pub(super) fn read_checked(path: &Path, hash: &str) -> io::Result<Vec<u8>> {
    let module = fs::read(path)?;
    if hex(&Sha256::digest(&module).into()) == hash {
        Ok(module)
    } else {
        let problem = "it has another content";
        Err(io::Error::new(ErrorKind::InvalidData, problem))
    }
}

fn is_one_of(path: &Path, hashes: &BTreeSet<String>) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "wasm")
        && path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(|stem| hashes.contains(stem))
}
