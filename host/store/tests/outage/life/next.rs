//! The next life: a store starts on what was found after an end.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use gristmill_store::{Options, Store};

use super::super::super::damage::random::Random;
use super::super::super::memory::folder;
use super::super::super::model::rig::Rig;
use super::super::super::model::world::World;
use super::super::cut::Cut;
use super::super::disk::Disk;
use super::super::image::Image;
use super::super::snapshot::Snapshot;
use super::{Commits, Life, Mark, ask, ground, words};

/// How much more is asked of a store that lives for long.
const MORE: usize = 15;
/// How many bytes of the in-flight file name one message.
const SLOT: usize = 48;

impl Life {
    /// What the in-flight file has in it after so many events.
    fn in_flight_after(&self, events: usize) -> Option<Arc<Vec<u8>>> {
        let known = self.record.in_flight(events);
        known.or_else(|| self.in_flight.clone())
    }

    /// What is in it after a kill. It is never synced: when the power goes, it is forgotten.
    fn in_flight(&self, cut: &Cut) -> Option<Arc<Vec<u8>>> {
        self.in_flight_after(cut.after).filter(|_| cut.kill)
    }

    /// Whether those who were in flight at that mark are still, and nobody else is.
    pub(super) fn same_in_flight(&self, cut: &Cut, at: usize) -> bool {
        let names = |events| {
            let content = self.in_flight_after(events).unwrap_or_default();
            let slots = content.chunks(SLOT).map(<[u8]>::to_vec);
            let named = slots.filter(|slot| slot.iter().any(|byte| *byte != 0));
            named.collect::<BTreeSet<_>>()
        };
        names(cut.after) == names(self.marks[at].after)
    }

    /// Whether what was in flight is charged for it. At the start, that is what the life before had
    /// in flight; while the store closes, nothing is any more.
    fn is_blamed(&self, cut: &Cut, at: usize) -> bool {
        let names = self.in_flight(cut);
        let named = names.is_some_and(|names| !names.is_empty());
        cut.kill && (named || at > 0 && !self.marks[at].closes)
    }

    /// Lays out what is found in a folder.
    fn lay_out(&self, cut: &Cut, image: &Image, path: &Path) {
        fs::create_dir(path).unwrap();
        // The database is on the disk; what is left of one that was not finished is none.
        let store = if image.store.length() > 0 {
            "store.redb"
        } else {
            "store.redb.new"
        };
        fs::write(path.join(store), b"unfinished").unwrap();
        fs::write(path.join("store.log"), b"on the disk too").unwrap();
        fs::create_dir(path.join("blobs")).unwrap();
        for (name, content) in &image.files {
            fs::write(path.join("blobs").join(format!("{name:016x}")), &**content).unwrap();
        }
        if let Some(content) = self.in_flight(cut) {
            fs::write(path.join("inflight"), &*content).unwrap();
        }
    }

    /// Starts a store on what is found, which must be as it was at that mark, and asks one more thing
    /// of it, or many. This is its next life; nothing, if that mark is no store yet.
    pub(super) fn go_on(
        &self,
        cut: &Cut,
        at: usize,
        image: &Image,
        random: &mut Random,
    ) -> Result<Option<Life>, String> {
        let Some(snapshot) = &self.marks[at].snapshot else {
            return self.open(cut, at, image).map(|()| None);
        };
        let extra = &self.extras[random.below(self.extras.len())];
        // Some go on for so long that they use what they found half made.
        let mut further = Random::new(!cut.seed as u64);
        let half_made = self.record.log_grown().contains(&cut.after);
        let more = if half_made || further.below(8) == 0 {
            MORE
        } else {
            0
        };
        let blamed = self.is_blamed(cut, at);
        let disk = Disk::with(image.clone());
        let lives = || {
            let first = Mark {
                after: 0,
                image: image.clone(),
                digest: Cell::new(Some(self.marks[at].digest().unwrap())),
                snapshot: Some(snapshot.clone()),
                closes: false,
                next: Commits::Any,
            };
            let prepare = |path: &Path| {
                self.lay_out(cut, image, path);
                disk.look_into(path.to_owned());
            };
            let ground = ground(&disk, self.sizes);
            let rig = Rig::on(ground, snapshot.now(), prepare, snapshot.declared());
            let mut world = World::awake(snapshot, blamed, rig);
            let mut marks = vec![first, Mark::of(&disk, &world)];
            ask(&mut world, extra, &mut marks, &disk);
            for _ in 0..more {
                let extra = &self.extras[further.below(self.extras.len())];
                ask(&mut world, extra, &mut marks, &disk);
            }
            let in_flight = self.in_flight(cut);
            let extras = Arc::clone(&self.extras);
            Life::end(&world, marks, &disk, extras, self.sizes, in_flight)
        };
        match catch_unwind(AssertUnwindSafe(lives)) {
            Ok(life) => Ok(Some(life)),
            Err(cause) => Err(format!(
                "as at step {at}, then {extra:?}: {}",
                words(&*cause)
            )),
        }
    }

    /// Starts a store on what is found.
    pub(super) fn open(&self, cut: &Cut, at: usize, image: &Image) -> Result<(), String> {
        let folder = folder();
        let path = folder.path().join("0");
        self.lay_out(cut, image, &path);
        let snapshot = self.marks[at].snapshot.as_ref();
        let (queues, topics) = snapshot.map(Snapshot::declared).unwrap_or_default();
        let disk = Disk::with(image.clone());
        let options = Options {
            queues,
            topics,
            open_file: Some(disk.open_file()),
            open_log: Some(disk.open_log()),
            checkpoint_by_hand: Some(self.sizes.by_hand()),
            inline_bytes: self.sizes.inline,
            log_bytes: self.sizes.log_bytes,
            ..Options::default()
        };
        let (store, _) = Store::open(&path, options).map_err(|error| error.to_string())?;
        super::super::block_on(async {
            let asked = store.tick().await.map_err(|error| error.to_string());
            store.close().await;
            asked
        })
    }
}
