//! What is asked about groups.

use gristmill_queue::QueueName;

use super::Client;
use crate::api::{Count, HaltedPage, Problem, ResumeOrder};

impl Client {
    /// See [`Api::halted_groups`](crate::api::Api::halted_groups).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn halted_groups(
        &self,
        queue: &QueueName,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<HaltedPage, Problem> {
        let mut path = format!("/v1/queues/{queue}/groups/halted?limit={limit}");
        if let Some(cursor) = cursor {
            path.push_str(&format!("&cursor={cursor}"));
        }
        self.get(&path).await
    }

    /// See [`Api::resume_groups`](crate::api::Api::resume_groups).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn resume_groups(
        &self,
        queue: &QueueName,
        order: &ResumeOrder,
    ) -> Result<u64, Problem> {
        let path = format!("/v1/queues/{queue}/groups/resume");
        let done: Count = self.post(&path, order).await?;
        Ok(done.count)
    }
}
