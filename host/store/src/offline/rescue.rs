//! What is known of a damaged store while it is rescued: each record that is met is verified, and goes
//! into the new store once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::{BlobRef, QueueName, Timestamp};

use super::names::Names;
use super::rebuild::{self, Put, Rebuild};
use super::salvage::{Salvaged, SalvagedTable};
use super::walk::{Lost, Pair};
use super::{Known, bodies, number, pair};
use crate::backup::{Bodies, copy_body};
use crate::blob::Blobs;
use crate::dedup::First;
use crate::open::FILE;
use crate::tables::CLOCK_KEY;
use crate::writer::group::decode_clock;
use crate::{cron, dead, dedup, held, lease, made, redrive, row, state};

mod elsewhere;
mod finish;

/// How a record was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Met {
    /// In its tree.
    InTree,
    /// Elsewhere, but the index names it.
    Loose,
    /// Elsewhere, and it may have been removed before the damage.
    Doubtful,
}

pub(super) struct Rescue {
    names: Names,
    boot: u64,
    seen: Timestamp,
    next_sequence: u64,
    next_ordinal: u64,
    /// What is counted about messages; and whether that was met in its tree.
    rows: HashMap<u64, (Row, bool)>,
    /// The rows of the index of dead letters.
    summaries: HashMap<u64, (u32, Vec<u8>, bool)>,
    rescued: HashSet<u64>,
    dead: HashSet<u64>,
    /// State that was met in its tree.
    state: HashSet<Vec<u8>>,
    /// The newest state that was met elsewhere.
    loose_state: BTreeMap<Vec<u8>, Vec<u8>>,
    dedup: HashSet<[u8; 20]>,
    loose_dedup: HashMap<[u8; 20], First>,
    lost: HashMap<&'static str, Vec<Lost>>,
    tables: Vec<SalvagedTable>,
    now: SalvagedTable,
    blobs: Blobs,
    bodies_to: PathBuf,
    bodies: Bodies,
    without_body: u64,
    rebuild: Rebuild,
}

type Done = Result<(), redb::Error>;

impl Rescue {
    pub fn begin(from: &Path, to: &Path, names: Vec<QueueName>) -> Result<Self, redb::Error> {
        // A file of a large body is named by the start that wrote it: no name is given again.
        let last = bodies::names(from)?.last().copied().unwrap_or(0);
        Ok(Rescue {
            names: Names::new(names),
            boot: last >> 32,
            seen: Timestamp::ZERO,
            next_sequence: 1,
            next_ordinal: 1,
            rows: HashMap::new(),
            summaries: HashMap::new(),
            rescued: HashSet::new(),
            dead: HashSet::new(),
            state: HashSet::new(),
            loose_state: BTreeMap::new(),
            dedup: HashSet::new(),
            loose_dedup: HashMap::new(),
            lost: HashMap::new(),
            tables: Vec::new(),
            now: SalvagedTable::default(),
            blobs: Blobs::at(from),
            bodies_to: Blobs::folder(to),
            bodies: Bodies::default(),
            without_body: 0,
            rebuild: Rebuild::begin(&to.join(FILE))?,
        })
    }

    /// A record of a tree.
    pub fn record(&mut self, known: &Known, found: Pair<'_>) -> Done {
        self.now.found += 1;
        let before = self.now.rescued;
        match known.name {
            "meta" => self.meta(found),
            "queue" => self.names.row(found.key, found.value, found.sound),
            "index" => self.index(found),
            "dead_index" => self.dead_index(found),
            "message" => {
                if let Some(sequence) = number(found.key) {
                    self.message_in_tree(sequence, found)?;
                }
            }
            "dead" => {
                if let Some(sequence) = number(found.key) {
                    self.dead_in_tree(sequence, found)?;
                }
            }
            "quarantine" => {
                if let Some(sequence) = number(found.key) {
                    self.rescued_one(Put::quarantine(sequence, found.value))?;
                }
            }
            _ => {
                if let Some(put) = self.other(known.name, found) {
                    self.rescued_one(put)?;
                }
            }
        }
        debug_assert!(self.now.rescued <= before + 1);
        Ok(())
    }

    fn rescued_one(&mut self, put: Put) -> Done {
        self.now.rescued += 1;
        self.rebuild.put(put)
    }

    /// What could not be read of a table, when all of it was met.
    pub fn lose(&mut self, known: &Known, lost: Vec<Lost>) {
        let table = SalvagedTable {
            name: known.name,
            unreadable: lost.len() as u64,
            ..std::mem::take(&mut self.now)
        };
        self.tables.push(table);
        self.lost.insert(known.name, lost);
    }

    fn is_lost(&self, table: &str, key: &[u8]) -> bool {
        let lost = self.lost.get(table);
        lost.is_some_and(|lost| lost.iter().any(|part| part.has(key)))
    }

    fn is_torn_in(&self, table: &str) -> bool {
        self.lost.get(table).is_some_and(|lost| !lost.is_empty())
    }

    /// Whether rows or queues may lie in pages that nothing leads to.
    pub fn is_torn(&self) -> bool {
        self.is_torn_in("index") || self.is_torn_in("queue")
    }

    /// Whether anything may be found in pages that nothing leads to.
    pub fn lacks(&self) -> bool {
        ["index", "message", "dead", "dead_index", "state", "dedup"]
            .into_iter()
            .any(|table| self.is_torn_in(table))
            || self.rows.keys().any(|one| !self.rescued.contains(one))
            || self.summaries.keys().any(|one| !self.dead.contains(one))
    }

    fn meta(&mut self, found: Pair<'_>) {
        if found.key == b"boot" && found.sound {
            self.boot = self.boot.max(number(found.value).unwrap_or(0));
        }
    }

    fn index(&mut self, found: Pair<'_>) {
        let Some(sequence) = number(found.key) else {
            return;
        };
        if sequence == CLOCK_KEY {
            if let Ok(clock) = decode_clock(found.value) {
                self.seen = clock.seen;
                self.next_sequence = self.next_sequence.max(clock.next_sequence);
                self.next_ordinal = self.next_ordinal.max(clock.next_ordinal);
            }
        } else if let Ok(row) = row::decode(sequence, found.value) {
            // A page that is not sound may be an old one.
            self.rows.insert(sequence, (row, found.sound));
        }
    }

    fn dead_index(&mut self, found: Pair<'_>) {
        if let Some((queue, sequence)) = pair(found.key)
            && dead::decode_summary(sequence, found.value).is_ok()
        {
            let summary = found.value.to_vec();
            self.summaries
                .insert(sequence, (queue, summary, found.sound));
        }
    }

    /// A message in its tree. If its page is not sound, which may be an old one in the place of
    /// another, the index has to say that it was not handled since.
    fn message_in_tree(&mut self, sequence: u64, found: Pair<'_>) -> Done {
        let certain = self.rows.get(&sequence).is_some_and(|(_, sound)| *sound);
        if found.sound || certain {
            self.message(sequence, found.value, Met::InTree)
        } else {
            Ok(())
        }
    }

    fn dead_in_tree(&mut self, sequence: u64, found: Pair<'_>) -> Done {
        let certain = self
            .summaries
            .get(&sequence)
            .is_some_and(|(_, _, sound)| *sound);
        if found.sound || certain {
            self.dead(sequence, found.value, Met::InTree)
        } else {
            Ok(())
        }
    }

    /// Rescues a message, if it is one and was not yet met.
    fn message(&mut self, sequence: u64, record: &[u8], met: Met) -> Done {
        if self.rescued.contains(&sequence) {
            return Ok(());
        }
        let row = self.rows.get(&sequence).map(|(row, _)| *row);
        let number = row.map(|row| row.queue.0);
        let Some((queue, message)) = self.names.recognise(number, sequence, record) else {
            return Ok(());
        };
        self.rescued.insert(sequence);
        if let Some(blob) = message.blob
            && !self.body(blob)?
        {
            self.without_body += 1;
            return self.rebuild.put(Put::quarantine(sequence, record));
        }
        let row = row.unwrap_or_else(|| finish::counted_anew(queue, &message));
        let row = Row {
            queue: QueueId(queue),
            ..row
        };
        self.note(sequence, row.place.ordinal);
        self.count("message", met);
        self.rebuild.put(Put::message(sequence, record))?;
        let row = row::encode(&row);
        self.rebuild.put(Put::row(sequence, &row))?;
        self.count("index", met);
        match message.blob {
            Some(blob) => self.rebuild.put(Put::blob(sequence, &blob)),
            None => Ok(()),
        }
    }

    fn dead(&mut self, sequence: u64, letter: &[u8], met: Met) -> Done {
        if self.dead.contains(&sequence) || self.rescued.contains(&sequence) {
            return Ok(());
        }
        let Ok(record) = dead::record(sequence, letter) else {
            return Ok(());
        };
        let summary = self.summaries.get(&sequence).cloned();
        let number = summary.as_ref().map(|(queue, ..)| *queue);
        let Some((queue, message)) = self.names.recognise(number, sequence, record) else {
            return Ok(());
        };
        let blob = message.blob;
        let Ok(read) = dead::decode(sequence, message, letter) else {
            return Ok(());
        };
        self.dead.insert(sequence);
        if let Some(blob) = blob {
            // Without its body a letter still tells what happened.
            let there = self.body(blob)?;
            self.without_body += u64::from(!there);
            self.rebuild.put(Put::blob(sequence, &blob))?;
        }
        self.note(sequence, read.ordinal);
        let summary = summary.map_or_else(|| rebuild::summary(&read), |(_, summary, _)| summary);
        self.count("dead", met);
        self.count("dead_index", met);
        self.rebuild.put(Put::dead(sequence, letter))?;
        self.rebuild.put(Put::summary(queue, sequence, summary))
    }

    fn note(&mut self, sequence: u64, ordinal: u64) {
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.next_ordinal = self.next_ordinal.max(ordinal.saturating_add(1));
    }

    /// Counts what is rescued of a table, which is read already, or being read.
    fn count(&mut self, table: &'static str, met: Met) {
        let mut read = self.tables.iter_mut();
        let table = read.find(|one| one.name == table);
        let table = table.unwrap_or(&mut self.now);
        table.rescued += 1;
        table.loose += u64::from(met != Met::InTree);
        table.doubtful += u64::from(met == Met::Doubtful);
    }

    /// Takes a large body over; says whether it is sound.
    fn body(&mut self, blob: BlobRef) -> Result<bool, redb::Error> {
        if bodies::verify(&self.blobs, blob).is_err() {
            return Ok(false);
        }
        let from = self.blobs.path(blob.name);
        copy_body(&from, &self.bodies_to, blob, &mut self.bodies)?;
        Ok(true)
    }

    fn other(&mut self, table: &str, found: Pair<'_>) -> Option<Put> {
        match table {
            "history" => {
                let sequence = number(found.key)?;
                dead::decode_history(sequence, found.value).ok()?;
                let there = self.rescued.contains(&sequence);
                there.then(|| Put::history(sequence, found.value))
            }
            "dedup" => {
                let key = <[u8; 20]>::try_from(found.key).ok()?;
                let first = dedup::decode(&key, found.value).ok()?;
                self.dedup.insert(key);
                Some(Put::Dedup(key, first))
            }
            "held" => {
                let key = pair(found.key)?;
                held::decode(key, found.value).ok()?;
                Some(Put::held(key, found.value))
            }
            "lease" => {
                let sequence = number(found.key)?;
                let (fence, _) = lease::decode(sequence, found.value).ok()?;
                self.boot = self.boot.max(fence.boot);
                // An old page may have one that was given up; without it the message is delivered again.
                let holds = found.sound && self.rescued.contains(&sequence);
                holds.then(|| Put::lease(sequence, found.value))
            }
            "redrive" => {
                let order = number(found.key)?;
                let one = redrive::decode(order, found.value).ok()?;
                self.next_sequence = self.next_sequence.max(one.number.saturating_add(1));
                Some(Put::redrive(order, found.value))
            }
            "cron" => {
                let name = std::str::from_utf8(found.key).ok()?;
                cron::decode(name, found.value).ok()?;
                // An old mark would let its ticks fire again; without one the entry starts anew.
                found.sound.then_some(())?;
                Some(Put::Cron(name.to_owned(), found.value.to_vec()))
            }
            "made" => {
                let name = std::str::from_utf8(found.key).ok()?;
                made::decode(name, found.value).ok()?;
                // An old definition could bring back a queue that was deleted.
                found.sound.then_some(())?;
                Some(Put::Made(name.to_owned(), found.value.to_vec()))
            }
            "state" => {
                if !state::is_sound(found.key, found.value) {
                    return None;
                }
                if !found.sound {
                    // An older value than others, perhaps.
                    self.loose_state_of(found.key, found.value);
                    return None;
                }
                self.state.insert(found.key.to_vec());
                Some(Put::State(found.key.to_vec(), found.value.to_vec()))
            }
            _ => None,
        }
    }
}
