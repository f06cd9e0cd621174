//! A file that redb may open, repair and check as it likes, while nothing of it is written: what redb
//! writes stays in memory, above the file.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::{Database, DatabaseError, StorageBackend};

use crate::guarded::Guarded;

const PAGE: usize = 4096;

/// The most pages that redb may change in memory: a check of a sound file changes a few, a repair
/// what keeps account of free pages. More than this is refused as a full disk would.
const MAX_CHANGED: usize = 64 * 1024;

/// Bytes of the file that redb keeps in memory meanwhile.
const CACHE: usize = 64 * 1024 * 1024;

#[derive(Debug)]
struct Overlay {
    file: File,
    above: Mutex<Above>,
}

#[derive(Debug)]
struct Above {
    length: u64,
    /// How much of the file itself still shows: it was made shorter, and longer again.
    beneath: u64,
    pages: HashMap<u64, Box<[u8; PAGE]>>,
}

/// Opens such a file for reading what is in it, whatever state it is in.
pub(crate) fn open(file: &Path) -> Result<Guarded, DatabaseError> {
    let file = File::open(file).map_err(|error| DatabaseError::Storage(error.into()))?;
    let length = file
        .metadata()
        .map_err(|error| DatabaseError::Storage(error.into()))?
        .len();
    let above = Above {
        length,
        beneath: length,
        pages: HashMap::new(),
    };
    let above = Mutex::new(above);
    Database::builder()
        .set_cache_size(CACHE)
        .create_with_backend(Overlay { file, above })
        .map(Guarded::new)
}

impl Overlay {
    fn above(&self) -> MutexGuard<'_, Above> {
        self.above.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page as it is now.
    fn page(&self, above: &Above, number: u64) -> io::Result<Box<[u8; PAGE]>> {
        if let Some(page) = above.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = Box::new([0; PAGE]);
        let begin = number * PAGE as u64;
        let there = above.beneath.saturating_sub(begin).min(PAGE as u64);
        let there = usize::try_from(there).unwrap_or(PAGE);
        self.file.read_exact_at(&mut page[..there], begin)?;
        Ok(page)
    }
}

/// The parts of a range that lie in one page each: page, place in it, place in the range, length.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        if done >= length {
            return None;
        }
        let at = offset + done as u64;
        let within = usize::try_from(at % PAGE as u64).unwrap_or(0);
        let part = (PAGE - within).min(length - done);
        let found = (at / PAGE as u64, within, done, part);
        done += part;
        Some(found)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.above().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let above = self.above();
        let end = offset.saturating_add(out.len() as u64);
        if end > above.length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if above.pages.is_empty() && end <= above.beneath {
            return self.file.read_exact_at(out, offset);
        }
        for (number, within, at, length) in parts(offset, out.len()) {
            let page = self.page(&above, number)?;
            out[at..at + length].copy_from_slice(&page[within..within + length]);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut above = self.above();
        if length < above.length {
            let last = length.div_ceil(PAGE as u64);
            above.pages.retain(|number, _| *number < last);
            above.beneath = above.beneath.min(length);
        }
        above.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut above = self.above();
        for (number, within, at, length) in parts(offset, bytes.len()) {
            if above.pages.len() >= MAX_CHANGED {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut page = self.page(&above, number)?;
            page[within..within + length].copy_from_slice(&bytes[at..at + length]);
            above.pages.insert(number, page);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redb::{ReadableDatabase, TableDefinition};

    const TABLE: TableDefinition<'_, u64, u64> = TableDefinition::new("t");

    fn insert(database: &Database, key: u64) {
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(TABLE)
            .unwrap()
            .insert(key, key)
            .unwrap();
        transaction.commit().unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_the_file_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        let database = Database::create(&file).unwrap();
        insert(&database, 1);
        drop(database);
        let before = std::fs::read(&file).unwrap();
        let mut database = open(&file).unwrap();
        assert!(database.check_integrity().unwrap());
        for key in 2..2000 {
            insert(&database, key);
        }
        let read = database.begin_read().unwrap().open_table(TABLE).unwrap();
        assert_eq!(read.get(1999).unwrap().unwrap().value(), 1999);
        drop(read);
        assert!(database.check_integrity().unwrap());
        drop(database);
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
}
