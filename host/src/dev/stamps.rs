//! What files look like: by that one tells whether any has changed, was added or is gone.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Folders that tools fill, wherever they lie.
const MADE_BY_TOOLS: [&str; 3] = ["target", "node_modules", "__pycache__"];
/// Files that are looked at; of more, the rest is not.
const MAX_FILES: usize = 20_000;
/// Folders within folders.
const MAX_DEPTH: usize = 50;

/// Sizes and times of all files in some places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl Stamps {
    /// Of these files, and of all in these folders but for what is hidden, what tools make, and what
    /// stands `apart`.
    pub fn of(paths: &[PathBuf], apart: &[PathBuf]) -> Self {
        let mut stamps = Stamps::default();
        for path in paths {
            stamps.look(path, apart, MAX_DEPTH);
        }
        stamps
    }

    fn look(&mut self, path: &Path, apart: &[PathBuf], depth: usize) {
        // Who names a link means what it leads to.
        let Ok(found) = fs::metadata(path) else {
            return;
        };
        if found.is_dir() {
            self.look_into(path, apart, depth);
        } else {
            self.add(path, &found);
        }
    }

    fn look_into(&mut self, folder: &Path, apart: &[PathBuf], depth: usize) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_made = name.starts_with('.') || MADE_BY_TOOLS.contains(&&*name);
            // A link within may lead back to where it lies: it is not followed.
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if is_made || apart.contains(&path) {
                continue;
            }
            if kind.is_dir() && depth > 0 {
                self.look_into(&path, apart, depth - 1);
            } else if let Some(found) = fs::metadata(&path).ok().filter(Metadata::is_file) {
                self.add(&path, &found);
            }
        }
    }

    fn add(&mut self, path: &Path, found: &Metadata) {
        if self.0.len() < MAX_FILES {
            let stamp = (found.len(), found.modified().ok());
            self.0.insert(path.to_owned(), stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_changes_shows_and_what_tools_make_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["src/deep", "target", "src/node_modules", "handlers", ".git"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        let apart = [path("handlers")];
        let look = || Stamps::of(&[folder.path().to_owned(), path("missing")], &apart);
        fs::write(path("src/deep/a.c"), "1").unwrap();
        let mut before = look();
        for name in [
            "target/a",
            "src/node_modules/b",
            "handlers/c",
            ".git/d",
            "src/.a.c.swp",
        ] {
            fs::write(path(name), "x").unwrap();
            assert_eq!(look(), before, "{name}");
        }
        for (name, text) in [("src/deep/a.c", "22"), ("src/b.c", ""), ("missing", "")] {
            fs::write(path(name), text).unwrap();
            let now = look();
            assert_ne!(now, before, "{name}");
            before = now;
        }
        fs::remove_file(path("src/b.c")).unwrap();
        assert_ne!(look(), before);
    }

    #[test]
    fn a_link_that_leads_in_a_circle_is_no_trouble() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("again")).unwrap();
        assert_eq!(
            Stamps::of(&[folder.path().to_owned()], &[]),
            Stamps::default()
        );
    }
}
