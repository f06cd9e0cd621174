//! What is written when all was met, and what a message gets of which only itself is left.

use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::ready::Place;
use gristmill_queue::{Counters, Message};

use super::{Met, Put, Rescue, Salvaged};
use crate::state;
use crate::writer::group::ClockRow;
use crate::writer::group_hash;

impl Rescue {
    /// Writes what is left, and says what was rescued.
    pub fn finish(mut self) -> Result<Salvaged, redb::Error> {
        for (key, value) in std::mem::take(&mut self.loose_state) {
            if self.state.contains(&key) {
                continue;
            }
            self.count("state", Met::Doubtful);
            // Versions are ordinals.
            self.next_ordinal = self.next_ordinal.max(state::version(&value) + 1);
            self.rebuild.put(Put::State(key, value))?;
        }
        for (key, first) in std::mem::take(&mut self.loose_dedup) {
            self.count("dedup", Met::Doubtful);
            self.rebuild.put(Put::Dedup(key, first))?;
        }
        let missing = self.rows.iter().filter(|(sequence, (_, in_tree))| {
            *in_tree && !self.rescued.contains(sequence) && !self.dead.contains(sequence)
        });
        let missing = missing.count() as u64;
        let missing_dead = self
            .summaries
            .iter()
            .filter(|(sequence, (_, _, sound))| *sound && !self.dead.contains(sequence));
        let missing_dead = missing_dead.count() as u64;
        let highest = self.rows.values().map(|(row, _)| row.queue.0);
        let highest = highest.chain(self.summaries.values().map(|(queue, ..)| *queue));
        let mut queues = self.names.all(highest.max());
        // Which groups were halted is not known for certain: what died must not be overtaken.
        let paused = self.is_torn_in("held");
        if paused {
            queues.iter_mut().for_each(|(_, _, paused)| *paused = true);
        }
        let clock = ClockRow {
            seen: self.seen,
            next_sequence: self.next_sequence,
            next_ordinal: self.next_ordinal,
            commit: 0,
        };
        self.rebuild.finish(self.boot, &clock, &queues)?;
        Ok(Salvaged {
            tables: self.tables,
            bodies: self.bodies,
            missing,
            missing_dead,
            without_body: self.without_body,
            paused,
        })
    }
}

/// What is counted about a message of which nothing is known: it begins anew, in the order of sending.
pub(super) fn counted_anew(queue: u32, message: &Message) -> Row {
    Row {
        queue: QueueId(queue),
        place: Place {
            sequence: message.id.sequence(),
            due: message.enqueued_at,
            priority: message.envelope.priority,
            group: message.envelope.group.as_deref().map(group_hash),
            key: None,
            ordinal: message.id.sequence(),
        },
        counters: Counters::default(),
        enqueued_at: message.enqueued_at,
        expires_at: message.expires_at,
        size: u32::try_from(message.size()).unwrap_or(u32::MAX),
        suspect: false,
    }
}
