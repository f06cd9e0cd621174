//! The crontab.

use super::Door;
use crate::api::{CronView, Problem, Sent};

impl Door {
    /// See [`Api::cron`](crate::api::Api::cron).
    pub async fn cron(&self) -> Result<Vec<CronView>, Problem> {
        match self {
            Door::Host(client) => client.cron().await,
            Door::Store(api) => api.cron(),
        }
    }

    /// See [`Api::run_cron`](crate::api::Api::run_cron).
    pub async fn run_cron(&self, name: &str) -> Result<Sent, Problem> {
        match self {
            Door::Host(client) => client.run_cron(name).await,
            Door::Store(api) => api.run_cron(name).await,
        }
    }
}
