//! Backups.

use super::Door;
use crate::api::{BackupOrder, BackupView, Problem};

impl Door {
    /// See [`Api::backup`](crate::api::Api::backup).
    pub async fn backup(&self, order: BackupOrder) -> Result<BackupView, Problem> {
        match self {
            Door::Host(client) => client.backup(&order).await,
            Door::Store(api) => api.backup(order).await,
        }
    }
}
