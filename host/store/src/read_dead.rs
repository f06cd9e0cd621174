//! Looking at the dead: one by one, in pages, and grouped by what they died of.

use std::collections::HashMap;

use gristmill_queue::provenance::Provenance;
use gristmill_queue::{MessageId, QueueName, Reason, Timestamp};
use redb::ReadableDatabase;

use crate::dead::{self, DeadLetter, DeadSummary};
use crate::error::guarded;
use crate::filter::{DeadFilter, summary_of};
use crate::tables::{DEAD, DEAD_INDEX};
use crate::{AdminError, Peeked, Store, record};

/// How many versions of the handler a group of dead letters names.
const MAX_VERSIONS: usize = 10;

/// Dead letters that died alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadGroup {
    /// What they share.
    pub fingerprint: u64,
    /// Why they died.
    pub reason: Reason,
    /// How many there are.
    pub count: u64,
    /// When the first of them died.
    pub first_died_at: Timestamp,
    /// The latest of them.
    pub latest: DeadSummary,
    /// In which modules they died, by SHA-256, and how many in each; at most 10 are told apart.
    pub versions: Vec<(String, u64)>,
}

#[derive(Default)]
struct Groups(HashMap<u64, DeadGroup>);

impl Groups {
    fn add(&mut self, summary: DeadSummary) {
        let group = self
            .0
            .entry(summary.fingerprint)
            .or_insert_with(|| DeadGroup {
                fingerprint: summary.fingerprint,
                reason: summary.reason,
                count: 0,
                first_died_at: summary.died_at,
                latest: summary.clone(),
                versions: Vec::new(),
            });
        group.count += 1;
        let versions = &mut group.versions;
        match versions
            .iter()
            .position(|(version, _)| *version == summary.handler)
        {
            Some(at) => versions[at].1 += 1,
            None if summary.handler.is_empty() || versions.len() == MAX_VERSIONS => {}
            None => versions.push((summary.handler.clone(), 1)),
        }
        group.first_died_at = group.first_died_at.min(summary.died_at);
        if summary.died_at >= group.latest.died_at {
            group.latest = summary;
        }
    }

    /// The largest group first.
    fn sorted(self) -> Vec<DeadGroup> {
        let mut groups: Vec<DeadGroup> = self.0.into_values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.fingerprint));
        groups
    }
}

impl Store {
    /// The dead letters of a queue that a filter means, in original order, after the message of
    /// that number, at most `limit`.
    ///
    /// # Errors
    /// When there is no such queue, or the store cannot be read.
    pub fn dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadSummary>, AdminError> {
        let mut found = Vec::new();
        guarded(|| {
            self.visit_dead(queue, filter, after, &mut |summary| {
                if found.len() < limit {
                    found.push(summary);
                }
                found.len() < limit
            })
        })?;
        Ok(found)
    }

    /// Shows the dead letters that are meant, one after the other, as long as more are wanted.
    fn visit_dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        after: u64,
        visit: &mut dyn FnMut(DeadSummary) -> bool,
    ) -> Result<(), AdminError> {
        let number = self.queue_number(queue)?;
        let transaction = self.database()?.begin_read()?;
        let index = transaction.open_table(DEAD_INDEX)?;
        let letters = transaction.open_table(DEAD)?;
        for entry in index.range((number, after.saturating_add(1))..=(number, u64::MAX))? {
            let (key, bytes) = entry?;
            let sequence = key.value().1;
            // One damaged row must not hide the others.
            let Ok(summary) = dead::decode_summary(sequence, bytes.value()) else {
                tracing::error!(message = sequence, "the index of a dead letter is damaged");
                continue;
            };
            if !filter.means(&summary) {
                continue;
            }
            if filter.asks_envelope() {
                let letter = letters.get(sequence)?;
                let message = letter.and_then(|bytes| {
                    let record = dead::record(sequence, bytes.value()).ok()?;
                    record::decode(sequence, queue.clone(), record).ok()
                });
                if !message.is_some_and(|message| filter.means_envelope(&message.envelope)) {
                    continue;
                }
            }
            if !visit(summary) {
                break;
            }
        }
        Ok(())
    }

    /// The dead letters of a queue that a filter means, grouped by fingerprint, the largest group
    /// first.
    ///
    /// # Errors
    /// When there is no such queue, or the store cannot be read.
    pub fn dead_groups(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
    ) -> Result<Vec<DeadGroup>, AdminError> {
        let mut groups = Groups::default();
        guarded(|| {
            self.visit_dead(queue, filter, 0, &mut |summary| {
                groups.add(summary);
                true
            })
        })?;
        Ok(groups.sorted())
    }

    /// What waits in a queue and died in another, as far as a filter means it, grouped like dead
    /// letters.
    ///
    /// # Errors
    /// When there is no such queue, or the store cannot be read.
    pub async fn returnable_groups(
        &self,
        queue: QueueName,
        filter: &DeadFilter,
    ) -> Result<Vec<DeadGroup>, AdminError> {
        let waiting = self.waiting(queue.clone(), usize::MAX).await?;
        guarded(|| {
            let mut groups = Groups::default();
            self.visit_waiting(&queue, waiting, &mut |Peeked { message, .. }| {
                let sequence = message.id.sequence();
                if let Some(died) = Provenance::of(&message.envelope)
                    && filter.means_returned(sequence, &died, &message.envelope)
                {
                    groups.add(summary_of(sequence, &died));
                }
            })?;
            Ok(groups.sorted())
        })
    }

    /// One dead letter, whole.
    ///
    /// # Errors
    /// When there is no such letter, or it is damaged.
    pub fn dead_letter(
        &self,
        queue: &QueueName,
        sequence: u64,
    ) -> Result<Option<DeadLetter>, AdminError> {
        guarded(|| self.read_dead_letter(queue, sequence))
    }

    pub(crate) fn read_dead_letter(
        &self,
        queue: &QueueName,
        sequence: u64,
    ) -> Result<Option<DeadLetter>, AdminError> {
        let number = self.queue_number(queue)?;
        let transaction = self.database()?.begin_read()?;
        if transaction
            .open_table(DEAD_INDEX)?
            .get((number, sequence))?
            .is_none()
        {
            return Ok(None);
        }
        let Some(bytes) = transaction.open_table(DEAD)?.get(sequence)? else {
            return Ok(None);
        };
        let damaged = |_| AdminError::Damaged(sequence);
        let bytes = bytes.value();
        let record = dead::record(sequence, bytes).map_err(damaged)?;
        let message = record::decode(sequence, queue.clone(), record).map_err(damaged)?;
        dead::decode(sequence, message, bytes)
            .map(Some)
            .map_err(damaged)
    }

    /// One dead letter, whole, by the id of its message.
    ///
    /// # Errors
    /// When there is no such letter, or it is damaged.
    pub fn dead_letter_of(
        &self,
        queue: &QueueName,
        id: MessageId,
    ) -> Result<DeadLetter, AdminError> {
        let letter = self.dead_letter(queue, id.sequence())?;
        letter
            .filter(|letter| letter.message.id == id)
            .ok_or(AdminError::UnknownMessage(id))
    }
}
