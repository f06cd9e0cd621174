//! What is done with a store that no host has open: checking it, giving space back, and rescuing what
//! can be read of a damaged one.
//!
//! Nothing here writes to the file of the store, but for what only its log has, which is brought into a
//! sound file as a host would do that starts. The check lets redb look at it through an
//! [`overlay`] and reads every record itself, around what is damaged ([`pages`], [`walk`]); compacting
//! writes a new file and puts it in the old one's place; what is rescued goes into a new folder.

mod above;
mod agree;
mod bodies;
mod by_name;
mod check;
pub(crate) mod compact;
mod cross;
mod loose;
mod names;
mod overlay;
mod pages;
mod rebuild;
mod report;
mod rescue;
mod salvage;
mod walk;

use std::path::{Path, PathBuf};

use redb::Database;

use crate::OpenError;
use crate::guarded::Guarded;
use crate::lock::{self, FolderLock};
use crate::log;
use crate::open::FILE;
use pages::Shape;
use walk::Order;

pub use bodies::BodiesReport;
pub use check::{Verifier, check_store, check_store_by, verify_file};
pub use compact::{Beneath, CompactError, Compacted, compact_store, compact_store_on};
pub use report::{CheckReport, Problem, TableReport};
pub use salvage::{Salvage, SalvageError, Salvaged, SalvagedTable, salvage_store};

/// Told what is being done, how much of it is done, and of how much.
pub type Progress<'p> = &'p mut dyn FnMut(&str, u64, u64);

/// How many records are read between two words on progress.
const PROGRESS_EVERY: u64 = 4096;

/// A table that this build knows.
#[derive(Clone, Copy)]
struct Known {
    name: &'static str,
    shape: Shape,
    order: Order,
}

const fn known(
    name: &'static str,
    key: Option<usize>,
    value: Option<usize>,
    order: Order,
) -> Known {
    Known {
        name,
        shape: Shape { key, value },
        order,
    }
}

const NUMBER: Order = Order::Numbers(&[8]);
const PAIR: Order = Order::Numbers(&[4, 8]);

/// Every table, in the order in which they are read: what others refer to comes first.
const KNOWN: [Known; 17] = [
    known("meta", None, Some(8), Order::Bytes),
    known("queue", None, Some(5), Order::Bytes),
    known("index", Some(8), None, NUMBER),
    known("message", Some(8), None, NUMBER),
    known("history", Some(8), None, NUMBER),
    known("dead_index", Some(12), None, PAIR),
    known("dead", Some(8), None, NUMBER),
    known("blob", Some(8), None, NUMBER),
    known("dedup", None, None, Order::Bytes),
    known("dedup_expiry", None, Some(0), NUMBER),
    known("held", Some(12), None, PAIR),
    known("lease", Some(8), None, NUMBER),
    known("redrive", Some(8), None, NUMBER),
    known("cron", None, None, Order::Bytes),
    known("made", None, None, Order::Bytes),
    known("state", None, None, Order::Bytes),
    known("quarantine", Some(8), None, NUMBER),
];

fn number(key: &[u8]) -> Option<u64> {
    key.try_into().ok().map(u64::from_le_bytes)
}

/// A queue's number, and what comes after it.
fn pair(key: &[u8]) -> Option<(u32, u64)> {
    let (queue, rest) = key.split_at_checked(4)?;
    let queue = u32::from_le_bytes(queue.try_into().ok()?);
    Some((queue, number(rest)?))
}

/// Brings what only the log has into the file, as a host does that starts. Says whether there was any.
fn finish_log(folder: &Path, file: &Path) -> Result<bool, redb::Error> {
    let beneath = overlay::open(file)?;
    let Some(log) = log::existing(folder)? else {
        if log::is_needed(&beneath)? {
            let missing = "store.log is missing, and may have what was answered last: put it back";
            return Err(redb::Error::Corrupted(missing.to_owned()));
        }
        return Ok(false);
    };
    if !log::is_ahead(&log, &beneath)? {
        return Ok(false);
    }
    drop(beneath);
    let database = Guarded::new(Database::builder().create(file)?);
    log::replay(&log, &database)?;
    Ok(true)
}

/// Locks a folder that has a store. Nothing is made if there is none.
fn lock_store(folder: &Path) -> Result<(FolderLock, PathBuf), OpenError> {
    let file = folder.join(FILE);
    if !file.is_file() {
        return Err(OpenError::NoStore {
            folder: folder.to_owned(),
        });
    }
    Ok((lock::lock(folder)?, file))
}
