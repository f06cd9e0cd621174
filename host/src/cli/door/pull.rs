//! Pull consumers.

use gristmill_queue::QueueName;

use super::Door;
use crate::api::{LeaseView, Problem, ReceiveOrder, SettleOrder, SettledView};

impl Door {
    /// See [`Api::receive`](crate::api::Api::receive).
    pub async fn receive(
        &self,
        queue: &QueueName,
        order: ReceiveOrder,
    ) -> Result<Vec<LeaseView>, Problem> {
        match self {
            Door::Host(client) => client.receive(queue, &order).await,
            Door::Store(api) => api.receive(queue.clone(), order).await,
        }
    }

    /// See [`Api::settle_pulled`](crate::api::Api::settle_pulled).
    pub async fn settle_pulled(
        &self,
        queue: &QueueName,
        order: SettleOrder,
    ) -> Result<Vec<SettledView>, Problem> {
        match self {
            Door::Host(client) => client.settle_pulled(queue, &order).await,
            Door::Store(api) => Ok(api.settle_pulled(queue.clone(), order).await?.items),
        }
    }
}
