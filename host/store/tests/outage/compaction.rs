//! A store that is compacted, and ends of that at every operation: the old file or the new one is found
//! under the store's name, whole.

use std::fs;
use std::path::Path;

use gristmill_store::{Beneath, FileStep, Options, Store, compact_store_on};

use super::super::damage::random::Random;
use super::super::memory::folder;
use super::cut::Cut;
use super::digest::digest;
use super::disk::{Disk, Event, Record};
use super::image::Image;

/// How often each moment is tried, each time with another part of what was not synced.
const DRAWS: usize = 3;
/// A host is started on one of so many.
const STARTED: usize = 32;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    pub old: u64,
    pub new: u64,
    /// How often the new file, under the name that it has until it is whole, was not whole.
    pub unfinished: u64,
    pub started: u64,
}

/// After how many events something was done, of those from one on.
fn after(record: &Record, from: usize, step: FileStep) -> Result<usize, String> {
    let mut rest = record.events.iter().skip(from);
    let at = rest.position(|event| matches!(event, Event::File(found) if *found == step));
    at.map(|at| from + at + 1)
        .ok_or_else(|| format!("{step:?} was not told"))
}

fn bytes(image: &Image) -> Vec<u8> {
    let length = usize::try_from(image.store.length()).expect("it fits in memory");
    let mut bytes = vec![0; length];
    assert!(image.store.read(0, &mut bytes), "all of it is there");
    bytes
}

/// A host starts on what is found, and leaves nothing of an unfinished file.
fn start(store: &Image, unfinished: Option<&Image>) -> Result<(), String> {
    let folder = folder();
    let path = folder.path();
    lay_out(store, path);
    let new = path.join("store.redb.compacting");
    if let Some(image) = unfinished {
        fs::write(&new, bytes(image)).unwrap();
    }
    let opened = Store::open(path, Options::default());
    let (store, _) = opened.map_err(|error| format!("it does not start: {error}"))?;
    super::block_on(store.close());
    if new.exists() {
        return Err("the unfinished file is still there".to_owned());
    }
    Ok(())
}

fn lay_out(store: &Image, folder: &Path) {
    fs::write(folder.join("store.redb"), bytes(store)).unwrap();
}

/// Compacts the store of a life that follows from a seed, and ends that at every operation.
pub fn try_one(seed: u64, found: &mut Found) -> Result<(), String> {
    let mut random = Random::new(seed);
    let disk = Disk::default();
    let _life = super::life(seed, &mut random, &disk);
    let (_, old) = disk.now();
    let wanted = digest(&old, true)?;
    let folder = folder();
    lay_out(&old, folder.path());
    let new = Disk::default();
    let watch = new.watch();
    // The file is made at once; what counts is when it takes the other's place.
    watch(FileStep::StoreNamed);
    let beneath = Beneath {
        open: Some(new.open_file()),
        watch: Some(watch),
        ..Beneath::default()
    };
    compact_store_on(folder.path(), beneath, &mut |_, _, _| ())
        .map_err(|error| error.to_string())?;
    let record = new.take();
    let replaced = after(&record, 0, FileStep::Replaced)?;
    let durable = after(&record, replaced, FileStep::FolderSynced)?;
    for at in 0..=record.events.len() {
        for _ in 0..DRAWS {
            let cut = Cut::draw(at, &mut random);
            let image = record.found(&cut);
            let either = at >= replaced && (cut.kill || random.below(2) == 0);
            let starts = random.below(STARTED) == 0;
            let wrong =
                |what: String| format!("seed {seed}, after {at} operations, {cut:?}: {what}");
            if at >= durable || either {
                found.new += 1;
                let has = digest(&image, true).map_err(wrong)?;
                if has != wanted {
                    return Err(wrong(
                        "the new file has not what the old one had".to_owned(),
                    ));
                }
                if starts {
                    start(&image, None).map_err(wrong)?;
                }
            } else {
                found.old += 1;
                if digest(&image, false).ok() != Some(wanted) {
                    found.unfinished += 1;
                }
                if starts {
                    start(&old, Some(&image)).map_err(wrong)?;
                }
            }
            found.started += u64::from(starts);
        }
    }
    Ok(())
}
