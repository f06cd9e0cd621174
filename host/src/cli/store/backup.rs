//! `gristmill store backup`

use std::fmt::Display;
use std::path::{Path, PathBuf};

use gristmill_store::{DestinationError, move_copy};

use crate::api::{BackupOrder, BackupView};
use crate::cli::door::Door;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::Screen;
use crate::cli::{Global, text};

#[derive(clap::Args, Debug)]
pub struct Backup {
    /// The folder to make: a data folder for another host. With --server, in the data folder of that host
    #[arg(value_name = "DEST")]
    to: PathBuf,
}

impl Backup {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        // A host may run in another folder than the command, or on another machine.
        let to = if door.is_remote() {
            self.to
        } else {
            std::path::absolute(&self.to)?
        };
        let made = if door.is_host() && !door.is_remote() {
            through_host(&door, global, to).await
        } else {
            door.backup(BackupOrder { to }).await.map_err(Failure::from)
        };
        door.close().await;
        let made = made?;
        if screen.json {
            return screen.json(&made);
        }
        screen.result(&words(&made))
    }
}

/// A host may be confined to its data folder: it makes the copy there, and the command, which may
/// write where its user may, moves it.
async fn through_host(door: &Door, global: &Global, to: PathBuf) -> Result<BackupView, Failure> {
    if std::fs::read_dir(&to).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(refused(&DestinationError::NotEmpty(to)));
    }
    let folder = std::path::absolute(global.data_dir(&global.load()))?;
    let staged = folder.join(format!("backup-{}", std::process::id()));
    let order = BackupOrder { to: staged.clone() };
    let made = door.backup(order).await?;
    let moved = {
        let (from, to) = (staged.clone(), to.clone());
        tokio::task::spawn_blocking(move || move_copy(&from, &to)).await
    };
    match moved {
        Ok(Ok(())) => Ok(BackupView { to, ..made }),
        Ok(Err(error)) => Err(kept(&error, &staged)),
        Err(error) => Err(kept(&error, &staged)),
    }
}

fn refused(error: &DestinationError) -> Failure {
    Failure::new(Exit::Failed, error)
}

fn kept(error: &dyn Display, staged: &Path) -> Failure {
    let message = format!(
        "{error}; the copy is whole and stays at {}: move or remove it",
        staged.display()
    );
    Failure::new(Exit::Failed, message)
}

fn words(made: &BackupView) -> String {
    let mut words = format!(
        "{}: {}, {}",
        made.to.display(),
        text::count(made.rows, "record"),
        text::size(made.store_bytes)
    );
    if made.large_bodies > 0 {
        let bodies = if made.large_bodies == 1 {
            "1 large body".to_owned()
        } else {
            format!("{} large bodies", made.large_bodies)
        };
        let size = text::size(made.large_body_bytes);
        words.push_str(&format!(", {bodies} of {size}"));
        if made.linked > 0 {
            words.push_str(&format!(", {} of them linked", made.linked));
        }
    }
    if made.missing > 0 {
        words.push_str(&format!(
            "; files of large bodies that were missing: {}, see `gristmill store check`",
            made.missing
        ));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_is_one_line() {
        let made = BackupView {
            to: "/backups/1".into(),
            rows: 12,
            store_bytes: 4096,
            large_bodies: 0,
            large_body_bytes: 0,
            linked: 0,
            missing: 0,
        };
        assert_eq!(words(&made), "/backups/1: 12 records, 4.0 KiB");
        let made = BackupView {
            large_bodies: 2,
            large_body_bytes: 2048,
            linked: 2,
            ..made
        };
        assert_eq!(
            words(&made),
            "/backups/1: 12 records, 4.0 KiB, 2 large bodies of 2.0 KiB, 2 of them linked"
        );
    }
}
