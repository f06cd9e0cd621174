//! What a group writes about queues: their names and numbers, what was made of them, and what goes when they
//! are deleted.

use gristmill_queue::board::QueueId;
use redb::ReadableTable;

use super::{FORGET_DEDUP, Group, fatal, table};
use crate::error::Fatal;
use crate::log::redo::Logged;
use crate::tables::{DEDUP, HELD, MADE, QUEUE};
use crate::{dedup, made};

impl Group<'_> {
    /// Writes a queue's number and whether it is paused.
    pub fn put_queue(&mut self, name: &str, number: u32, paused: bool) -> Result<(), Fatal> {
        self.changed = true;
        let mut queues = Logged::open(self.transaction, QUEUE, self.redo)
            .map_err(fatal("opening table queue"))?;
        queues
            .insert(name, (number, paused))
            .map_err(fatal("writing a queue"))?;
        Ok(())
    }

    /// Writes the definition of a queue that is made at run time; none, if it is deleted. Says whether it
    /// was there.
    pub fn put_made(&mut self, name: &str, definition: Option<&str>) -> Result<bool, Fatal> {
        self.changed = true;
        let mut made =
            Logged::open(self.transaction, MADE, self.redo).map_err(fatal("opening table made"))?;
        let before = match definition {
            Some(definition) => {
                let row = made::encode(name, definition);
                made.insert(name, row.as_slice())
            }
            None => made.remove(name),
        };
        let before = before.map_err(fatal("writing a definition"))?;
        Ok(before.is_some())
    }

    /// Forgets the name of a queue.
    pub fn remove_queue(&mut self, name: &str) -> Result<(), Fatal> {
        self.changed = true;
        let mut queues = Logged::open(self.transaction, QUEUE, self.redo)
            .map_err(fatal("opening table queue"))?;
        queues
            .remove(name)
            .map_err(fatal("forgetting the name of a queue"))?;
        Ok(())
    }

    /// Forgets some of the dedup ids of a queue, whether or not their window has ended. Says whether
    /// there may be more.
    pub fn forget_dedup_of(&mut self, queue: QueueId) -> Result<bool, Fatal> {
        let table = table(&mut self.dedup, (self.transaction, self.redo), DEDUP)?;
        let count = dedup::forget_queue(table, queue, FORGET_DEDUP)
            .map_err(fatal("forgetting dedup ids"))?;
        self.changed |= count > 0;
        Ok(count == FORGET_DEDUP)
    }

    /// The groups of a queue that deliver nothing, at most `most` of them, by their hashes.
    pub fn held_of(&mut self, queue: QueueId, most: usize) -> Result<Vec<u64>, Fatal> {
        let table = table(&mut self.held, (self.transaction, self.redo), HELD)?;
        let doing = "listing held groups";
        let range = (queue.0, 0)..=(queue.0, u64::MAX);
        let rows = table.range(range).map_err(fatal(doing))?;
        let mut found = Vec::new();
        for row in rows.take(most) {
            let (key, _) = row.map_err(fatal(doing))?;
            found.push(key.value().1);
        }
        Ok(found)
    }
}
