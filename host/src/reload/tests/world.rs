//! A disk that is only pretended, and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::reload::scan::*;

pub const NAME: &str = "orders";
/// How far time moves between two looks.
pub const STEP: Duration = Duration::from_millis(10);

/// A module is good if it begins and ends with this: then nothing of it is missing.
const GOOD: &str = "(good)";

/// A file that was read: when it is judged, its name, what is known of it, and its content.
type Job = (Instant, String, Option<Hash>, String);

/// A disk, a scan that looks at it, and a clock.
pub struct World {
    pub start: Instant,
    pub now: Instant,
    pub scan: Scan,
    pub files: BTreeMap<String, (String, Stamp)>,
    clock: i64,
    /// How long reading and judging takes.
    pub slow: Duration,
    pending: Vec<Job>,
    /// What happened: contents that were judged, problems that were reported, files that are gone.
    log: Vec<String>,
    /// How often the file was read.
    pub reads: usize,
    pub watched: bool,
}

impl World {
    pub fn new() -> Self {
        let start = Instant::now() + Duration::from_secs(3600);
        let mut scan = Scan::default();
        scan.want([NAME.to_owned()].iter());
        World {
            start,
            now: start,
            scan,
            files: BTreeMap::new(),
            clock: 0,
            slow: Duration::ZERO,
            pending: Vec::new(),
            log: Vec::new(),
            reads: 0,
            watched: true,
        }
    }

    /// A world in which a file of this content serves.
    pub fn serving(content: &str) -> Self {
        let mut world = World::new();
        world.replace(content);
        world.pass(Duration::from_secs(4));
        assert_eq!(world.told(), [format!("good {content}")]);
        world
    }

    pub fn stamp(&mut self, size: usize) -> Stamp {
        self.clock += 1;
        Stamp {
            size: size as u64,
            modified: (self.clock, 0),
            changed: (self.clock, 0),
            identity: (1, 1),
        }
    }

    pub fn event(&mut self) {
        if self.watched {
            self.scan.hint(NAME, self.now);
        }
    }

    /// Another file takes its place, in one step.
    pub fn replace(&mut self, content: &str) {
        let mut stamp = self.stamp(content.len());
        stamp.identity.1 = self.clock.unsigned_abs();
        self.files
            .insert(NAME.to_owned(), (content.to_owned(), stamp));
        self.event();
    }

    /// The file is written to.
    pub fn write(&mut self, content: &str) {
        let identity = self
            .files
            .get(NAME)
            .map_or((1, 1), |(_, stamp)| stamp.identity);
        let stamp = Stamp {
            identity,
            ..self.stamp(content.len())
        };
        self.files
            .insert(NAME.to_owned(), (content.to_owned(), stamp));
        self.event();
    }

    /// The file is written to within the same tick of the file system's clock.
    pub fn write_unseen(&mut self, content: &str) {
        let stamp = self.files[NAME].1;
        self.files
            .insert(NAME.to_owned(), (content.to_owned(), stamp));
    }

    pub fn remove(&mut self) {
        self.files.remove(NAME);
        self.event();
    }

    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += STEP;
            self.turn();
        }
    }

    pub fn turn(&mut self) {
        let seen = self
            .files
            .get(NAME)
            .map_or(Seen::Missing, |(_, stamp)| Seen::There(*stamp));
        self.scan.look(NAME, seen, Some(Duration::ZERO), self.now);
        for step in self.scan.steps(self.now) {
            match step {
                Step::Gone { name } => self.log.push(format!("gone {name}")),
                Step::Read { name, known } => {
                    self.reads += 1;
                    if let Some((content, _)) = self.files.get(&name).cloned() {
                        self.pending
                            .push((self.now + self.slow, name, known, content));
                    } else {
                        self.scan.done(&name, Outcome::Moving, self.now);
                    }
                }
            }
        }
        let now = self.now;
        let (due, rest) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|job| job.0 <= now);
        self.pending = rest;
        let due: Vec<Job> = due;
        for (_, name, known, content) in due {
            let outcome = self.judge(&content, known);
            if let Some(problem) = self.scan.done(&name, outcome, self.now) {
                self.log.push(format!("reported {problem}"));
            }
        }
    }

    pub fn judge(&mut self, content: &str, known: Option<Hash>) -> Outcome {
        let hash = Sha256::digest(content).into();
        let verdict = if known == Some(hash) {
            Verdict::Same
        } else if content.len() > 2 * GOOD.len() - 1 && content.ends_with(GOOD) {
            self.log.push(format!("good {content}"));
            Verdict::Good
        } else if content.starts_with("bad") {
            Verdict::Bad(content.to_owned())
        } else {
            Verdict::MaybeCut(format!("cut {content}"))
        };
        Outcome::Judged {
            hash,
            verdict,
            young: true,
        }
    }

    pub fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

pub fn good(text: &str) -> String {
    format!("{GOOD}{text}{GOOD}")
}
