//! Sources of modules, watched for `gristmill dev`: that something has happened, and not what.
//!
//! Who is told looks at the files. What is hidden, or made by tools, leads to a look for nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// Files and folders that are watched.
pub struct Sources {
    /// Whether the system may be asked to tell.
    told: bool,
    watcher: Option<RecommendedWatcher>,
    changed: Arc<Notify>,
}

impl Sources {
    /// Nothing yet; and never anything if the system is not to be asked.
    #[must_use]
    pub fn new(told: bool) -> Self {
        Sources {
            told,
            watcher: None,
            changed: Arc::default(),
        }
    }

    /// Watches these, and nothing else from now on: of a file, the folder it lies in; of a folder, all
    /// that is in it. What is not there is left out.
    ///
    /// # Errors
    /// When the system cannot tell of all of them.
    pub fn watch(&mut self, file: &Path, sources: &[PathBuf]) -> Result<(), String> {
        if !self.told {
            return Ok(());
        }
        let changed = Arc::clone(&self.changed);
        let told = move |event: notify::Result<Event>| {
            let read = |event: Event| matches!(event.kind, EventKind::Access(_));
            if !event.is_ok_and(read) {
                changed.notify_one();
            }
        };
        let failed = |error: notify::Error| error.to_string();
        let mut watcher = notify::recommended_watcher(told).map_err(failed)?;
        let files = sources.iter().filter(|path| path.is_file());
        let mut beside: Vec<&Path> = files.map(PathBuf::as_path).chain([file]).collect();
        beside.sort_unstable();
        beside.dedup();
        for file in beside {
            // The folder: editors put another file in the place of the old one.
            let folder = file.parent().unwrap_or(Path::new("/"));
            watcher
                .watch(folder, RecursiveMode::NonRecursive)
                .map_err(failed)?;
        }
        for folder in sources.iter().filter(|path| path.is_dir()) {
            watcher
                .watch(folder, RecursiveMode::Recursive)
                .map_err(failed)?;
        }
        self.watcher = Some(watcher);
        Ok(())
    }

    /// Waits until something has happened since the last time.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_change_anywhere_below_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("src/deep");
        fs::create_dir_all(&deep).unwrap();
        let config = folder.path().join("gristmill.toml");
        fs::write(&config, "").unwrap();
        let mut sources = Sources::new(true);
        let watched = [folder.path().join("src"), folder.path().join("missing")];
        sources.watch(&config, &watched).unwrap();
        fs::write(deep.join("a.c"), "int x;").unwrap();
        sources.changed().await;
        fs::write(&config, "# new").unwrap();
        sources.changed().await;
    }

    #[tokio::test]
    async fn who_is_not_to_be_told_watches_nothing() {
        let mut sources = Sources::new(false);
        let missing = PathBuf::from("/no/such/folder");
        assert_eq!(
            sources.watch(&missing, std::slice::from_ref(&missing)),
            Ok(())
        );
    }
}
