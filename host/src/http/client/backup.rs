//! Backups.

use super::Client;
use crate::api::{BackupOrder, BackupView, Problem};

impl Client {
    /// See [`Api::backup`](crate::api::Api::backup).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn backup(&self, order: &BackupOrder) -> Result<BackupView, Problem> {
        self.post("/v1/backups", order).await
    }
}
