//! Queues that are made, changed and deleted while the host runs.

use std::collections::BTreeMap;

use gristmill_queue::{QueueName, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Api, Code, Problem, QueueView};
use crate::queues::{Made, MakeError};

/// A queue that was made while a host ran.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MadeView {
    /// What is configured for it, by the keys of `[queue.NAME]`.
    pub definition: Map<String, Value>,
    /// What its owner notes on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// When it was made: milliseconds since 1970.
    pub created_at_ms: u64,
    /// When it was changed last: milliseconds since 1970.
    pub changed_at_ms: u64,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OneQueue {
    /// How it is.
    #[serde(flatten)]
    pub queue: QueueView,
    /// What was made; nothing, if the file declares it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<MadeView>,
}

impl From<&Made> for MadeView {
    fn from(made: &Made) -> Self {
        MadeView {
            definition: made.definition.clone(),
            tags: made.tags.clone(),
            created_at_ms: made.created_at_ms,
            changed_at_ms: made.changed_at_ms,
        }
    }
}

impl Api {
    /// One queue: how it is, and what was made of it.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn queue(&self, name: &QueueName) -> Result<OneQueue, Problem> {
        Ok(OneQueue {
            queue: self.queue_view(name).await?,
            made: self.service().made(name).as_deref().map(MadeView::from),
        })
    }

    /// Makes a queue with this definition, or gives it to one that was made; durable when this returns. Says
    /// whether it is new.
    ///
    /// # Errors
    /// When the file declares the queue, or the definition cannot be used.
    pub async fn make_queue(
        &self,
        name: &QueueName,
        definition: Map<String, Value>,
    ) -> Result<(bool, MadeView), Problem> {
        let mut fresh = false;
        let edit = |before: Option<&Made>, now: Timestamp| {
            fresh = before.is_none();
            let before = before.cloned().unwrap_or_else(|| Made {
                created_at_ms: now.unix_ms(),
                ..Made::default()
            });
            Ok::<_, MakeError>(Some(Made {
                definition,
                changed_at_ms: now.unix_ms(),
                ..before
            }))
        };
        let made = self.service().edit_made(name, edit).await?;
        let made = made.as_deref().map(MadeView::from);
        let unknown = || {
            Problem::new(
                Code::OutcomeUnknown,
                format!("whether queue {name} was made is not known: ask for it"),
            )
        };
        Ok((fresh, made.ok_or_else(unknown)?))
    }

    /// Deletes a queue that was made, with all that is in it.
    ///
    /// # Errors
    /// When there is no such queue, or the file declares it.
    pub async fn delete_queue(&self, name: &QueueName) -> Result<(), Problem> {
        Ok(self.service().delete_made(name).await?)
    }
}

impl From<MakeError> for Problem {
    fn from(error: MakeError) -> Self {
        match error {
            MakeError::FromFile(_) => Problem::new(Code::QueueFromFile, error.to_string()),
            MakeError::Reserved(_) | MakeError::Invalid { .. } => {
                Problem::bad_request(error.to_string())
            }
            MakeError::Store(error) => error.into(),
        }
    }
}
