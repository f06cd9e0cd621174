//! Pull consumers.

use gristmill_queue::QueueName;

use super::Client;
use crate::api::{Items, LeaseView, Problem, ReceiveOrder, SettleOrder, SettledView};

impl Client {
    /// See [`Api::receive`](crate::api::Api::receive).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn receive(
        &self,
        queue: &QueueName,
        order: &ReceiveOrder,
    ) -> Result<Vec<LeaseView>, Problem> {
        let path = format!("/v1/queues/{queue}/leases");
        let leases: Items<LeaseView> = self.post(&path, order).await?;
        Ok(leases.items)
    }

    /// See [`Api::settle_pulled`](crate::api::Api::settle_pulled).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn settle_pulled(
        &self,
        queue: &QueueName,
        order: &SettleOrder,
    ) -> Result<Vec<SettledView>, Problem> {
        let path = format!("/v1/queues/{queue}/settlements");
        let settled: Items<SettledView> = self.post(&path, order).await?;
        Ok(settled.items)
    }
}
