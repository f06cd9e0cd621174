//! What the writer holds in memory, rebuilt from the tables when the file is opened: the queues, who
//! waits, who was being handled when the host died, and when which dead letter is forgotten.

mod leases;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use gristmill_queue::board::{AfterCrash, QueueId, Row};
use gristmill_queue::outcome::{AttemptRecord, Usage};
use gristmill_queue::ready::Place;
use gristmill_queue::{QueueName, Reason, Settlement, Timestamp};
use redb::{ReadOnlyTable, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use crate::error::Fatal;
use crate::held::{self, Doom, HeldGroup};
use crate::inflight::Named;
use crate::store::Options;
use crate::tables::{DEAD, DEAD_INDEX, HELD, INDEX, MESSAGE, QUARANTINE, QUEUE, REDRIVE};
use crate::writer::Writer;
use crate::writer::bury::Cause;
use crate::writer::extend_history;
use crate::writer::group::{self, Group};
use crate::writer::held::Rest;
use crate::writer::redrive::Running;
use crate::{dead, record, redrive, rows};

/// The name of a queue, its number, whether it is paused, and how many dead letters it has.
type FoundQueue = (QueueName, u32, bool, u64);

impl Writer {
    /// Takes in the queues, and says how many dead letters are missing.
    pub(crate) fn restore_queues(&mut self, options: &Options) -> Result<u64, Fatal> {
        let fail = |source: redb::Error| Fatal {
            doing: "reading the queues",
            source,
        };
        let (queues, missing) = self.read_queues().map_err(fail)?;
        for (name, _, paused, dead) in queues {
            self.board.add_queue(name, paused, dead);
        }
        let mut queues = options.queues.clone();
        let made = self
            .restore_made(options.read_made.as_ref())
            .map_err(fail)?;
        let file: HashSet<QueueName> = queues.iter().map(|one| one.name.clone()).collect();
        queues.extend(made.into_iter().filter(|one| !file.contains(&one.name)));
        let (damaged, complete) = self.restore_held().map_err(fail)?;
        let database = Arc::clone(&self.database);
        let transaction = group::begin(&database)?;
        let redo = self.log.begin();
        let mut group = Group::open(&transaction, &redo)?;
        if !complete || !damaged.is_empty() {
            self.distrust(damaged, &mut group)?;
        }
        let (reply, _) = tokio::sync::oneshot::channel();
        self.declare(&queues, options.topics.clone(), reply, &mut group)?;
        self.answers.clear();
        let now = self.last_now;
        let changed = group.finish(&self.clock_row(now))?;
        self.end_group(transaction, redo, changed, false)?;
        Ok(missing)
    }

    /// The queues in the order of their numbers, which are those that the board is going to give, and how
    /// many dead letters are missing.
    fn read_queues(&mut self) -> Result<(Vec<FoundQueue>, u64), redb::Error> {
        let transaction = self.database.begin_read()?;
        let mut queues = Vec::new();
        for entry in transaction.open_table(QUEUE)?.iter()? {
            let (name, value) = entry?;
            let (number, paused) = value.value();
            let name = QueueName::new(name.value())
                .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
            queues.push((name, number, paused, 0));
        }
        queues.sort_by_key(|&(_, number, _, _)| number);
        if (0..).zip(&queues).any(|(number, queue)| number != queue.1) {
            return Err(redb::Error::Corrupted("the numbers of the queues".into()));
        }
        let mut sound = 0;
        for entry in transaction.open_table(DEAD_INDEX)?.iter()? {
            let (key, bytes) = entry?;
            let (number, sequence) = key.value();
            let Some(queue) = queues.get_mut(number as usize) else {
                tracing::error!(
                    message = sequence,
                    "a dead letter is of no queue; it is left alone"
                );
                continue;
            };
            queue.3 += 1;
            if let Ok(summary) = dead::decode_summary(sequence, bytes.value()) {
                sound += 1;
                if let Some(time) = summary.forget_at {
                    self.forget.insert((time, QueueId(number), sequence));
                }
            }
        }
        let counted = transaction.open_table(DEAD)?.len()?;
        Ok((queues, counted.abs_diff(sound)))
    }

    /// Goes on with the redrives that were under way.
    pub(crate) fn restore_redrives(&mut self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_read()?;
        for entry in transaction.open_table(REDRIVE)?.iter()? {
            let (number, bytes) = entry?;
            let number = number.value();
            match redrive::decode(number, bytes.value()) {
                Ok(redrive) => drop(self.redrives.insert(number, Running::new(redrive, true))),
                Err(_) => tracing::error!(
                    redrive = number,
                    "the record of a redrive is damaged: it does not go on, and what it has not taken yet stays dead; start it again"
                ),
            }
        }
        Ok(())
    }

    /// Holds the groups that delivered nothing when the store was closed. Returns the keys of those
    /// of which it is not known for certain which they are, and whether there are as many as there should be:
    /// a damaged page can lack some, or be an old one.
    fn restore_held(&mut self) -> Result<(Vec<held::Key>, bool), redb::Error> {
        let transaction = self.database.begin_read()?;
        let table = transaction.open_table(HELD)?;
        let (mut damaged, mut seen) = (Vec::new(), 0);
        for entry in table.iter()? {
            seen += 1;
            let (key, bytes) = entry?;
            let (key, queue) = (key.value(), QueueId(key.value().0));
            match held::decode(key, bytes.value()) {
                Ok(HeldGroup { halted, doom }) if self.board.has(queue) => {
                    if halted.is_some() {
                        self.board.halt_group(queue, key.1);
                    }
                    if let Some(Doom { doomed, died }) = doom {
                        self.board.doom_group(queue, key.1, doomed);
                        let rest = Rest {
                            died,
                            written: true,
                        };
                        self.rests.insert((queue, key.1), rest);
                    }
                }
                _ => damaged.push(key),
            }
        }
        Ok((damaged, seen == table.len()?))
    }

    /// Pauses all queues because of held groups that are not known for certain, so that nothing overtakes what
    /// died: which queue a damaged record is of may be what is damaged.
    fn distrust(&mut self, damaged: Vec<held::Key>, group: &mut Group<'_>) -> Result<(), Fatal> {
        for key in damaged {
            let queue = QueueId(key.0);
            if self.board.has(queue) {
                self.board.halt_group(queue, key.1);
            } else {
                group.put_held(queue, key.1, &HeldGroup::default())?;
            }
        }
        tracing::error!(
            "the record of a halted group is damaged or missing; all queues are paused, lest what died is overtaken: look at their halted groups and dead letters, then resume them; if each start says so, rescue the store with `gristmill store salvage`"
        );
        for queue in self.board.ids().collect::<Vec<_>>() {
            let name = self.board.name(queue).clone();
            self.board.set_paused(queue, true);
            group.put_queue(name.as_str(), queue.0, true)?;
        }
        Ok(())
    }

    /// Charges the messages that were being handled when the host died. They are suspects and run
    /// alone before the rest goes on; one that was a suspect already is charged for certain.
    pub(crate) fn charge(&mut self, named: &[Named]) -> Result<u64, Fatal> {
        let database = Arc::clone(&self.database);
        let transaction = group::begin(&database)?;
        let redo = self.log.begin();
        let mut group = Group::open(&transaction, &redo)?;
        // A slot that was not cleared in time may name a message a second time.
        let mut open: BTreeMap<u64, Row> = BTreeMap::new();
        for named in named {
            // Settled since, if its attempts have moved on or it is gone.
            let is_open = |row: &Row| {
                row.counters.attempts == named.attempts
                    && self.board.has(row.queue)
                    && !self.board.is_leased(named.sequence)
            };
            if let Some(row) = group.row(named.sequence)?.filter(is_open) {
                open.insert(named.sequence, row);
            }
        }
        let now = self.last_now;
        for row in open.values() {
            self.charge_one(row, &mut group, now)?;
        }
        self.write_rests(&mut group)?;
        let changed = group.finish(&self.clock_row(now))?;
        self.end_group(transaction, redo, changed, false)?;
        Ok(open.len() as u64)
    }

    fn charge_one(
        &mut self,
        row: &Row,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let error = "the host died while it handled this message".to_owned();
        let attempt = AttemptRecord {
            attempt: row.counters.next_attempt(),
            started_at: now,
            reason: Reason::HostCrash,
            error: error.clone(),
            usage: Usage::default(),
            handler: String::new(),
        };
        match row.after_crash(self.board.policy(row.queue), now) {
            AfterCrash::RunAlone(charged) => {
                let mut history = group.history(row.place.sequence)?;
                extend_history(&mut history, false, Some(attempt));
                group.put_history(row.place.sequence, &history)?;
                group.put_row(&charged);
                Ok(())
            }
            AfterCrash::Settle(Settlement::Dead { reason, counters }) => {
                let Some(message) = self.sound_message(row, group)? else {
                    return self.quarantine(row.place.sequence, group);
                };
                let cause = Cause {
                    reason,
                    error,
                    counters,
                    refunded: false,
                    attempt: Some(attempt),
                    evidence: None,
                };
                self.board.note_dead(row.queue);
                self.bury(row, message, cause, group, now)?;
                // What was moved is taken in with all that waits.
                for moved in std::mem::take(&mut self.moved) {
                    self.board.forget_dead(moved.from, 1, false);
                }
                Ok(())
            }
            AfterCrash::Settle(_) => {
                self.drop_blob(row.place.sequence, group)?;
                group.remove_message(row.place.sequence, true)
            }
        }
    }

    /// Rebuilds the ready order from the index, without those that were found to be unsound. Rows of
    /// groups come in order of acceptance.
    pub(crate) fn restore_messages(
        &mut self,
        unsound: Option<&HashSet<u64>>,
    ) -> Result<(u64, u64), redb::Error> {
        let transaction = self.database.begin_read()?;
        let index = transaction.open_table(INDEX)?;
        let now = self.last_now;
        let messages = transaction.open_table(MESSAGE)?;
        let (mut grouped, mut waiting, mut damaged) = (Vec::new(), 0, Vec::new());
        let mut pulled = 0;
        let mut replies = Vec::new();
        let (board, next_ordinal) = (&mut self.board, &mut self.next_ordinal);
        let reply_queue = self.replies.queue;
        rows::each(&index, |sequence, row| {
            let sound = unsound.is_none_or(|unsound| !unsound.contains(&sequence));
            let Some(row) = row.filter(|row| sound && board.has(row.queue)) else {
                damaged.push(sequence);
                return;
            };
            if board.is_leased(sequence) {
                pulled += 1;
                return;
            }
            waiting += 1;
            if Some(row.queue) == reply_queue {
                replies.push(row.place);
            }
            // The clock row tells; what stands in the table must not be overtaken in any case.
            *next_ordinal = (*next_ordinal).max(row.place.ordinal.saturating_add(1));
            if row.place.group.is_some() {
                grouped.push(row);
            } else {
                board.restore(&row, now);
            }
        })?;
        if messages.len()? != waiting + pulled + damaged.len() as u64 {
            for entry in messages.iter()? {
                let sequence = entry?.0.value();
                if index.get(sequence)?.is_none() {
                    damaged.push(sequence);
                }
            }
        }
        grouped.sort_unstable_by_key(|row| row.place.ordinal);
        for row in &grouped {
            self.board.restore(row, now);
        }
        self.restore_replies(replies, &messages)?;
        let quarantined = transaction.open_table(QUARANTINE)?.len()? + damaged.len() as u64;
        self.todo.extend(
            damaged
                .into_iter()
                .map(|sequence| crate::ops::Op::Quarantine { sequence }),
        );
        Ok((waiting, quarantined))
    }

    /// Finds out what the replies that wait are found by, oldest first.
    fn restore_replies(
        &mut self,
        mut replies: Vec<Place>,
        messages: &ReadOnlyTable<u64, &'static [u8]>,
    ) -> Result<(), redb::Error> {
        self.replies.restored = true;
        replies.sort_unstable_by_key(|place| place.ordinal);
        let queue = self.replies.queue;
        let Some(name) = queue.map(|queue| self.board.name(queue).clone()) else {
            return Ok(());
        };
        for Place { sequence, .. } in replies {
            let found = messages.get(sequence)?;
            // One that is damaged is put aside when it expires.
            if let Some(message) =
                found.and_then(|bytes| record::decode(sequence, name.clone(), bytes.value()).ok())
            {
                let correlation_id = message.envelope.correlation_id.as_deref();
                self.replies.note(sequence, correlation_id);
            }
        }
        Ok(())
    }
}
