//! Backups: a copy of the data folder, made while the host goes on.

use std::path::PathBuf;

use gristmill_store::{Backup, BackupError, DestinationError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, Code, Problem};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupOrder {
    /// The folder that is made, from the root of the file system of the host.
    pub to: PathBuf,
}

/// What was copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackupView {
    /// The folder.
    pub to: PathBuf,
    /// Rows of all tables.
    pub rows: u64,
    /// Bytes of the file of the store.
    pub store_bytes: u64,
    /// Large bodies.
    pub large_bodies: u64,
    /// Their bytes.
    pub large_body_bytes: u64,
    /// How many of them are the same file, which takes no room.
    pub linked: u64,
    /// How many of them were not there; their messages are damaged in the store too.
    pub missing: u64,
}

impl BackupView {
    fn of(to: PathBuf, backup: Backup) -> Self {
        BackupView {
            to,
            rows: backup.rows,
            store_bytes: backup.bytes,
            large_bodies: backup.bodies.count,
            large_body_bytes: backup.bodies.bytes,
            linked: backup.bodies.linked,
            missing: backup.bodies.missing,
        }
    }
}

impl Api {
    /// Copies everything, as it is when this begins, into a new folder; durable when this returns. It
    /// is done even if who asked goes away.
    ///
    /// # Errors
    /// When the folder is there already, the disk is full, or another backup is under way.
    pub async fn backup(&self, order: BackupOrder) -> Result<BackupView, Problem> {
        let to = order.to;
        if !to.is_absolute() {
            return Err(Problem::bad_request(format!(
                "{} is not the whole path of a folder: begin it with /",
                to.display()
            )));
        }
        let queues = self.queues.clone();
        let made = tokio::task::spawn_blocking(move || {
            let backup = queues.backup(&to, &mut |_, _, _| ());
            backup.map(|backup| BackupView::of(to, backup))
        });
        match made.await {
            Ok(made) => Ok(made?),
            Err(_) => Err(Problem::new(
                Code::StoreFailed,
                "the backup broke off: see the log of the host",
            )),
        }
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let code = match &error {
            BackupError::Busy => Code::Busy,
            BackupError::Destination(
                DestinationError::NotEmpty(_) | DestinationError::InTheWay { .. },
            ) => Code::BadRequest,
            BackupError::Destination(_) | BackupError::Grown { .. } => Code::Other,
            BackupError::Store(_) => Code::StoreFailed,
            BackupError::Closed => Code::OutcomeUnknown,
        };
        Problem::new(code, error.to_string())
    }
}
