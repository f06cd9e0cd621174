//! What is known of a damaged store while it is rescued: each record that is met is verified, and goes
//! into the new store once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use gristmill_queue::board::{QueueId, Row};
use gristmill_queue::ready::Place;
use gristmill_queue::{BlobRef, Counters, Message, QueueName, Timestamp};

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
use crate::writer::group_hash;
use crate::{cron, dead, dedup, held, redrive, row, state};

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
    summaries: HashMap<u64, (u32, Vec<u8>)>,
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
                    self.message(sequence, found.value, Met::InTree)?;
                }
            }
            "dead" => {
                if let Some(sequence) = number(found.key) {
                    self.dead(sequence, found.value, Met::InTree)?;
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

    /// Whether rows or queues may lie in pages that nothing leads to.
    pub fn is_torn(&self) -> bool {
        let torn = |table| self.lost.get(table).is_some_and(|lost| !lost.is_empty());
        torn("index") || torn("queue")
    }

    /// Whether anything may be found in pages that nothing leads to.
    pub fn lacks(&self) -> bool {
        let torn = |table| self.lost.get(table).is_some_and(|lost| !lost.is_empty());
        ["index", "message", "dead", "dead_index", "state", "dedup"]
            .into_iter()
            .any(torn)
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
            if let Ok((seen, sequence, ordinal)) = decode_clock(found.value) {
                self.seen = seen;
                self.next_sequence = self.next_sequence.max(sequence);
                self.next_ordinal = self.next_ordinal.max(ordinal);
            }
        } else if let Ok(row) = row::decode(sequence, found.value) {
            self.rows.insert(sequence, (row, true));
        }
    }

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

    fn dead_index(&mut self, found: Pair<'_>) {
        if let Some((queue, sequence)) = pair(found.key)
            && dead::decode_summary(sequence, found.value).is_ok()
        {
            let summary = found.value.to_vec();
            self.summaries.insert(sequence, (queue, summary));
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
        let row = row.unwrap_or_else(|| counted_anew(queue, &message));
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
        let number = summary.as_ref().map(|(queue, _)| *queue);
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
        let summary = summary.map_or_else(|| rebuild::summary(&read), |(_, summary)| summary);
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
            "redrive" => {
                let order = number(found.key)?;
                let one = redrive::decode(order, found.value).ok()?;
                self.next_sequence = self.next_sequence.max(one.number.saturating_add(1));
                Some(Put::redrive(order, found.value))
            }
            "cron" => {
                let name = std::str::from_utf8(found.key).ok()?;
                cron::decode(name, found.value).ok()?;
                Some(Put::Cron(name.to_owned(), found.value.to_vec()))
            }
            "state" => {
                if !state::is_sound(found.key, found.value) {
                    return None;
                }
                self.state.insert(found.key.to_vec());
                Some(Put::State(found.key.to_vec(), found.value.to_vec()))
            }
            _ => None,
        }
    }
}

impl Rescue {
    /// A numbered record that lies elsewhere.
    pub fn loose_numbered(&mut self, sequence: u64, value: &[u8], certain_only: bool) -> Done {
        let key = sequence.to_be_bytes();
        let waits = self.rows.get(&sequence).map(|(_, in_tree)| *in_tree);
        let lost = self.is_lost("message", &key) && self.is_lost("index", &key);
        match waits {
            Some(true) => self.message(sequence, value, Met::Loose)?,
            _ if certain_only || self.dead.contains(&sequence) => {}
            _ if lost => self.message(sequence, value, Met::Doubtful)?,
            _ => {}
        }
        if self.summaries.contains_key(&sequence) {
            return self.dead(sequence, value, Met::Loose);
        }
        // The index of dead letters begins with the queue: any part of it may have had this one.
        let torn = self
            .lost
            .get("dead_index")
            .is_some_and(|lost| !lost.is_empty());
        if !certain_only && torn && self.is_lost("dead", &key) {
            return self.dead(sequence, value, Met::Doubtful);
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
            let known = self.loose_state.entry(key.to_vec());
            let known = known.or_insert_with(|| value.to_vec());
            if state::version(known) < state::version(value) {
                *known = value.to_vec();
            }
        }
    }

    /// Writes what is left, and says what was rescued.
    pub fn finish(mut self) -> Result<Salvaged, redb::Error> {
        for (key, value) in std::mem::take(&mut self.loose_state) {
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
        let dead = self.summaries.keys();
        let missing_dead = dead
            .filter(|sequence| !self.dead.contains(sequence))
            .count() as u64;
        let highest = self.rows.values().map(|(row, _)| row.queue.0);
        let highest = highest.chain(self.summaries.values().map(|(queue, _)| *queue));
        let queues = self.names.all(highest.max());
        let clock = (self.seen, self.next_sequence, self.next_ordinal);
        self.rebuild.finish(self.boot, clock, &queues)?;
        Ok(Salvaged {
            tables: self.tables,
            bodies: self.bodies,
            missing,
            missing_dead,
            without_body: self.without_body,
        })
    }
}

/// What is counted about a message of which nothing is known: it begins anew, in the order of sending.
fn counted_anew(queue: u32, message: &Message) -> Row {
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
