//! A folder that is there whole or not at all: it is written under another name, made durable, and
//! then given its own.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::OpenError;
use crate::blob::Blobs;
use crate::lock::{self, FolderLock};
use crate::open::FILE;

/// What is put behind the name until the folder is whole.
const PARTIAL: &str = ".partial";
/// A file that is in the folder until then, so that no host takes a part for the whole.
const UNFINISHED: &str = "unfinished";

/// Whether a folder is what was left of one that was never whole.
pub(crate) fn is_unfinished(folder: &Path) -> bool {
    folder.join(UNFINISHED).exists()
}

/// Why a folder cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// There is something at its place.
    #[error("{to} is not empty: name a folder that is not there yet", to = .0.display())]
    NotEmpty(PathBuf),
    /// What would be cleared away is not ours.
    #[error("{partial} is in the way, and has {found:?} in it, which is not of an interrupted backup: move it away", partial = .partial.display())]
    InTheWay {
        /// The folder that is used until the other is whole.
        partial: PathBuf,
        /// What is in it.
        found: String,
    },
    /// Another process writes it.
    #[error(transparent)]
    InUse(#[from] OpenError),
    /// The disk does not do it.
    #[error("{to} cannot be written: {source}", to = .to.display())]
    Folder {
        /// The folder.
        to: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A folder that is being written. If it is dropped, nothing is left of it.
pub(crate) struct Destination {
    to: PathBuf,
    partial: PathBuf,
    _lock: FolderLock,
    whole: bool,
}

impl Destination {
    /// Begins to write a folder. What an interrupted one has left is cleared away.
    pub fn begin(to: &Path) -> Result<Self, DestinationError> {
        let failed = |source| DestinationError::Folder {
            to: to.to_owned(),
            source,
        };
        let Some(name) = to.file_name() else {
            return Err(DestinationError::NotEmpty(to.to_owned()));
        };
        match std::fs::read_dir(to).map(|mut entries| entries.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(DestinationError::NotEmpty(to.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(DestinationError::NotEmpty(to.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        }
        let mut partial = name.to_owned();
        partial.push(PARTIAL);
        let partial = to.with_file_name(partial);
        let lock = lock::lock(&partial)?;
        if let Some(found) = foreign(&partial).map_err(failed)? {
            return Err(DestinationError::InTheWay { partial, found });
        }
        clear(&partial)
            .and_then(|()| mark(&partial))
            .map_err(failed)?;
        Ok(Destination {
            to: to.to_owned(),
            partial,
            _lock: lock,
            whole: false,
        })
    }

    /// Where to write.
    pub fn folder(&self) -> &Path {
        &self.partial
    }

    /// What went wrong while it was written.
    pub fn failed(&self, source: io::Error) -> DestinationError {
        DestinationError::Folder {
            to: self.to.clone(),
            source,
        }
    }

    /// Makes all that was written durable, and gives it its name.
    pub fn finish(mut self) -> Result<(), DestinationError> {
        let finished = self.make_whole();
        self.whole = finished.is_ok();
        finished.map_err(|source| self.failed(source))
    }

    fn make_whole(&self) -> io::Result<()> {
        File::open(self.partial.join(FILE))?.sync_all()?;
        let bodies = Blobs::folder(&self.partial);
        if bodies.exists() {
            File::open(bodies)?.sync_all()?;
        }
        File::open(&self.partial)?.sync_all()?;
        // All of it is durable, so from here on it is whole under either name.
        std::fs::remove_file(self.partial.join(UNFINISHED))?;
        File::open(&self.partial)?.sync_all()?;
        std::fs::rename(&self.partial, &self.to)?;
        let above = self.to.canonicalize()?;
        match above.parent() {
            Some(above) => File::open(above)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        if !self.whole {
            let _ = clear(&self.partial);
            let _ = std::fs::remove_file(self.partial.join(lock::FILE));
            let _ = std::fs::remove_dir(&self.partial);
        }
    }
}

/// Moves a copy that is whole to its place, also to another disk; it is there whole or not at all.
///
/// # Errors
/// When something is there, or the disk does not do it. Then the copy stays where it is.
pub fn move_copy(from: &Path, to: &Path) -> Result<(), DestinationError> {
    // Says whether something is there, and shows that it can be written.
    let destination = Destination::begin(to)?;
    let moved = move_into(from, destination.folder());
    moved.map_err(|source| destination.failed(source))?;
    destination.finish()?;
    let removed = clear(from)
        .and_then(|()| std::fs::remove_file(from.join(lock::FILE)))
        .and_then(|()| std::fs::remove_dir(from));
    if let Err(error) = removed {
        tracing::warn!(folder = %from.display(), %error, "what was moved could not be removed");
    }
    Ok(())
}

fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    move_file(&from.join(FILE), &to.join(FILE))?;
    let bodies = Blobs::folder(from);
    if !bodies.exists() {
        return Ok(());
    }
    let there = Blobs::folder(to);
    DirBuilder::new().mode(0o700).create(&there)?;
    for entry in std::fs::read_dir(bodies)? {
        let entry = entry?;
        move_file(&entry.path(), &there.join(entry.file_name()))?;
    }
    Ok(())
}

/// By its name if it stays on its disk, else by its bytes.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            std::fs::copy(from, to)?;
            File::open(to)?.sync_all()
        }
        other => other,
    }
}

/// Something in a folder that no backup has written.
fn foreign(folder: &Path) -> io::Result<Option<String>> {
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let ours = [FILE, UNFINISHED, lock::FILE, crate::blob::FOLDER];
        if !ours.iter().any(|ours| name == *ours) {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Says durably that what is in the folder from now on is not whole.
fn mark(folder: &Path) -> io::Result<()> {
    File::create(folder.join(UNFINISHED))?.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Removes what a backup has written, and nothing else.
fn clear(folder: &Path) -> io::Result<()> {
    let gone = |removed: io::Result<()>| match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    gone(std::fs::remove_file(folder.join(FILE)))?;
    let bodies = Blobs::folder(folder);
    if bodies.exists() {
        for entry in std::fs::read_dir(&bodies)? {
            let entry = entry?;
            let ours = entry.file_name().to_str().and_then(crate::blob::name_of);
            if ours.is_some() {
                std::fs::remove_file(entry.path())?;
            }
        }
        std::fs::remove_dir(bodies)?;
    }
    gone(std::fs::remove_file(folder.join(UNFINISHED)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let above = tempfile::tempdir().unwrap();
        let to = above.path().join("backup");
        let begun = Destination::begin(&to).unwrap();
        std::fs::write(begun.folder().join(FILE), "half").unwrap();
        assert!(!to.exists());
        drop(begun);
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 0);
        let begun = Destination::begin(&to).unwrap();
        std::fs::write(begun.folder().join(FILE), "whole").unwrap();
        begun.finish().unwrap();
        assert_eq!(std::fs::read(to.join(FILE)).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 1);
        let refused = Destination::begin(&to).err().unwrap().to_string();
        assert_eq!(
            refused,
            format!(
                "{} is not empty: name a folder that is not there yet",
                to.display()
            )
        );
    }

    #[test]
    fn what_an_interrupted_one_left_is_cleared_away_and_nothing_else_is() {
        let above = tempfile::tempdir().unwrap();
        let (to, partial) = (above.path().join("b"), above.path().join("b.partial"));
        std::fs::create_dir_all(partial.join("blobs")).unwrap();
        std::fs::write(partial.join(FILE), "half").unwrap();
        std::fs::write(partial.join("blobs/0000000100000001"), "half").unwrap();
        let begun = Destination::begin(&to).unwrap();
        let another = Destination::begin(&to).err().unwrap();
        assert!(matches!(another, DestinationError::InUse(_)), "{another}");
        assert!(!partial.join(FILE).exists() && !partial.join("blobs").exists());
        drop(begun);
        std::fs::create_dir_all(&partial).unwrap();
        std::fs::write(partial.join("letters"), "mine").unwrap();
        let refused = Destination::begin(&to).err().unwrap();
        assert!(matches!(refused, DestinationError::InTheWay { .. }));
        assert_eq!(std::fs::read(partial.join("letters")).unwrap(), b"mine");
    }
}
