//! What a durable commit does to the file, in its order.

use std::io;

use gristmill_queue::bug::{Bug, is_planted};
use redb::StorageBackend;

/// What a checkpoint usually writes is less.
const USUAL: usize = 8 * 1024 * 1024;

/// An operation on the file.
#[derive(Debug)]
pub(super) enum Step {
    /// So many bytes, which stand in the batch from there on.
    Write {
        offset: u64,
        from: usize,
        length: usize,
    },
    SetLength(u64),
    Sync,
}

/// The operations of one durable commit.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub steps: Vec<Step>,
    bytes: Vec<u8>,
}

impl Batch {
    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (from, length) = (self.bytes.len(), bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.steps.push(Step::Write {
            offset,
            from,
            length,
        });
    }

    /// How long the file is afterwards, if it says so.
    pub fn length(&self) -> Option<u64> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::SetLength(length) => Some(*length),
            _ => None,
        })
    }

    /// Whether it is not so large that its memory is better given back.
    pub fn is_usual(&self) -> bool {
        self.bytes.capacity() <= USUAL
    }

    pub fn clear(&mut self) {
        self.steps.clear();
        self.bytes.clear();
    }

    /// What it writes of a part of the file, in its order: where in that part, and what.
    pub fn over(&self, offset: u64, length: usize) -> impl Iterator<Item = (usize, &[u8])> {
        let end = offset + length as u64;
        self.steps.iter().filter_map(move |step| {
            let &Step::Write {
                offset: at,
                from,
                length,
            } = step
            else {
                return None;
            };
            let (begin, end) = (at.max(offset), (at + length as u64).min(end));
            let skipped = usize::try_from(begin - at).ok()?;
            let length = usize::try_from(end.checked_sub(begin)?).ok()?;
            let from = from + skipped;
            let place = usize::try_from(begin - offset).ok()?;
            (length > 0).then(|| (place, &self.bytes[from..from + length]))
        })
    }

    pub fn perform(&self, step: usize, file: &dyn StorageBackend) -> io::Result<()> {
        match self.steps[step] {
            Step::Write {
                offset,
                from,
                length,
            } => file.write(offset, &self.bytes[from..from + length]),
            Step::SetLength(length) => file.set_len(length),
            Step::Sync if is_planted(Bug::CheckpointNotSynced) => Ok(()),
            Step::Sync => file.sync_data(),
        }
    }
}
