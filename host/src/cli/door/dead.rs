//! Dead letters and redrives.

use bytes::Bytes;
use gristmill_queue::{MessageId, QueueName};
use gristmill_store::{DeadFilter, RedriveOrder};

use super::Door;
use crate::api::{
    DeadGroupView, DeadLetterView, DeadPage, Edited, Problem, RedriveOut, RedriveView,
};

impl Door {
    /// See [`Api::dead`](crate::api::Api::dead).
    pub async fn dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<DeadPage, Problem> {
        match self {
            Door::Host(client) => client.dead(queue, filter, cursor.as_deref(), limit).await,
            Door::Store(api) => api.dead(queue.clone(), filter.clone(), cursor, limit).await,
        }
    }

    /// See [`Api::dead_groups`](crate::api::Api::dead_groups).
    pub async fn dead_groups(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        to_source: bool,
    ) -> Result<Vec<DeadGroupView>, Problem> {
        match self {
            Door::Host(client) => client.dead_groups(queue, filter, to_source).await,
            Door::Store(api) => {
                api.dead_groups(queue.clone(), filter.clone(), to_source)
                    .await
            }
        }
    }

    /// See [`Api::dead_letter`](crate::api::Api::dead_letter).
    pub async fn dead_letter(
        &self,
        queue: &QueueName,
        id: MessageId,
    ) -> Result<DeadLetterView, Problem> {
        match self {
            Door::Host(client) => client.dead_letter(queue, id).await,
            Door::Store(api) => api.dead_letter(queue.clone(), id).await,
        }
    }

    /// See [`Api::redrive`](crate::api::Api::redrive).
    pub async fn redrive(
        &self,
        queue: &QueueName,
        order: &RedriveOrder,
    ) -> Result<RedriveOut, Problem> {
        match self {
            Door::Host(client) => client.redrive(queue, order, false).await,
            Door::Store(api) => api.redrive(queue.clone(), order.clone(), false).await,
        }
    }

    /// See [`Api::redrive_edited`](crate::api::Api::redrive_edited).
    pub async fn redrive_edited(
        &self,
        queue: &QueueName,
        id: MessageId,
        body: Bytes,
    ) -> Result<Edited, Problem> {
        match self {
            Door::Host(client) => client.redrive_edited(queue, id, body).await,
            Door::Store(api) => api.redrive_edited(queue.clone(), id, body).await,
        }
    }

    /// See [`Api::redrives`](crate::api::Api::redrives).
    pub async fn redrives(&self) -> Result<Vec<RedriveView>, Problem> {
        match self {
            Door::Host(client) => client.redrives().await,
            Door::Store(api) => api.redrives().await,
        }
    }

    /// See [`Api::cancel_redrive`](crate::api::Api::cancel_redrive).
    pub async fn cancel_redrive(&self, number: u64) -> Result<u64, Problem> {
        match self {
            Door::Host(client) => client.cancel_redrive(number).await,
            Door::Store(api) => api.cancel_redrive(number).await,
        }
    }

    /// See [`Api::purge_dead`](crate::api::Api::purge_dead).
    pub async fn purge_dead(&self, queue: &QueueName, filter: &DeadFilter) -> Result<u64, Problem> {
        match self {
            Door::Host(client) => client.purge_dead(queue, filter, false).await,
            Door::Store(api) => api.purge_dead(queue.clone(), filter.clone(), false).await,
        }
    }
}
