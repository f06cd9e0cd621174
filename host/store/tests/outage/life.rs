//! What a store did on its disk, and whether what is found after the power went is one of the states
//! that may be found then.

mod next;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::super::damage::random::Random;
use super::super::model::rig::Ground;
use super::super::model::script::{Op, Step};
use super::super::model::world::World;
use super::Sizes;
use super::cut::Cut;
use super::digest::digest;
use super::disk::{Disk, Record};
use super::image::Image;
use super::snapshot::Snapshot;
use super::totals::Totals;

/// How many ends are tried of each life of a store after an end.
const NESTED: usize = 3;
/// How many lives there are after one another.
const DEPTH: usize = 2;
/// One of so many files is checked through and through.
const CHECKED: usize = 16;

/// A moment when all that was asked for was answered.
struct Mark {
    after: usize,
    image: Image,
    digest: Cell<Option<u64>>,
    /// What the store must have then; nothing, if it is not a store yet.
    snapshot: Option<Snapshot>,
    /// The store is closed next, and lets go of what is in flight before.
    closes: bool,
    /// How many commits are made of what is asked next.
    next: Commits,
}

/// How many commits are made of what is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Commits {
    One,
    /// One, and others that a start makes as well if they are missing.
    OneAndTheRest,
    Any,
}

impl Commits {
    fn of(step: &Step) -> Self {
        match step {
            Step::One(Op::Send(_) | Op::Pause(..) | Op::Cancel(_) | Op::Move(..) | Op::Fire(_)) => {
                Commits::One
            }
            // Of a group whose head dies the rest dies after it.
            Step::One(Op::End(..) | Op::EndBatch(..) | Op::Stale(_)) => Commits::OneAndTheRest,
            _ => Commits::Any,
        }
    }
}

/// What a store did, from one start to its end.
pub struct Life {
    record: Record,
    marks: Vec<Mark>,
    syncs: RefCell<HashMap<usize, Option<u64>>>,
    /// What may be asked of it after an end.
    extras: Arc<Vec<Step>>,
    sizes: Sizes,
    /// What the in-flight file had in it at the start.
    in_flight: Option<Arc<Vec<u8>>>,
}

/// Which state was found.
enum Which {
    Mark(usize),
    /// A commit within what was not answered yet.
    Between,
}

fn ground(disk: &Disk, sizes: Sizes) -> Ground {
    let (made, logged, watched) = (disk.clone(), disk.clone(), disk.watch());
    Ground {
        file: Some(Arc::new(move || made.open_file())),
        log: Some(Arc::new(move || logged.open_log())),
        by_hand: Some(Arc::new(move || sizes.by_hand())),
        log_bytes: Some(sizes.log_bytes),
        watch: Some(watched),
        inline: Some(sizes.inline),
    }
}

impl Mark {
    fn of(disk: &Disk, world: &World) -> Self {
        let (after, image) = disk.now();
        Mark {
            after,
            image,
            digest: Cell::new(None),
            snapshot: Some(world.snapshot()),
            closes: false,
            next: Commits::Any,
        }
    }

    fn digest(&self) -> Result<u64, String> {
        if let Some(known) = self.digest.get() {
            return Ok(known);
        }
        let digest = digest(&self.image, false)?;
        self.digest.set(Some(digest));
        Ok(digest)
    }
}

/// Asks something of a store, and marks when it was answered.
fn ask(world: &mut World, step: &Step, marks: &mut Vec<Mark>, disk: &Disk) {
    if let Some(before) = marks.last_mut() {
        before.closes = matches!(step, Step::Reopen);
        before.next = Commits::of(step);
    }
    let waiting = world.waiting();
    world.step(step);
    // A reply is handed out before the commit that removes it; in between it is there once more.
    if world.waiting() < waiting
        && let Some(before) = marks.last_mut()
    {
        before.next = Commits::Any;
    }
    marks.push(Mark::of(disk, world));
}

impl Life {
    /// The life of a new store that is asked all that, on a disk.
    pub fn live(script: &[Step], extras: Arc<Vec<Step>>, sizes: Sizes, disk: &Disk) -> Self {
        let nothing = Mark {
            after: 0,
            image: Image::default(),
            digest: Cell::new(None),
            snapshot: None,
            closes: false,
            next: Commits::Any,
        };
        let look = |path: &Path| disk.look_into(path.to_owned());
        let mut world = World::on(ground(disk, sizes), look);
        let mut marks = vec![nothing, Mark::of(disk, &world)];
        for step in script {
            ask(&mut world, step, &mut marks, disk);
        }
        Life::end(&world, marks, disk, extras, sizes, None)
    }

    fn end(
        world: &World,
        mut marks: Vec<Mark>,
        disk: &Disk,
        extras: Arc<Vec<Step>>,
        sizes: Sizes,
        in_flight: Option<Arc<Vec<u8>>>,
    ) -> Self {
        marks.last_mut().unwrap().closes = true;
        world.rig.wait(world.rig.store.close());
        let end = Mark::of(disk, world);
        marks.push(Mark {
            closes: true,
            ..end
        });
        Life {
            record: disk.take(),
            marks,
            syncs: RefCell::default(),
            extras,
            sizes,
            in_flight,
        }
    }

    /// How much was done in it.
    pub fn events(&self) -> usize {
        self.record.events.len()
    }

    /// After how much of it the log was just being made longer.
    pub fn log_grown(&self) -> Vec<usize> {
        self.record.log_grown()
    }

    /// Ends it there, and looks at what is found; and again, at what is found after that.
    pub fn examine(
        &self,
        cut: &Cut,
        random: &mut Random,
        totals: &mut Totals,
    ) -> Result<(), String> {
        totals.images += 1;
        self.look(cut, 1, random, totals)
            .map_err(|wrong| format!("{cut:?}: {wrong}"))
    }

    fn look(
        &self,
        cut: &Cut,
        depth: usize,
        random: &mut Random,
        totals: &mut Totals,
    ) -> Result<(), String> {
        let image = self.record.found(cut);
        let check = random.below(CHECKED) == 0;
        totals.checked += u64::from(check);
        let digest = digest(&image, check)?;
        let acked = self.marks.partition_point(|mark| mark.after <= cut.after) - 1;
        let next = match self.which(acked, digest)? {
            // Who was being handled when the host was killed is known for certain where nothing has
            // changed since, and nobody has begun or ended.
            Which::Mark(at) if !cut.kill || at == acked && self.same_in_flight(cut, at) => {
                self.go_on(cut, at, &image, random)?
            }
            which => {
                totals.between += 1;
                let made = self.marks[acked].next;
                match which {
                    Which::Between if made == Commits::One => {
                        return Err(format!("what follows step {acked} is there in part"));
                    }
                    Which::Between if made == Commits::OneAndTheRest && !cut.kill => {
                        self.go_on(cut, acked + 1, &image, random)?;
                    }
                    _ => self.open(cut, acked, &image)?,
                }
                return Ok(());
            }
        };
        let Some(next) = next.filter(|_| depth < DEPTH) else {
            return Ok(());
        };
        for _ in 0..NESTED {
            let awake = next.marks[1].after;
            let last = next.events();
            let after = match random.below(10) {
                0..5 => random.below(awake + 1),
                5..9 => awake + random.below(last + 1 - awake),
                _ => next.marks[2].after,
            };
            let cut = Cut::draw(after, random);
            totals.nested += 1;
            next.look(&cut, depth + 1, random, totals)
                .map_err(|wrong| format!("then {cut:?}: {wrong}"))?;
        }
        Ok(())
    }

    /// Which of the states that may be found it is.
    fn which(&self, acked: usize, found: u64) -> Result<Which, String> {
        if self.marks[acked].digest()? == found {
            return Ok(Which::Mark(acked));
        }
        if let Some(next) = self.marks.get(acked + 1) {
            if next.digest()? == found {
                return Ok(Which::Mark(acked + 1));
            }
            let syncs = self.record.syncs.iter().enumerate();
            let within = syncs
                .filter(|(_, (after, ..))| (self.marks[acked].after..=next.after).contains(after));
            for (number, (.., image)) in within {
                let known = self.syncs.borrow().get(&number).copied();
                // Before it is a database for the first time, it has none.
                let digest = known.unwrap_or_else(|| digest(image, false).ok());
                self.syncs.borrow_mut().insert(number, digest);
                if digest == Some(found) {
                    return Ok(Which::Between);
                }
            }
        }
        for before in (0..acked).rev() {
            if self.marks[before].digest()? == found {
                return Err(format!(
                    "LOST: what was answered up to step {acked} is gone back to step {before}"
                ));
            }
        }
        Err(format!(
            "it holds what the store never held, after step {acked}"
        ))
    }
}

/// What a panic said.
pub fn words(cause: &(dyn std::any::Any + Send)) -> String {
    let words = cause.downcast_ref::<String>().map(String::as_str);
    let words = words.or_else(|| cause.downcast_ref::<&str>().copied());
    words.unwrap_or("a panic without a word").to_owned()
}
