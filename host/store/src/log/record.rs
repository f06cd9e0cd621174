//! The records of a log, read.

use std::io;

use redb::StorageBackend;
use xxhash_rust::xxh3::xxh3_64;

use super::{HEAD, PAGE, redo};

/// A record as it was read.
pub(crate) struct Record {
    pub(super) salt: u64,
    pub number: u64,
    /// From behind the checksum on.
    bytes: Vec<u8>,
}

impl Record {
    /// Each change: the table, the key, and what is under it from then on, if anything.
    pub fn by_table(&self) -> impl Iterator<Item = Result<redo::Named<'_>, redb::Error>> {
        redo::named(self.changes())
    }

    pub(super) fn changes(&self) -> &[u8] {
        &self.bytes[HEAD - 8..]
    }

    /// Reads the record at a place, if there is one.
    fn read(file: &dyn StorageBackend, at: u64, end: u64) -> io::Result<Option<Record>> {
        let mut head = [0; HEAD];
        if at + HEAD as u64 > end {
            return Ok(None);
        }
        file.read(at, &mut head)?;
        let word = |from: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&head[from..from + 8]);
            u64::from_le_bytes(word)
        };
        let (sum, salt, number, length) = (word(0), word(8), word(16), word(24));
        if number == 0 || length > end - at - HEAD as u64 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; HEAD - 8 + length];
        bytes[..HEAD - 8].copy_from_slice(&head[8..]);
        file.read(at + HEAD as u64, &mut bytes[HEAD - 8..])?;
        let sound = xxh3_64(&bytes) == sum;
        Ok(sound.then_some(Record {
            salt,
            number,
            bytes,
        }))
    }
}

/// The last records of a log in their order, each of which follows the one before. Records stand in each half
/// from its beginning on.
pub(crate) fn records(file: &dyn StorageBackend) -> io::Result<Vec<Record>> {
    let mut found = Vec::new();
    for begin in begins(file)? {
        read_half(file, begin, &mut found)?;
    }
    Ok(in_order(found))
}

/// The same, of a log that may be damaged: a half ends with what cannot be read.
pub(crate) fn readable_records(file: &dyn StorageBackend) -> Vec<Record> {
    let mut found = Vec::new();
    for begin in begins(file).into_iter().flatten() {
        // What was read before the error is in it.
        let _ = read_half(file, begin, &mut found);
    }
    in_order(found)
}

/// Where its halves begin, as many as it has.
fn begins(file: &dyn StorageBackend) -> io::Result<impl Iterator<Item = u64>> {
    let pages = file.len()? / PAGE as u64;
    let second = (pages % 2 == 1).then_some(pages / 2 * PAGE as u64);
    Ok(std::iter::once(0).chain(second))
}

fn read_half(file: &dyn StorageBackend, begin: u64, found: &mut Vec<Record>) -> io::Result<()> {
    let length = file.len()?;
    let mut at = begin;
    let mut before = None;
    while let Some(record) = Record::read(file, at, length)? {
        if before.is_some_and(|before| record.number != before + 1) {
            break;
        }
        before = Some(record.number);
        at += (8 + record.bytes.len() as u64).next_multiple_of(PAGE as u64);
        found.push(record);
    }
    Ok(())
}

fn in_order(mut found: Vec<Record>) -> Vec<Record> {
    found.sort_by_key(|record| record.number);
    found.dedup_by_key(|record| record.number);
    // What precedes a gap is older than a commit that only the database has.
    let follows = |pair: &[Record]| pair[0].number + 1 == pair[1].number;
    let last_gap = found.windows(2).rposition(|pair| !follows(pair));
    found.drain(..last_gap.map_or(0, |gap| gap + 1));
    found
}
