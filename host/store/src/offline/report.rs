//! What a check found, as it is shown.

use gristmill_queue::{MessageId, QueueName};

use super::bodies::BodiesReport;

/// The most problems that are told one by one; the others are counted.
const MAX_PROBLEMS: usize = 1000;

/// Restore or rescue: nothing else helps.
pub(super) const RESCUE: &str =
    "restore a backup, or rescue what is readable with `gristmill store salvage`";
/// The host deals with it by itself.
pub(super) const PUT_ASIDE: &str = "a host puts it aside in quarantine and never delivers it; `gristmill store salvage` looks for an older copy";
/// It does not matter to anything.
pub(super) const HARMLESS: &str =
    "nothing is lost by it; `gristmill store salvage` makes a store without it";

/// Something in the store that is not as it was written, or does not fit the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The table, or `file` or `blobs`.
    pub place: &'static str,
    /// Which record of it; empty if it is about the whole.
    pub record: String,
    /// The message, if it is about one whose id is known.
    pub message: Option<MessageId>,
    /// Its queue, if that is known.
    pub queue: Option<QueueName>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

impl Problem {
    /// A problem of a place, about no message.
    pub(super) fn of(
        place: &'static str,
        record: impl Into<String>,
        what: impl Into<String>,
        advice: &'static str,
    ) -> Self {
        Problem {
            place,
            record: record.into(),
            message: None,
            queue: None,
            what: what.into(),
            advice,
        }
    }
}

/// What was verified of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableReport {
    /// Its name.
    pub name: &'static str,
    /// How many records were read and are sound.
    pub sound: u64,
    /// How many are not what was written.
    pub damaged: u64,
    /// How many parts of it could not be read or are not as they were written.
    pub unreadable: u64,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Bytes of the file.
    pub bytes: u64,
    /// Each table.
    pub tables: Vec<TableReport>,
    /// The large bodies.
    pub bodies: BodiesReport,
    /// What is wrong, as far as it is told one by one.
    pub problems: Vec<Problem>,
    /// How many more problems there are.
    pub more: u64,
    /// What is worth knowing, but no damage.
    pub remarks: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    pub(super) fn add(&mut self, problem: Problem) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(problem);
        } else {
            self.more += 1;
        }
    }
}
