//! The crontab.

use bytes::Bytes;
use hyper::Method;

use super::{Client, read};
use crate::api::{CronView, Problem, Sent};

impl Client {
    /// See [`Api::cron`](crate::api::Api::cron).
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn cron(&self) -> Result<Vec<CronView>, Problem> {
        self.items("/v1/cron").await
    }

    /// See [`Api::run_cron`](crate::api::Api::run_cron). The name has no character that would have
    /// to be quoted.
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn run_cron(&self, name: &str) -> Result<Sent, Problem> {
        let path = format!("/v1/cron/{name}/run");
        read(&self.call(Method::POST, &path, Bytes::new()).await?)
    }
}
