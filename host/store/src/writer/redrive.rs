//! Back from the dead, in original order.

use gristmill_queue::Timestamp;
use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::ready::Place;
use gristmill_queue::settle::Counters;
use redb::ReadableTable;

use super::Writer;
use super::group::{Group, fatal};
use super::send::group_hash;
use crate::dead::{self, DeadLetter, DeadSummary};
use crate::error::{AdminError, Fatal};
use crate::ops::{DeadFilter, Op, Redrive};
use crate::record;

/// How many messages are redriven or purged, or die with their group, in one group of operations.
pub(super) const CHUNK: usize = 500;

impl Writer {
    /// Takes back some of the dead letters, and goes on with the rest in the next group. Each is
    /// moved in one transaction: never in both places, never in none.
    pub(super) fn redrive(
        &mut self,
        mut redrive: Redrive,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Some(queue) = self.board.find(redrive.queue.as_str()) else {
            let unknown = AdminError::UnknownQueue(redrive.queue);
            self.answer(redrive.reply, Err(unknown));
            return Ok(());
        };
        // What dies again while the redrive goes on is not taken back twice.
        let until = *redrive.until.get_or_insert(now.unix_ms());
        let found = find(queue, &redrive.filter, redrive.after, group)?;
        let more = found.len() == CHUNK;
        for letter in found {
            redrive.after = letter.sequence;
            if letter.died_at.unix_ms() <= until
                && self.redrive_one(queue, letter.sequence, group, now)?
            {
                redrive.done += 1;
            }
        }
        if more {
            self.todo.push(Op::Redrive(redrive));
        } else {
            let done = redrive.done;
            self.answer(redrive.reply, Ok(done));
        }
        Ok(())
    }

    fn redrive_one(
        &mut self,
        queue: QueueId,
        sequence: u64,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<bool, Fatal> {
        let name = self.board.name(queue).clone();
        let Some(bytes) = group
            .dead()?
            .get(sequence)
            .map_err(fatal("reading a dead letter"))?
            .map(|bytes| bytes.value().to_vec())
        else {
            return Ok(false);
        };
        let letter = dead::record(sequence, &bytes)
            .and_then(|record| Ok((record.to_vec(), record::decode(sequence, name, record)?)))
            .and_then(|(record, message)| Ok((record, dead::decode(sequence, message, &bytes)?)));
        let Ok((record, letter)) = letter else {
            tracing::error!(
                message = sequence,
                "a dead letter is damaged; it stays where it is"
            );
            return Ok(false);
        };
        let mut row = redriven_row(queue, &letter, now);
        row.place.key = self.key_of(queue, &letter.message.envelope);
        group.insert_message(&row, record);
        if !letter.attempts.is_empty() {
            group.put_history(sequence, &letter.attempts)?;
        }
        self.remove_dead(queue, sequence, group)?;
        self.board.redrive(&row, now);
        Ok(true)
    }
}

/// It starts anew, but for its key: attempts are reset, age and time-to-live count from now. Its place is the old
/// one, so that a group goes on in the order of acceptance.
fn redriven_row(queue: QueueId, letter: &DeadLetter, now: Timestamp) -> Row {
    let message = &letter.message;
    let ttl = message
        .expires_at
        .map(|expires| expires.since(message.enqueued_at));
    Row {
        queue,
        place: Place {
            sequence: message.id.sequence(),
            due: now,
            priority: message.envelope.priority,
            group: message.envelope.group.as_deref().map(group_hash),
            key: None,
            ordinal: letter.ordinal,
        },
        counters: Counters {
            redriven: letter.counters.redriven.saturating_add(1),
            ..Counters::default()
        },
        enqueued_at: now,
        expires_at: ttl.map(|ttl| now.after(ttl)),
        size: u32::try_from(message.size()).unwrap_or(u32::MAX),
        suspect: false,
    }
}

/// The next dead letters of a queue that a filter means, in original order. One whose row is damaged
/// is meant only by who means all of them.
pub(super) fn find(
    queue: QueueId,
    filter: &DeadFilter,
    after: u64,
    group: &mut Group<'_>,
) -> Result<Vec<Found>, Fatal> {
    let all = *filter == DeadFilter::default();
    let mut found = Vec::new();
    let range = (queue.0, after.saturating_add(1))..=(queue.0, u64::MAX);
    for entry in group
        .dead_index()?
        .range(range)
        .map_err(fatal("listing the dead"))?
    {
        let (key, bytes) = entry.map_err(fatal("listing the dead"))?;
        let sequence = key.value().1;
        let died_at = match dead::decode_summary(sequence, bytes.value()) {
            Ok(summary) if filter.means(&summary) => summary.died_at,
            Err(_) if all => Timestamp::ZERO,
            Ok(_) | Err(_) => continue,
        };
        found.push(Found { sequence, died_at });
        if found.len() == CHUNK {
            break;
        }
    }
    Ok(found)
}

/// A dead letter that is meant.
pub(super) struct Found {
    pub sequence: u64,
    pub died_at: Timestamp,
}

impl DeadFilter {
    /// Whether a dead letter is meant.
    #[must_use]
    pub fn means(&self, summary: &DeadSummary) -> bool {
        (self.ids.is_empty() || self.ids.iter().any(|id| id.sequence() == summary.sequence))
            && self.reason.is_none_or(|reason| reason == summary.reason)
            && self
                .fingerprint
                .is_none_or(|fingerprint| fingerprint == summary.fingerprint)
    }
}
