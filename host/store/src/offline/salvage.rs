//! `store salvage`: rescues what can be read of a damaged store into a new one. Writes nothing to the
//! damaged one.
//!
//! What the log has that the file has not is the newest, and is above all else. First the trees are walked, around what is damaged. What they have and what is sound is certain.
//! Then, if anything is missing, all pages of the file are looked through: a message that the index
//! names is certain too, wherever a copy of it lies. What only such pages have, where both trees are
//! torn, may have been handled and removed before the damage: it is rescued too, unless only what is
//! certain is wanted, for twice is better than never.

use std::collections::BTreeMap;
use std::path::Path;

use gristmill_queue::QueueName;

use super::above::Above;
use super::loose::{self, Loose};
use super::pages::PageFile;
use super::rescue::Rescue;
use super::walk::{self, Lost, Named, Pair};
use super::{KNOWN, PROGRESS_EVERY, Progress, lock_store, number};
use crate::destination::{Destination, DestinationError};
use crate::open::FILE;
use crate::tables::CLOCK_KEY;
use crate::writer::group::decode_clock;
use crate::{Bodies, OpenError};

/// How to rescue.
#[derive(Clone, Debug, Default)]
pub struct Salvage {
    /// What queues may be called whose names are lost.
    pub names: Vec<QueueName>,
    /// Only what is certainly still to be handled.
    pub certain_only: bool,
}

/// Why nothing was rescued.
#[derive(Debug, thiserror::Error)]
pub enum SalvageError {
    /// The damaged store cannot be read at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new folder cannot be written.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The new store cannot be written.
    #[error("what was rescued could not be written: {0}")]
    Store(#[from] redb::Error),
}

/// What was rescued of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SalvagedTable {
    /// Its name.
    pub name: &'static str,
    /// How many records were met in its tree.
    pub found: u64,
    /// How many are in the new store.
    pub rescued: u64,
    /// How many of those lay in pages that nothing leads to.
    pub loose: u64,
    /// How many of those may have been removed before the damage.
    pub doubtful: u64,
    /// How many parts of its tree could not be read or were not as they were written.
    pub unreadable: u64,
}

/// What was rescued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Each table.
    pub tables: Vec<SalvagedTable>,
    /// Large bodies.
    pub bodies: Bodies,
    /// Messages that the index names and that were found nowhere.
    pub missing: u64,
    /// Dead letters that their index names and that were found nowhere.
    pub missing_dead: u64,
    /// Messages whose large body is damaged: they lie in quarantine.
    pub without_body: u64,
    /// All queues are paused, because it is not known for certain which groups were halted.
    pub paused: bool,
}

/// Rescues the store in a folder that no host has open into a new folder.
///
/// # Errors
/// When there is no file, another process has it open, or the new folder cannot be written. Then
/// nothing is left of that.
pub fn salvage_store(
    folder: &Path,
    to: &Path,
    how: Salvage,
    progress: Progress<'_>,
) -> Result<Salvaged, SalvageError> {
    let (_lock, file) = lock_store(folder)?;
    let destination = Destination::begin(to)?;
    let (pages, roots) = PageFile::open(&file).map_err(|source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    let certain_only = how.certain_only;
    let mut rescue = Rescue::begin(folder, destination.folder(), how.names)?;
    // What the slot that counts does not lead to, the one before it may: to what was there then.
    let mut tables = BTreeMap::new();
    for (before, root) in roots.into_iter().enumerate() {
        for (name, mut table) in walk::tables(&pages, root).0 {
            table.sound &= before == 0;
            tables.entry(name).or_insert(table);
        }
    }
    let above = Above::read(folder, last_commit(&pages, &tables));
    for known in KNOWN {
        let mut result = Ok(());
        let mut done = 0;
        let mut lost = Vec::new();
        let sound = tables.get(known.name).is_some_and(|table| table.sound);
        if let Some(Named { definition, .. }) = tables.get(known.name) {
            let (root, shape, order) = (definition.root, known.shape, known.order);
            lost = walk::walk(&pages, root, shape, order, &mut |mut pair| {
                done += 1;
                if done % PROGRESS_EVERY == 0 {
                    progress(known.name, done, definition.length);
                }
                pair.sound &= sound;
                if result.is_ok() && !above.tells(known.name, pair.key) {
                    result = rescue.record(&known, pair);
                }
            });
        }
        if !sound {
            lost.push(Lost::ALL);
        }
        result?;
        for (key, value) in above.of(known.name) {
            let sound = true;
            rescue.record(&known, Pair { key, value, sound })?;
        }
        rescue.lose(&known, lost);
        // Before messages are met, it has to be known what is counted about them.
        if known.name == "index" && rescue.is_torn() {
            loose::scan(&pages, progress, &mut |found| match found {
                Loose::Numbered(sequence, value) => rescue.loose_row(sequence, value, certain_only),
                Loose::Queue(name, value) => rescue.loose_queue(name, value),
                Loose::Named(..) => {}
            });
            loose::scan(&pages, progress, &mut |found| {
                if let Loose::Numbered(sequence, value) = found {
                    rescue.learn(sequence, value);
                }
            });
        }
    }
    if rescue.lacks() {
        look_everywhere(&pages, &above, &mut rescue, certain_only, progress)?;
    }
    let salvaged = rescue.finish()?;
    drop(pages);
    debug_assert!(destination.folder().join(FILE).exists());
    destination.finish()?;
    Ok(salvaged)
}

/// The number of the last commit that the file has, if it can be read.
fn last_commit(pages: &PageFile, tables: &BTreeMap<String, Named>) -> Option<u64> {
    let index = KNOWN.iter().find(|known| known.name == "index")?;
    let root = tables.get(index.name)?.definition.root;
    let mut last = None;
    walk::walk(pages, root, index.shape, index.order, &mut |pair| {
        if number(pair.key) == Some(CLOCK_KEY) {
            last = decode_clock(pair.value).ok().map(|clock| clock.commit);
        }
    });
    last
}

/// Looks through all pages for what the trees lack.
fn look_everywhere(
    pages: &PageFile,
    above: &Above,
    rescue: &mut Rescue,
    certain_only: bool,
    progress: Progress<'_>,
) -> Result<(), redb::Error> {
    let mut result = Ok(());
    loose::scan(pages, progress, &mut |found| {
        let Loose::Numbered(sequence, value) = found else {
            return;
        };
        if result.is_ok() && !above.removed("dead", &sequence.to_le_bytes()) {
            result = rescue.loose_dead(sequence, value, certain_only);
        }
    });
    result?;
    let mut result = Ok(());
    loose::scan(pages, progress, &mut |found| match found {
        Loose::Numbered(sequence, value)
            if result.is_ok() && !above.removed("message", &sequence.to_le_bytes()) =>
        {
            result = rescue.loose_message(sequence, value, certain_only);
        }
        Loose::Named(key, value) => rescue.loose_named(key, value, certain_only),
        _ => {}
    });
    result
}
