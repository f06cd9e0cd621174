//! Looking without changing anything.

use std::collections::{BTreeMap, HashMap};

use gristmill_queue::board::Row;
use gristmill_queue::outcome::AttemptRecord;
use gristmill_queue::{Message, MessageId, QueueName, Reason, Timestamp};
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::dead::{self, DeadLetter, DeadSummary};
use crate::error::guarded;
use crate::held::{self, HaltedGroup};
use crate::ops::Standing;
use crate::tables::{CRON, DEAD, DEAD_INDEX, HELD, HISTORY, INDEX, MESSAGE, QUEUE};
use crate::{AdminError, CronMark, DeadFilter, Store, cron, record, row};

/// A waiting message, as an operator sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeked {
    /// The message.
    pub message: Message,
    /// When it is due.
    pub due: Timestamp,
    /// What is counted about it, and where it stands.
    pub row: Row,
    /// Its ended attempts.
    pub attempts: Vec<AttemptRecord>,
}

/// A message that was found by its id.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It waits.
    Waiting {
        /// The message.
        message: Box<Peeked>,
        /// It waits behind others of its group.
        behind: bool,
    },
    /// It is being handled.
    InFlight(Box<Peeked>),
    /// It is dead.
    Dead(Box<DeadLetter>),
}

/// Dead letters that died alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadGroup {
    /// What they share.
    pub fingerprint: u64,
    /// Why they died.
    pub reason: Reason,
    /// How many there are.
    pub count: u64,
    /// The latest of them.
    pub latest: DeadSummary,
}

/// The tables of messages that are not dead.
struct Tables {
    messages: ReadOnlyTable<u64, &'static [u8]>,
    index: ReadOnlyTable<u64, &'static [u8]>,
    histories: ReadOnlyTable<u64, &'static [u8]>,
}

impl Tables {
    fn open(transaction: &ReadTransaction) -> Result<Self, AdminError> {
        Ok(Tables {
            messages: transaction.open_table(MESSAGE)?,
            index: transaction.open_table(INDEX)?,
            histories: transaction.open_table(HISTORY)?,
        })
    }

    /// The message of that number, if there is one; `queue` tells the name of the queue of a number.
    fn read(
        &self,
        sequence: u64,
        queue: impl FnOnce(u32) -> Option<QueueName>,
    ) -> Result<Option<Peeked>, AdminError> {
        let (Some(record), Some(bytes)) = (self.messages.get(sequence)?, self.index.get(sequence)?)
        else {
            return Ok(None);
        };
        let damaged = || AdminError::Damaged(sequence);
        let row = row::decode(sequence, bytes.value()).map_err(|_| damaged())?;
        let queue = queue(row.queue.0).ok_or_else(damaged)?;
        let message = record::decode(sequence, queue, record.value()).map_err(|_| damaged())?;
        let history = self.histories.get(sequence)?;
        let attempts = history
            .and_then(|bytes| dead::decode_history(sequence, bytes.value()).ok())
            .unwrap_or_default();
        Ok(Some(Peeked {
            message,
            due: row.place.due,
            row,
            attempts,
        }))
    }
}

impl Store {
    /// The next messages of a queue in the order in which they are due, at most `limit`.
    ///
    /// # Errors
    /// When there is no such queue, or the store cannot be read.
    pub async fn peek(&self, queue: QueueName, limit: usize) -> Result<Vec<Peeked>, AdminError> {
        let waiting = self.waiting(queue.clone(), limit).await?;
        guarded(|| self.read_waiting(&queue, waiting))
    }

    fn read_waiting(
        &self,
        queue: &QueueName,
        waiting: Vec<u64>,
    ) -> Result<Vec<Peeked>, AdminError> {
        let tables = Tables::open(&self.database()?.begin_read()?)?;
        let mut peeked = Vec::with_capacity(waiting.len());
        for sequence in waiting {
            // A message may have been handled since it was listed.
            peeked.extend(tables.read(sequence, |_| Some(queue.clone()))?);
        }
        Ok(peeked)
    }

    /// Where a message is, and all that is known of it.
    ///
    /// # Errors
    /// When it is not here, or damaged.
    pub async fn find(&self, id: MessageId) -> Result<Found, AdminError> {
        let standing = self.standing(id.sequence()).await?;
        let found = guarded(|| self.read_one(id.sequence(), &standing))?;
        let is_it = |found: &Found| {
            let message = match found {
                Found::Waiting { message, .. } | Found::InFlight(message) => &message.message,
                Found::Dead(letter) => &letter.message,
            };
            message.id == id
        };
        found.filter(is_it).ok_or(AdminError::UnknownMessage(id))
    }

    fn read_one(&self, sequence: u64, standing: &Standing) -> Result<Option<Found>, AdminError> {
        let transaction = self.database()?.begin_read()?;
        let mut queues = BTreeMap::new();
        for entry in transaction.open_table(QUEUE)?.iter()? {
            let (name, value) = entry?;
            if let Ok(name) = QueueName::new(name.value()) {
                queues.insert(value.value().0, name);
            }
        }
        let name_of = |number: u32| queues.get(&number).cloned();
        if let Some(peeked) = Tables::open(&transaction)?.read(sequence, name_of)? {
            let message = Box::new(peeked);
            return Ok(Some(match *standing {
                Standing::InFlight => Found::InFlight(message),
                Standing::Waiting { behind } => Found::Waiting { message, behind },
            }));
        }
        let index = transaction.open_table(DEAD_INDEX)?;
        for (number, queue) in &queues {
            if index.get((*number, sequence))?.is_some() {
                let letter = self.read_dead_letter(queue, sequence)?;
                return Ok(letter.map(|letter| Found::Dead(Box::new(letter))));
            }
        }
        Ok(None)
    }

    /// How far each entry of the crontab has come, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn cron_marks(&self) -> Result<Vec<(String, CronMark)>, AdminError> {
        guarded(|| {
            let transaction = self.database()?.begin_read()?;
            Ok(cron::all(&transaction.open_table(CRON)?)?)
        })
    }

    /// The halted groups of a queue, in the order of their hashes, after that one, at most `limit`.
    ///
    /// # Errors
    /// When there is no such queue, or the store cannot be read.
    pub async fn halted_groups(
        &self,
        queue: QueueName,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HaltedGroup>, AdminError> {
        let halted = self.halted(queue.clone(), after, limit).await?;
        guarded(|| self.read_halted(&queue, halted))
    }

    fn read_halted(
        &self,
        queue: &QueueName,
        halted: Vec<(u64, u64)>,
    ) -> Result<Vec<HaltedGroup>, AdminError> {
        let number = self.queue_number(queue)?;
        let table = self.database()?.begin_read()?.open_table(HELD)?;
        let mut groups = Vec::with_capacity(halted.len());
        for (hash, waiting) in halted {
            // It may have been resumed since it was listed.
            let Some(bytes) = table.get((number, hash))? else {
                continue;
            };
            let held = held::decode((number, hash), bytes.value()).ok();
            groups.push(HaltedGroup {
                hash,
                waiting,
                halted: held.and_then(|held| held.halted),
            });
        }
        Ok(groups)
    }

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
        guarded(|| self.read_dead(queue, filter, after, limit))
    }

    fn read_dead(
        &self,
        queue: &QueueName,
        filter: &DeadFilter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<DeadSummary>, AdminError> {
        let number = self.queue_number(queue)?;
        let transaction = self.database()?.begin_read()?;
        let index = transaction.open_table(DEAD_INDEX)?;
        let mut found = Vec::new();
        for entry in index.range((number, after.saturating_add(1))..=(number, u64::MAX))? {
            let (key, bytes) = entry?;
            let sequence = key.value().1;
            if found.len() >= limit {
                break;
            }
            // One damaged row must not hide the others.
            let Ok(summary) = dead::decode_summary(sequence, bytes.value()) else {
                tracing::error!(message = sequence, "the index of a dead letter is damaged");
                continue;
            };
            if filter.means(&summary) {
                found.push(summary);
            }
        }
        Ok(found)
    }

    /// The dead letters of a queue grouped by fingerprint, the largest group first.
    ///
    /// # Errors
    /// When there is no such queue, or the store cannot be read.
    pub fn dead_groups(&self, queue: &QueueName) -> Result<Vec<DeadGroup>, AdminError> {
        let mut groups: HashMap<u64, DeadGroup> = HashMap::new();
        for summary in self.dead(queue, &DeadFilter::default(), 0, usize::MAX)? {
            let group = groups.entry(summary.fingerprint).or_insert(DeadGroup {
                fingerprint: summary.fingerprint,
                reason: summary.reason,
                count: 0,
                latest: summary,
            });
            group.count += 1;
            if summary.died_at >= group.latest.died_at {
                group.latest = summary;
            }
        }
        let mut groups: Vec<DeadGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.fingerprint));
        Ok(groups)
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

    fn read_dead_letter(
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

    fn queue_number(&self, queue: &QueueName) -> Result<u32, AdminError> {
        let transaction = self.database()?.begin_read()?;
        let found = transaction
            .open_table(QUEUE)?
            .get(queue.as_str())?
            .map(|value| value.value().0);
        found.ok_or_else(|| AdminError::UnknownQueue(queue.clone()))
    }
}
