//! `gristmill store backup`

use std::path::PathBuf;

use crate::api::{BackupOrder, BackupView};
use crate::cli::door::Door;
use crate::cli::exit::Failure;
use crate::cli::print::Screen;
use crate::cli::{Global, text};

#[derive(clap::Args, Debug)]
pub struct Backup {
    /// The folder to make: a data folder for another host
    #[arg(value_name = "DEST")]
    to: PathBuf,
}

impl Backup {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        // A host may run elsewhere than the command.
        let to = std::path::absolute(&self.to)?;
        let door = Door::open(global).await?;
        let made = door.backup(BackupOrder { to }).await;
        door.close().await;
        let made = made?;
        if screen.json {
            return screen.json(&made);
        }
        screen.result(&words(&made))
    }
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
