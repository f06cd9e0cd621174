//! Dead letters and redrives.

use bytes::Bytes;
use gristmill_queue::{MessageId, QueueName};
use gristmill_store::{DeadFilter, RedriveOrder};
use hyper::Method;

use super::{Client, read};
use crate::api::{
    Count, DeadGroupView, DeadLetterView, DeadOrder, DeadPage, DeadSearch, Edited, Items, Problem,
    RedriveIn, RedriveOut, RedriveView,
};

impl Client {
    /// See [`Api::dead`](crate::api::Api::dead).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<DeadPage, Problem> {
        let search = DeadSearch {
            filter: filter.into(),
            cursor: cursor.map(str::to_owned),
            limit: Some(limit),
            ..DeadSearch::default()
        };
        self.post(&format!("/v1/queues/{queue}/dead/search"), &search)
            .await
    }

    /// See [`Api::dead_groups`](crate::api::Api::dead_groups).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn dead_groups(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        to_source: bool,
    ) -> Result<Vec<DeadGroupView>, Problem> {
        let search = DeadSearch {
            filter: filter.into(),
            to_source,
            ..DeadSearch::default()
        };
        let path = format!("/v1/queues/{queue}/dead/groups");
        let found: Items<DeadGroupView> = self.post(&path, &search).await?;
        Ok(found.items)
    }

    /// See [`Api::dead_letter`](crate::api::Api::dead_letter).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn dead_letter(
        &self,
        queue: &QueueName,
        id: MessageId,
    ) -> Result<DeadLetterView, Problem> {
        self.get(&format!("/v1/queues/{queue}/dead/{id}")).await
    }

    /// See [`Api::redrive`](crate::api::Api::redrive).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn redrive(
        &self,
        queue: &QueueName,
        order: &RedriveOrder,
        dry_run: bool,
    ) -> Result<RedriveOut, Problem> {
        let path = format!("/v1/queues/{queue}/dead/redrive");
        self.post(&path, &RedriveIn::of(order, dry_run)).await
    }

    /// See [`Api::redrive_edited`](crate::api::Api::redrive_edited).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn redrive_edited(
        &self,
        queue: &QueueName,
        id: MessageId,
        body: Bytes,
    ) -> Result<Edited, Problem> {
        let path = format!("/v1/queues/{queue}/dead/{id}/redrive");
        read(&self.call(Method::POST, &path, body).await?)
    }

    /// See [`Api::redrives`](crate::api::Api::redrives).
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn redrives(&self) -> Result<Vec<RedriveView>, Problem> {
        self.items("/v1/redrives").await
    }

    /// See [`Api::cancel_redrive`](crate::api::Api::cancel_redrive).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn cancel_redrive(&self, number: u64) -> Result<u64, Problem> {
        let path = format!("/v1/redrives/{number}/cancel");
        let done: Count = read(&self.call(Method::POST, &path, Bytes::new()).await?)?;
        Ok(done.count)
    }

    /// See [`Api::purge_dead`](crate::api::Api::purge_dead).
    ///
    /// # Errors
    /// As there, and when the host cannot be reached.
    pub async fn purge_dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        dry_run: bool,
    ) -> Result<u64, Problem> {
        let order = DeadOrder {
            filter: filter.into(),
            dry_run,
        };
        let path = format!("/v1/queues/{queue}/dead/purge");
        let done: Count = self.post(&path, &order).await?;
        Ok(done.count)
    }
}
