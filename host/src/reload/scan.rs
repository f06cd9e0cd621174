//! When a file is worth reading, and what its content then means. Pure: time is an argument.
//!
//! It is told what a look at the disk saw, that somebody said "look again", and how reading a file
//! ended; it answers with what to do next and when to wake it. It does not know what a file is
//! for: modules and the configuration file go through the same machine.
//!
//! A file that changes is read when it was left alone for [`QUIET`], or after [`AT_MOST`] if it is
//! never left alone. What looks cut off is read again for [`PATIENCE`] after its last change,
//! before anybody hears of it. What has the content that was judged last is nothing new. A file
//! that is missing for [`QUIET`] is gone; a shorter gap is how some programs replace files.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A file is read after it was left alone for so long.
pub const QUIET: Duration = Duration::from_millis(300);
/// A file that is never left alone is read so long after it began to change.
pub const AT_MOST: Duration = Duration::from_secs(2);
/// A file that looks cut off is given so long after its last change before it is reported.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// When a file that looks cut off is read again for the first time; the wait then doubles.
pub const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The coarsest clock that a file system stamps files with. A file younger than this when it was
/// read may change once more without showing it, so it is read once more.
pub const COARSEST_STAMP: Duration = Duration::from_secs(2);

/// The SHA-256 of a file.
pub type Hash = [u8; 32];

/// What changes when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// When its content changed, in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything about it changed: its content, its name, its rights.
    pub changed: (i64, i64),
    /// Which file it is, after all links: device and inode.
    pub identity: (u64, u64),
}

/// What a look at a path saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing there.
    Missing,
    /// A file.
    There(Stamp),
    /// Something that cannot be looked at; reading it will tell why.
    Odd,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read the file, judge it unless its content is `known`, and say how it ended.
    Read {
        /// Which.
        name: String,
        /// The content that was judged last.
        known: Option<Hash>,
    },
    /// The file is gone.
    Gone {
        /// Which.
        name: String,
    },
}

/// How reading a file ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changed while it was read, or went away.
    Moving,
    /// It cannot be read.
    Unreadable(String),
    /// It is too large to be read.
    TooLarge(String),
    /// It was read whole.
    Judged {
        /// Its content.
        hash: Hash,
        /// What the content is worth.
        verdict: Verdict,
        /// Whether it was younger than [`COARSEST_STAMP`].
        young: bool,
    },
    /// What it was judged by changed meanwhile: the judgement is void.
    Overtaken,
}

/// What a content is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the known one.
    Same,
    /// It is in use now.
    Good,
    /// It is refused.
    Bad(String),
    /// It is refused, and looks as if the rest were still to come.
    MaybeCut(String),
}

/// All files that are watched, by name.
#[derive(Debug, Default)]
pub struct Scan {
    files: BTreeMap<String, File>,
}

#[derive(Debug, Default)]
struct File {
    seen: Option<Seen>,
    change: Option<Change>,
    busy: bool,
    /// Told to be gone, and not read since.
    gone: bool,
    known: Option<Hash>,
    refused: bool,
    suspicion: Option<Suspicion>,
    recheck: Option<Instant>,
}

/// Something happened to the file that was not dealt with.
#[derive(Clone, Copy, Debug)]
struct Change {
    first: Instant,
    last: Instant,
}

/// The file looks cut off, or cannot be read at the moment.
#[derive(Debug)]
struct Suspicion {
    problem: String,
    wait: Duration,
    next: Instant,
    report_at: Instant,
}

impl Scan {
    /// Watches exactly these files. What is known of those that stay is kept.
    pub fn want<'n>(&mut self, names: impl Iterator<Item = &'n String>) {
        let mut before = std::mem::take(&mut self.files);
        self.files = names
            .map(|name| (name.clone(), before.remove(name).unwrap_or_default()))
            .collect();
    }

    /// Notes what a look saw. `age` is how long ago the file says that it was written.
    pub fn look(&mut self, name: &str, seen: Seen, age: Option<Duration>, now: Instant) {
        if let Some(file) = self.files.get_mut(name) {
            file.look(seen, age, now);
        }
    }

    /// Somebody said that something happened to the file.
    pub fn hint(&mut self, name: &str, now: Instant) {
        if let Some(file) = self.files.get_mut(name)
            && !file.gone
        {
            file.stir(now);
        }
    }

    /// Judges the file anew, because what it is judged by has changed.
    pub fn forget(&mut self, name: &str, now: Instant) {
        if let Some(file) = self.files.get_mut(name) {
            file.known = None;
            file.suspicion = None;
            file.change = Some(Change::settled(now));
        }
    }

    /// Whether the content that was judged last was refused.
    #[must_use]
    pub fn is_refused(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(|file| file.refused)
    }

    /// What is due. Every `Read` has to be answered with [`Scan::done`].
    pub fn steps(&mut self, now: Instant) -> Vec<Step> {
        let due = |(name, file): (&String, &mut File)| {
            if file.due_at().is_some_and(|at| at <= now) {
                Some(file.step(name))
            } else {
                None
            }
        };
        self.files.iter_mut().filter_map(due).collect()
    }

    /// How a `Read` ended. Answers with the problem that is to be reported now, if there is one.
    pub fn done(&mut self, name: &str, outcome: Outcome, now: Instant) -> Option<String> {
        self.files.get_mut(name)?.done(outcome, now)
    }

    /// When something is due next.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        self.files.values().filter_map(File::due_at).min()
    }
}

impl Change {
    /// A change that has been left alone for long enough.
    fn settled(now: Instant) -> Self {
        let last = now.checked_sub(QUIET).unwrap_or(now);
        Change { first: last, last }
    }
}

impl File {
    fn look(&mut self, seen: Seen, age: Option<Duration>, now: Instant) {
        let before = self.seen.replace(seen);
        match before {
            Some(before) if before == seen => {}
            // What lies there when the host starts has been left alone for as long as it says.
            None => {
                let rest = match seen {
                    Seen::Missing => QUIET,
                    Seen::There(_) | Seen::Odd => age.unwrap_or_default().min(QUIET),
                };
                let last = now.checked_sub(rest).unwrap_or(now);
                self.change = Some(Change { first: now, last });
            }
            Some(_) => {
                if self.gone {
                    self.change = None;
                }
                self.stir(now);
            }
        }
    }

    fn stir(&mut self, now: Instant) {
        let first = self.change.map_or(now, |change| change.first);
        self.change = Some(Change { first, last: now });
        if let Some(suspicion) = &mut self.suspicion {
            suspicion.wait = RETRY_FIRST;
            suspicion.report_at = now + PATIENCE;
        }
    }

    fn due_at(&self) -> Option<Instant> {
        if self.seen == Some(Seen::Missing) {
            return self
                .change
                .filter(|_| !self.gone)
                .map(|change| change.last + QUIET);
        }
        if self.busy || self.seen.is_none() {
            return None;
        }
        if let Some(change) = self.change {
            return Some((change.last + QUIET).min(change.first + AT_MOST));
        }
        let next = self.suspicion.as_ref().map(|suspicion| suspicion.next);
        [next, self.recheck].into_iter().flatten().min()
    }

    fn step(&mut self, name: &str) -> Step {
        let name = name.to_owned();
        self.change = None;
        self.recheck = None;
        if self.seen == Some(Seen::Missing) {
            self.gone = true;
            self.known = None;
            self.refused = false;
            self.suspicion = None;
            return Step::Gone { name };
        }
        self.gone = false;
        self.busy = true;
        Step::Read {
            name,
            known: self.known,
        }
    }

    fn done(&mut self, outcome: Outcome, now: Instant) -> Option<String> {
        self.busy = false;
        if self.gone {
            // What was read is no longer there.
            return None;
        }
        match outcome {
            Outcome::Moving => {
                self.stir(now);
                None
            }
            Outcome::Overtaken => {
                self.known = None;
                self.change = Some(self.change.unwrap_or(Change::settled(now)));
                None
            }
            Outcome::Unreadable(problem) => {
                let reported = self.suspect(problem, now);
                if reported.is_some() {
                    // So that it is told when the file can be read again, even if it is the same.
                    self.known = None;
                }
                reported
            }
            Outcome::TooLarge(problem) => {
                self.known = None;
                self.refused = true;
                self.suspicion = None;
                Some(problem)
            }
            Outcome::Judged {
                hash,
                verdict,
                young,
            } => self.judged(hash, verdict, young, now),
        }
    }

    fn judged(
        &mut self,
        hash: Hash,
        verdict: Verdict,
        young: bool,
        now: Instant,
    ) -> Option<String> {
        if verdict == Verdict::Same {
            let problem = self.suspicion.as_ref()?.problem.clone();
            return self.suspect(problem, now);
        }
        self.known = Some(hash);
        self.refused = verdict != Verdict::Good;
        self.suspicion = None;
        self.recheck = young.then(|| now + COARSEST_STAMP);
        match verdict {
            Verdict::Same | Verdict::Good => None,
            Verdict::Bad(problem) => Some(problem),
            Verdict::MaybeCut(problem) => self.suspect(problem, now),
        }
    }

    /// Waits with a problem, or says that it is time to report it.
    fn suspect(&mut self, problem: String, now: Instant) -> Option<String> {
        let Some(suspicion) = &mut self.suspicion else {
            self.suspicion = Some(Suspicion {
                problem,
                wait: RETRY_FIRST,
                next: now + RETRY_FIRST,
                report_at: now + PATIENCE,
            });
            return None;
        };
        if now >= suspicion.report_at {
            self.suspicion = None;
            return Some(problem);
        }
        suspicion.problem = problem;
        suspicion.wait *= 2;
        suspicion.next = (now + suspicion.wait).min(suspicion.report_at);
        None
    }
}
