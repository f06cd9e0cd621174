//! The in-flight file: which messages were being handled when the host died.
//!
//! Fixed slots, written without fsync when a lease is granted and when it has ended. The page
//! cache keeps them when the process dies in any way (kill -9, segfault, out of memory), which is
//! what must be charged to a message, and forgets them when the power fails, which must not.
//!
//! A slot that outlives its attempt does no harm: it names the attempt's number, and a message
//! that has since been settled no longer has it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use gristmill_queue::bug::{Bug, is_planted};
use xxhash_rust::xxh3::xxh3_64;

const SLOT: usize = 48;
/// Changed slots this close together are written in one call.
const GAP: usize = 64;
/// The most slots that are read: more than can be in flight, but no more than memory has room for,
/// whatever the file has become.
const MAX_SLOTS: usize = 1 << 20;

/// One message that was being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The message.
    pub sequence: u64,
    /// How many attempts had been counted when this one began.
    pub attempts: u32,
    /// The number of its lease.
    pub lease: u64,
}

/// The file, and an image of it that is written in one call after each group.
pub(crate) struct InFlightFile {
    file: File,
    image: Vec<u8>,
    free: Vec<usize>,
    dirty: Vec<usize>,
}

impl InFlightFile {
    /// Opens the file, tells what it names, and clears it.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Named>)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
        let mut image = vec![0; length.min(MAX_SLOTS * SLOT)];
        file.read_exact_at(&mut image, 0)?;
        let named = image.chunks_exact(SLOT).filter_map(decode).collect();
        Ok((
            InFlightFile {
                file,
                image: Vec::new(),
                free: Vec::new(),
                dirty: Vec::new(),
            },
            named,
        ))
    }

    /// Forgets what the file named; call it when that is durable elsewhere.
    pub fn clear(&mut self) -> io::Result<()> {
        self.image.clear();
        self.free.clear();
        self.dirty.clear();
        self.file.set_len(0)
    }

    /// Takes a slot for a message that starts.
    pub fn start(&mut self, named: Named) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.image.resize(self.image.len() + SLOT, 0);
            self.image.len() / SLOT - 1
        });
        self.image[slot * SLOT..(slot + 1) * SLOT].copy_from_slice(&encode(&named));
        if is_planted(Bug::CrashNotCharged) {
            self.image[slot * SLOT..(slot + 1) * SLOT].fill(0);
        }
        self.touch(slot);
        slot
    }

    /// Gives back the slot of a message that has ended.
    pub fn end(&mut self, slot: usize) {
        self.image[slot * SLOT..(slot + 1) * SLOT].fill(0);
        self.free.push(slot);
        self.touch(slot);
    }

    /// Writes what changed, in few calls, without fsync.
    pub fn write(&mut self) -> io::Result<()> {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for run in dirty.chunk_by(|slot, next| next - slot <= GAP) {
            if let [first, ..] = run {
                let last = run[run.len() - 1];
                let (from, to) = (first * SLOT, (last + 1) * SLOT);
                self.file.write_all_at(&self.image[from..to], from as u64)?;
            }
        }
        dirty.clear();
        self.dirty = dirty;
        Ok(())
    }

    fn touch(&mut self, slot: usize) {
        self.dirty.push(slot);
    }
}

fn encode(named: &Named) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[..8].copy_from_slice(&named.sequence.to_le_bytes());
    slot[8..16].copy_from_slice(&named.lease.to_le_bytes());
    slot[16..20].copy_from_slice(&named.attempts.to_le_bytes());
    let check = xxh3_64(&slot[..40]).to_le_bytes();
    slot[40..].copy_from_slice(&check);
    slot
}

/// A torn or empty slot names nothing.
fn decode(slot: &[u8]) -> Option<Named> {
    let check = u64::from_le_bytes(slot[40..48].try_into().ok()?);
    if xxh3_64(&slot[..40]) != check {
        return None;
    }
    Some(Named {
        sequence: u64::from_le_bytes(slot[..8].try_into().ok()?),
        lease: u64::from_le_bytes(slot[8..16].try_into().ok()?),
        attempts: u32::from_le_bytes(slot[16..20].try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_started_and_not_ended_is_named_and_torn_slots_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inflight");
        let named = |sequence| Named {
            sequence,
            attempts: 2,
            lease: sequence + 100,
        };
        let (mut file, before) = InFlightFile::open(&path).unwrap();
        assert_eq!(before, []);
        let slots: Vec<usize> = (1..=4)
            .map(|sequence| file.start(named(sequence)))
            .collect();
        file.write().unwrap();
        file.end(slots[1]);
        file.write().unwrap();
        drop(file);
        let (file, before) = InFlightFile::open(&path).unwrap();
        assert_eq!(before, [named(1), named(3), named(4)]);
        file.file.write_all_at(&[0xff], 5).unwrap();
        let (mut file, before) = InFlightFile::open(&path).unwrap();
        assert_eq!(before, [named(3), named(4)]);
        file.clear().unwrap();
        assert_eq!(InFlightFile::open(&path).unwrap().1, []);
    }
}
