//! What only all records together tell: which lack another, and whether the large bodies are there.

use std::collections::BTreeMap;
use std::io;

use gristmill_queue::BlobUnavailable;

use super::cross::Checker;
use super::report::{HARMLESS, Problem, RESCUE};
use super::{Progress, bodies};
use crate::blob::Blobs;
use crate::copy::COPIED;

impl Checker<'_> {
    /// Tells what is missing, when all tables were read.
    pub fn cross(&mut self) {
        self.numbers();
        self.unmet();
        let mut wanted: Vec<u64> = self.wanted.keys().copied().collect();
        wanted.sort_unstable();
        for sequence in wanted {
            let id = self.wanted.get(&sequence).map(|(_, id)| *id);
            let what = "the large body of the message is not noted: its file would be swept";
            let problem = Problem::of("blob", format!("number {sequence}"), what, RESCUE);
            self.problem(Problem {
                message: id,
                ..problem
            });
        }
        if !self.dedup.is_empty() {
            let count = self.dedup.len();
            let what = format!("{count} remembered dedup ids would never be forgotten");
            self.problem(Problem::of("dedup_expiry", "", what, HARMLESS));
        }
        let quarantined = self.report.tables.iter();
        let quarantined = quarantined.filter(|table| table.name == "quarantine");
        let count: u64 = quarantined.map(|table| table.sound).sum();
        if count > 0 {
            self.remark(format!(
                "{count} damaged records lie in quarantine, where a host has put them aside"
            ));
        }
    }

    fn numbers(&mut self) {
        for name in ["format", "boot", "salt"] {
            // A copy that was not opened yet draws a salt of its own.
            let drawn = name == "salt" && self.meta.contains_key(COPIED);
            if !self.meta.contains_key(name) && !drawn {
                let what = "it is not there, or damaged";
                self.problem(Problem::of("meta", name, what, RESCUE));
            }
        }
        if (0..)
            .zip(self.queues.keys())
            .any(|(number, found)| number != *found)
        {
            let what = "the numbers of the queues have a gap, so no host can open the store";
            self.problem(Problem::of("queue", "", what, RESCUE));
        }
        match self.next_sequence {
            Some(next) if next <= self.last_sequence => {
                let what = format!(
                    "the next message would get number {next}, but there is one with number {}: an old page stands in place of a newer one",
                    self.last_sequence
                );
                self.problem(Problem::of("index", "clock", what, RESCUE));
            }
            None if !self.rows.is_empty() => {
                let what = "the row of the clock is missing";
                self.problem(Problem::of("index", "clock", what, RESCUE));
            }
            _ => {}
        }
    }

    /// Rows without their records.
    fn unmet(&mut self) {
        let mut waiting: Vec<(u64, u32)> = Vec::new();
        waiting.extend(unmet(&self.rows));
        waiting.sort_unstable();
        for (sequence, queue) in waiting {
            let queue = self.queues.get(&queue).cloned();
            let what = "the message itself is missing";
            let problem = self.about("message", sequence, queue, what);
            self.problem(problem);
        }
        let mut dead: Vec<(u64, u32)> = unmet(&self.dead).collect();
        dead.sort_unstable();
        for (sequence, queue) in dead {
            let queue = self.queues.get(&queue).cloned();
            let what = "the dead letter itself is missing";
            let problem = self.letter("dead", sequence, queue, what);
            self.problem(problem);
        }
    }

    /// Reads every large body, and looks for files that belong to none.
    pub fn bodies(&mut self, progress: Progress<'_>) -> io::Result<()> {
        let blobs = Blobs::at(self.folder);
        let live: BTreeMap<u64, _> = std::mem::take(&mut self.live);
        let of = live.len() as u64;
        for (at, (name, (blob, id))) in (0..).zip(&live) {
            progress("large bodies", at, of);
            match bodies::verify(&blobs, *blob) {
                Ok(()) => {
                    self.report.bodies.sound += 1;
                    self.report.bodies.bytes += blob.size;
                }
                Err(error) => {
                    self.report.bodies.damaged += 1;
                    let what = match error {
                        BlobUnavailable::Damaged(_) => {
                            "the large body is damaged or missing".to_owned()
                        }
                        BlobUnavailable::Io(error) => {
                            format!("the large body cannot be read: {error}")
                        }
                    };
                    let advice = "a host puts the message aside when it is delivered; restore the file from a backup to save it";
                    let problem = Problem::of("blobs", format!("{name:016x}"), what, advice);
                    self.problem(Problem {
                        message: Some(*id),
                        ..problem
                    });
                }
            }
        }
        let orphans = bodies::names(self.folder)?;
        let orphans = orphans.iter().filter(|name| !live.contains_key(name));
        let orphans = orphans.count();
        if orphans > 0 {
            self.remark(format!(
                "{orphans} files of large bodies belong to no message: the next start removes them"
            ));
        }
        Ok(())
    }
}

fn unmet(
    entries: &std::collections::HashMap<u64, super::cross::Entry>,
) -> impl Iterator<Item = (u64, u32)> {
    // One whose row is damaged has been told already.
    let missing = entries
        .iter()
        .filter(|(_, entry)| !entry.met && entry.queue != u32::MAX);
    missing.map(|(sequence, entry)| (*sequence, entry.queue))
}
