//! Looking without changing anything.

use std::collections::BTreeMap;

use gristmill_queue::board::Row;
use gristmill_queue::outcome::AttemptRecord;
use gristmill_queue::{Message, MessageId, QueueName, Timestamp};
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use crate::dead::{self, DeadLetter};
use crate::error::guarded;
use crate::held::{self, HaltedGroup};
use crate::ops::Standing;
use crate::tables::{CRON, DEAD_INDEX, HELD, HISTORY, INDEX, MESSAGE, QUEUE};
use crate::{AdminError, CronMark, Store, cron, record, row};

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
        let mut peeked = Vec::with_capacity(waiting.len());
        self.visit_waiting(queue, waiting, &mut |one| peeked.push(one))?;
        Ok(peeked)
    }

    /// Shows the messages of these numbers, as far as they still wait.
    pub(crate) fn visit_waiting(
        &self,
        queue: &QueueName,
        waiting: Vec<u64>,
        visit: &mut dyn FnMut(Peeked),
    ) -> Result<(), AdminError> {
        let tables = Tables::open(&self.database()?.begin_read()?)?;
        for sequence in waiting {
            // A message may have been handled since it was listed.
            if let Some(one) = tables.read(sequence, |_| Some(queue.clone()))? {
                visit(one);
            }
        }
        Ok(())
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

    pub(crate) fn queue_number(&self, queue: &QueueName) -> Result<u32, AdminError> {
        let transaction = self.database()?.begin_read()?;
        let found = transaction
            .open_table(QUEUE)?
            .get(queue.as_str())?
            .map(|value| value.value().0);
        found.ok_or_else(|| AdminError::UnknownQueue(queue.clone()))
    }
}
