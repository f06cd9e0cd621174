//! What is made of records in pages that nothing leads to.

use gristmill_queue::board::Row;

use super::{Done, Met, Rescue};
use crate::{dedup, row, state};

impl Rescue {
    /// A row that lies elsewhere: of what changes, the newest copy is the one with the most attempts.
    pub fn loose_row(&mut self, sequence: u64, value: &[u8], certain_only: bool) {
        if certain_only || !self.is_lost("index", &sequence.to_be_bytes()) {
            return;
        }
        let Ok(row) = row::decode(sequence, value) else {
            return;
        };
        let age = |row: &Row| {
            let counters = &row.counters;
            let counted = counters.attempts + counters.postponed;
            (counters.redriven, counters.crashes, counted, row.place.due)
        };
        let known = self.rows.get(&sequence);
        if known.is_none_or(|(known, in_tree)| !in_tree && age(known) < age(&row)) {
            self.rows.insert(sequence, (row, false));
        }
    }

    pub fn loose_queue(&mut self, name: &[u8], value: &[u8]) {
        self.names.row(name, value, false);
    }

    /// Learns from a message, wherever it lies, which number its queue has.
    pub fn learn(&mut self, sequence: u64, record: &[u8]) {
        if let Some((row, _)) = self.rows.get(&sequence) {
            let number = Some(row.queue.0);
            let _ = self.names.recognise(number, sequence, record);
        }
    }

    /// A dead letter that lies elsewhere. These come before messages: one that died has an old copy
    /// from when it waited.
    pub fn loose_dead(&mut self, sequence: u64, value: &[u8], certain_only: bool) -> Done {
        let certain = self
            .summaries
            .get(&sequence)
            .is_some_and(|(_, _, sound)| *sound);
        if certain {
            return self.dead(sequence, value, Met::Loose);
        }
        // The index of dead letters begins with the queue: any part of it may have had this one.
        if !certain_only
            && self.is_torn_in("dead_index")
            && self.is_lost("dead", &sequence.to_be_bytes())
        {
            return self.dead(sequence, value, Met::Doubtful);
        }
        Ok(())
    }

    /// A message that lies elsewhere.
    pub fn loose_message(&mut self, sequence: u64, value: &[u8], certain_only: bool) -> Done {
        let key = sequence.to_be_bytes();
        let in_tree = self
            .rows
            .get(&sequence)
            .is_some_and(|(_, in_tree)| *in_tree);
        if in_tree {
            return self.message(sequence, value, Met::Loose);
        }
        let lost = self.is_lost("message", &key) && self.is_lost("index", &key);
        if lost && !certain_only && !self.dead.contains(&sequence) {
            return self.message(sequence, value, Met::Doubtful);
        }
        Ok(())
    }

    /// A record with a name that lies elsewhere: the state of a handler, or a dedup id.
    pub fn loose_named(&mut self, key: &[u8], value: &[u8], certain_only: bool) {
        if certain_only {
            return;
        }
        if let Ok(id) = <[u8; 20]>::try_from(key)
            && self.is_lost("dedup", key)
            && !self.dedup.contains(&id)
            && let Ok(first) = dedup::decode(&id, value)
        {
            let known = self.loose_dedup.entry(id).or_insert(first);
            if known.expires < first.expires {
                *known = first;
            }
        } else if key.contains(&0)
            && self.is_lost("state", key)
            && !self.state.contains(key)
            && state::is_sound(key, value)
        {
            self.loose_state_of(key, value);
        }
    }

    /// Keeps the newest of the values of a key.
    pub fn loose_state_of(&mut self, key: &[u8], value: &[u8]) {
        let known = self.loose_state.entry(key.to_vec());
        let known = known.or_insert_with(|| value.to_vec());
        if state::version(known) < state::version(value) {
            *known = value.to_vec();
        }
    }
}
