//! Every record by itself, and what it says of those before it. What only all together tell is in
//! [`agree`](super::agree).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use gristmill_queue::{BlobRef, MessageId, QueueName};

use super::by_name;
use super::report::{CheckReport, HARMLESS, PUT_ASIDE, Problem, RESCUE, TableReport};
use super::walk::Pair;
use super::{Known, number, pair};
use crate::blob;
use crate::tables::{CLOCK_KEY, FORMAT};
use crate::writer::group::{ClockRow, decode_clock};
use crate::{OpenError, dead, dedup, held, lease, record, redrive, row};

/// What is known of a message while tables are compared.
#[derive(Clone, Copy, Default)]
pub(super) struct Entry {
    pub queue: u32,
    /// The record that belongs to the row was there, sound or not.
    pub met: bool,
}

pub(super) struct Checker<'f> {
    pub folder: &'f Path,
    pub report: CheckReport,
    pub sound: u64,
    pub damaged: u64,
    pub meta: BTreeMap<String, u64>,
    pub queues: BTreeMap<u32, QueueName>,
    /// Rows, by number.
    pub rows: HashMap<u64, Entry>,
    /// Rows of the index of dead letters.
    pub dead: HashMap<u64, Entry>,
    /// Which large body each message has, and of which id.
    pub wanted: HashMap<u64, (BlobRef, MessageId)>,
    /// Large bodies that a message and the table agree on.
    pub live: BTreeMap<u64, (BlobRef, MessageId)>,
    /// Dedup ids, until when they count.
    pub dedup: HashMap<Vec<u8>, u64>,
    pub last_sequence: u64,
    pub next_sequence: Option<u64>,
}

impl<'f> Checker<'f> {
    pub fn new(folder: &'f Path, report: CheckReport) -> Self {
        Checker {
            folder,
            report,
            sound: 0,
            damaged: 0,
            meta: BTreeMap::new(),
            queues: BTreeMap::new(),
            rows: HashMap::new(),
            dead: HashMap::new(),
            wanted: HashMap::new(),
            live: BTreeMap::new(),
            dedup: HashMap::new(),
            last_sequence: 0,
            next_sequence: None,
        }
    }

    pub fn problem(&mut self, problem: Problem) {
        self.report.add(problem);
    }

    pub fn remark(&mut self, remark: String) {
        self.report.remarks.push(remark);
    }

    pub fn tables(&mut self, table: TableReport) {
        self.report.tables.push(table);
    }

    pub fn into_report(self) -> CheckReport {
        self.report
    }

    /// How many records of the table were sound, and how many damaged.
    pub fn end_of_table(&mut self) -> (u64, u64) {
        (
            std::mem::take(&mut self.sound),
            std::mem::take(&mut self.damaged),
        )
    }

    /// Whether the file is a store, and one of a format that this build knows.
    pub fn is_ours(&self, file: &Path) -> Result<(), OpenError> {
        match self.meta.get("format") {
            Some(&found) if found > FORMAT && self.report.is_sound() => {
                Err(OpenError::NewerFormat {
                    file: file.to_owned(),
                    found,
                    known: FORMAT,
                })
            }
            None if self.report.is_sound() => Err(OpenError::NotAStore {
                file: file.to_owned(),
            }),
            _ => Ok(()),
        }
    }

    /// Looks at one record.
    pub fn record(&mut self, known: &Known, found: Pair<'_>) {
        let wrong = match known.name {
            "meta" => self.meta(found),
            "queue" => self.queue(found),
            "index" => self.index(found),
            "message" => self.message(found),
            "history" => self.history(found),
            "dead_index" => self.dead_index(found),
            "dead" => self.dead(found),
            "blob" => self.blob(found),
            "dedup" => self.dedup(found),
            "dedup_expiry" => self.dedup_expiry(found),
            "held" => self.held(found),
            "lease" => self.lease(found),
            "redrive" => self.redrive(found),
            "cron" => by_name::cron_row(found),
            "made" => by_name::made_row(found),
            "state" => by_name::state_row(found),
            _ => Ok(()),
        };
        match wrong {
            Ok(()) => self.sound += 1,
            Err(wrong) => {
                self.damaged += 1;
                self.report.add(*wrong);
            }
        }
    }

    fn meta(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let name = std::str::from_utf8(found.key);
        let value = number(found.value);
        if let (Ok(name), Some(value), true) = (name, value, found.sound) {
            self.meta.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn queue(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let wrong = |what: &str| {
            let name = String::from_utf8_lossy(found.key).into_owned();
            Err(Box::new(Problem::of("queue", name, what, RESCUE)))
        };
        let name = std::str::from_utf8(found.key).ok();
        let Some(name) = name.and_then(|name| QueueName::new(name).ok()) else {
            return wrong("its name is none of a queue");
        };
        let number = found.value.get(..4).and_then(|bytes| bytes.try_into().ok());
        let number = number.map(u32::from_le_bytes).unwrap_or(u32::MAX);
        if self.queues.contains_key(&number) {
            return wrong("its number is another queue's too");
        }
        self.queues.insert(number, name);
        Ok(())
    }

    fn index(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let sequence = number(found.key).unwrap_or(0);
        if sequence == CLOCK_KEY {
            return match decode_clock(found.value) {
                Ok(ClockRow {
                    next_sequence: next,
                    ..
                }) => {
                    self.next_sequence = Some(next);
                    Ok(())
                }
                Err(_) => {
                    let what = "the row of the clock is damaged, so no host can open the store";
                    Err(Box::new(Problem::of("index", "clock", what, RESCUE)))
                }
            };
        }
        self.last_sequence = self.last_sequence.max(sequence);
        let Ok(row) = row::decode(sequence, found.value) else {
            // Not to be told again when its message is met.
            let queue = u32::MAX;
            self.rows.insert(sequence, Entry { queue, met: false });
            let what = "what is counted about the message is damaged";
            return Err(Box::new(self.about("index", sequence, None, what)));
        };
        let queue = row.queue.0;
        self.rows.insert(sequence, Entry { queue, met: false });
        if self.queues.contains_key(&queue) {
            return Ok(());
        }
        let what = format!("the message is of queue number {queue}, which is not there");
        Err(Box::new(self.about("index", sequence, None, &what)))
    }

    fn message(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let sequence = number(found.key).unwrap_or(0);
        self.last_sequence = self.last_sequence.max(sequence);
        let Some(row) = self.rows.get_mut(&sequence) else {
            let what = "nothing is counted about the message: where it waits is not known";
            return Err(Box::new(self.about("message", sequence, None, what)));
        };
        row.met = true;
        let Some(queue) = self.queues.get(&row.queue) else {
            // Told at its row.
            return Ok(());
        };
        match record::decode(sequence, queue.clone(), found.value) {
            Ok(message) => {
                if let Some(blob) = message.blob {
                    self.wanted.insert(sequence, (blob, message.id));
                }
                Ok(())
            }
            Err(_) => {
                let queue = Some(queue.clone());
                let what = "the message is not what was sent";
                Err(Box::new(self.about("message", sequence, queue, what)))
            }
        }
    }

    fn history(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let sequence = number(found.key).unwrap_or(0);
        let what = match dead::decode_history(sequence, found.value) {
            Ok(_) if self.rows.contains_key(&sequence) => return Ok(()),
            Ok(_) => "these attempts are of a message that is not there",
            Err(_) => "the ended attempts of the message are damaged",
        };
        let record = format!("number {sequence}");
        Err(Box::new(Problem::of("history", record, what, HARMLESS)))
    }

    fn dead_index(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let (queue, sequence) = pair(found.key).unwrap_or((u32::MAX, 0));
        self.dead.insert(sequence, Entry { queue, met: false });
        let name = self.queues.get(&queue).cloned();
        let what = match (&name, dead::decode_summary(sequence, found.value)) {
            (Some(_), Ok(_)) => return Ok(()),
            (None, _) => "the dead letter is of a queue that is not there",
            (_, Err(_)) => "the summary of the dead letter is damaged",
        };
        Err(Box::new(self.letter("dead_index", sequence, name, what)))
    }

    fn dead(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let sequence = number(found.key).unwrap_or(0);
        self.last_sequence = self.last_sequence.max(sequence);
        let Some(entry) = self.dead.get_mut(&sequence) else {
            let what = "the dead letter is in no list";
            return Err(Box::new(self.letter("dead", sequence, None, what)));
        };
        entry.met = true;
        let Some(queue) = self.queues.get(&entry.queue).cloned() else {
            return Ok(());
        };
        let decoded = dead::record(sequence, found.value)
            .and_then(|bytes| record::decode(sequence, queue.clone(), bytes))
            .and_then(|message| dead::decode(sequence, message, found.value));
        let Ok(letter) = decoded else {
            let what = "the dead letter is not what was stored";
            return Err(Box::new(self.letter("dead", sequence, Some(queue), what)));
        };
        let message = letter.message;
        if let Some(blob) = message.blob {
            self.wanted.insert(sequence, (blob, message.id));
        }
        if self.rows.contains_key(&sequence) {
            let what = "the message is dead and waits as well";
            let problem = self.letter("dead", sequence, Some(queue), what);
            return Err(Box::new(Problem {
                message: Some(message.id),
                ..problem
            }));
        }
        Ok(())
    }

    fn blob(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let sequence = number(found.key).unwrap_or(0);
        let wanted = self.wanted.remove(&sequence);
        let what = match (blob::decode_row(sequence, found.value), wanted) {
            (Ok(row), Some((blob, id))) if row == blob => {
                self.live.insert(blob.name, (blob, id));
                return Ok(());
            }
            (Ok(_), Some(_)) => "it names another file than the message does",
            (Ok(_), None) => "it names a file for a message that is not there, or has none",
            (Err(_), _) => "which file has the large body of the message is damaged",
        };
        let record = format!("number {sequence}");
        Err(Box::new(Problem::of("blob", record, what, RESCUE)))
    }

    fn dedup(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let row = <&[u8; 20]>::try_from(found.key).ok();
        let Some(first) = row.and_then(|key| dedup::decode(key, found.value).ok()) else {
            let what = "a remembered dedup id is damaged: its message may be accepted twice";
            let record = hex(found.key);
            return Err(Box::new(Problem::of("dedup", record, what, HARMLESS)));
        };
        self.dedup
            .insert(found.key.to_vec(), first.expires.unix_ms());
        Ok(())
    }

    fn dedup_expiry(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        // When it ends, and the id; ids that were used again have an earlier end here as well.
        let id = found.key.len().saturating_sub(20);
        let (head, id) = found.key.split_at(id);
        let ends = head.len().checked_sub(8).and_then(|at| number(&head[at..]));
        if ends.is_some() && self.dedup.get(id).copied() == ends {
            self.dedup.remove(id);
        }
        Ok(())
    }

    fn held(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let key = pair(found.key).unwrap_or((u32::MAX, 0));
        let queue = self.queues.get(&key.0).cloned();
        let what = match (&queue, held::decode(key, found.value)) {
            (Some(_), Ok(_)) => return Ok(()),
            (None, _) => "the halted group is of a queue that is not there",
            (_, Err(_)) => "why the group is halted is damaged",
        };
        let problem = Problem::of("held", format!("group {:016x}", key.1), what, RESCUE);
        Err(Box::new(Problem { queue, ..problem }))
    }

    fn lease(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let sequence = number(found.key).unwrap_or(0);
        let what = match lease::decode(sequence, found.value) {
            Ok(_) if self.rows.contains_key(&sequence) => return Ok(()),
            Ok(_) => "the lease is of a message that is not there",
            Err(_) => "the lease of a pull consumer is damaged: its message is delivered again",
        };
        let record = format!("number {sequence}");
        Err(Box::new(Problem::of("lease", record, what, HARMLESS)))
    }

    fn redrive(&mut self, found: Pair<'_>) -> Result<(), Box<Problem>> {
        let order = number(found.key).unwrap_or(0);
        let what = match redrive::decode(order, found.value) {
            Ok(one) if self.queues.values().any(|queue| *queue == one.queue) => return Ok(()),
            Ok(one) => format!("the redrive is of queue {}, which is not there", one.queue),
            Err(_) => "the redrive is damaged and does not go on".to_owned(),
        };
        let record = format!("redrive {order}");
        Err(Box::new(Problem::of("redrive", record, what, RESCUE)))
    }

    pub fn about(
        &self,
        place: &'static str,
        sequence: u64,
        queue: Option<QueueName>,
        what: &str,
    ) -> Problem {
        let problem = Problem::of(place, format!("number {sequence}"), what, PUT_ASIDE);
        Problem { queue, ..problem }
    }

    pub fn letter(
        &self,
        place: &'static str,
        sequence: u64,
        queue: Option<QueueName>,
        what: &str,
    ) -> Problem {
        let problem = Problem::of(place, format!("number {sequence}"), what, RESCUE);
        Problem { queue, ..problem }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
