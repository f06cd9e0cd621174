//! What may be found on a disk that honours fsync and promises nothing else, when the power went at
//! some moment: all that was synced, and of what came later any part, in any order, some of it torn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gristmill_store::FileStep;

use super::super::damage::random::Random;
use super::disk::{Event, Record};
use super::image::{Image, Pages, Which};

/// The header of the store's file: what says where everything else is.
const HEADER: u64 = 4096;

/// Which of the sectors that were written and not synced are there.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    None,
    All,
    OnlyHeader,
    AllButHeader,
    /// All but those of one write.
    AllButOne,
    /// So many of a hundred.
    Some(usize),
    /// All up to some moment.
    Prefix,
}

/// The ten that there are.
const SHAPES: [Shape; 10] = [
    Shape::None,
    Shape::All,
    Shape::OnlyHeader,
    Shape::AllButHeader,
    Shape::AllButOne,
    Shape::Some(10),
    Shape::Some(50),
    Shape::Some(90),
    Shape::Some(98),
    Shape::Prefix,
];

/// How the host ends.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// After so many events.
    pub after: usize,
    /// The process was killed only, and the system still has all that was written.
    pub kill: bool,
    pub shape: Shape,
    /// Bytes that survive together.
    pub sector: u64,
    /// Whether a sector may be there up to some byte of it.
    pub torn: bool,
    /// What is left open is drawn from this.
    pub seed: usize,
}

impl Cut {
    /// The power goes after so many events, in the midst of what is being written.
    pub fn in_the_midst(after: usize, random: &mut Random) -> Self {
        Cut {
            kill: false,
            shape: Shape::Some(50),
            ..Cut::draw(after, random)
        }
    }

    /// Some end after so many events.
    pub fn draw(after: usize, random: &mut Random) -> Self {
        Cut {
            after,
            kill: random.below(8) == 0,
            shape: SHAPES[random.below(SHAPES.len())],
            sector: [512, 512, 4096][random.below(3)],
            torn: random.below(4) == 0,
            seed: random.below(1 << 30),
        }
    }
}

impl Record {
    /// What is found after it.
    pub fn found(&self, cut: &Cut) -> Image {
        let synced = self
            .syncs
            .partition_point(|(after, ..)| *after <= cut.after);
        let last = |which| {
            let mut before = self.syncs[..synced].iter().rev();
            let last = before.find(|(_, of, _)| *of == which);
            last.map_or((0, &self.base), |(after, _, image)| (*after, image))
        };
        let (of_store, of_log) = (last(Which::Store), last(Which::Log));
        let mut random = Random::new(cut.seed as u64);
        if !self.is_named(cut.after) {
            return Image::default();
        }
        let mut image = Image {
            store: of_store.1.store.clone(),
            log: of_log.1.log.clone(),
            files: BTreeMap::new(),
        };
        let from = of_store.0.min(of_log.0);
        let is_pending = |(at, event): &(usize, &Event)| match event {
            Event::Length(Which::Store, _) | Event::Bytes(Which::Store, ..) => *at >= of_store.0,
            Event::Length(Which::Log, _) | Event::Bytes(Which::Log, ..) => *at >= of_log.0,
            _ => false,
        };
        let pending = (from..).zip(&self.events[from..cut.after]);
        let pending: Vec<Event> = { pending.filter(is_pending) }
            .map(|(_, event)| event.clone())
            .collect();
        let pending = pending.as_slice();
        if cut.kill {
            pending.iter().for_each(|event| apply(&mut image, event));
        } else {
            Survival::draw(cut, pending, &mut random).apply(pending, &mut image, &mut random);
        }
        image.files = self.files_found(cut, &mut random);
        image
    }

    /// Whether there was a store: until its file has its name, it is made again.
    fn is_named(&self, after: usize) -> bool {
        let named = |event: &Event| matches!(event, Event::File(FileStep::StoreNamed));
        self.base.store.length() > 0 || self.events[..after].iter().any(named)
    }

    /// After how many events the log has just become longer, and is not synced yet.
    pub fn log_grown(&self) -> Vec<usize> {
        let mut length = self.base.log.length();
        let mut grown = Vec::new();
        for (at, event) in self.events.iter().enumerate() {
            if let Event::Bytes(Which::Log, from, bytes) = event
                && from + bytes.len() as u64 > length
            {
                length = from + bytes.len() as u64;
                grown.push(at + 1);
            }
        }
        grown
    }

    /// What the in-flight file had in it.
    pub fn in_flight(&self, after: usize) -> Option<Arc<Vec<u8>>> {
        let before = self.events[..after].iter().rev();
        before
            .filter_map(|event| match event {
                Event::InFlight(content) => Some(Arc::clone(content)),
                _ => None,
            })
            .next()
    }

    fn files_found(&self, cut: &Cut, random: &mut Random) -> BTreeMap<u64, Arc<Vec<u8>>> {
        let mut contents = self.base.files.clone();
        let mut now: BTreeSet<u64> = contents.keys().copied().collect();
        let mut durable = now.clone();
        for event in &self.events[..cut.after] {
            match event {
                Event::Content(name, content) => {
                    contents.insert(*name, Arc::clone(content));
                }
                Event::File(FileStep::Made(name)) => {
                    now.insert(*name);
                }
                Event::File(FileStep::Linked { from, to }) => {
                    now.insert(*to);
                    if let Some(content) = contents.get(from).cloned() {
                        contents.insert(*to, content);
                    }
                }
                Event::File(FileStep::Removed(name)) => {
                    now.remove(name);
                }
                Event::File(FileStep::FolderSynced) => durable.clone_from(&now),
                _ => {}
            }
        }
        let uncertain = now.symmetric_difference(&durable).copied();
        let mut found: BTreeSet<u64> = now.intersection(&durable).copied().collect();
        for name in uncertain {
            let there = match (cut.kill, cut.shape) {
                (true, _) | (_, Shape::All) => now.contains(&name),
                (_, Shape::None) => durable.contains(&name),
                _ => random.below(2) == 0,
            };
            if there {
                found.insert(name);
            }
        }
        // A file that was not filled yet has anything in it.
        let garbage = Arc::new(vec![0; random.below(100)]);
        let with_content = |name| (name, contents.get(&name).unwrap_or(&garbage).clone());
        found.into_iter().map(with_content).collect()
    }
}

fn apply(image: &mut Image, event: &Event) {
    match event {
        Event::Length(which, length) => image.of_mut(*which).set_length(*length),
        Event::Bytes(which, at, bytes) => image.of_mut(*which).write(*at, bytes),
        Event::Synced | Event::File(_) | Event::Content(..) | Event::InFlight(_) => {}
    }
}

/// What of the writes that were not synced is there.
struct Survival {
    shape: Shape,
    sector: u64,
    torn: bool,
    /// Of [`Shape::AllButOne`]: which one; of [`Shape::Prefix`]: from which on nothing is there.
    chosen: usize,
    /// Whether the length of the file is what it was set to: as with the rest, or by lot.
    lengths: bool,
}

impl Survival {
    fn draw(cut: &Cut, pending: &[Event], random: &mut Random) -> Self {
        Survival {
            shape: cut.shape,
            sector: cut.sector,
            torn: cut.torn,
            chosen: random.below(pending.len().max(1)),
            lengths: random.below(2) == 0,
        }
    }

    fn apply(&self, pending: &[Event], image: &mut Image, random: &mut Random) {
        for (number, event) in pending.iter().enumerate() {
            match event {
                Event::Length(..) => {
                    let there = match self.shape {
                        Shape::None => false,
                        Shape::All => true,
                        Shape::Prefix => number < self.chosen,
                        _ => self.lengths || random.below(2) == 0,
                    };
                    if there {
                        apply(image, event);
                    }
                }
                Event::Bytes(which, at, bytes) => {
                    self.write(number, *at, bytes, image.of_mut(*which), random);
                }
                _ => {}
            }
        }
    }

    fn write(&self, number: usize, at: u64, bytes: &[u8], image: &mut Pages, random: &mut Random) {
        let mut done = 0;
        while done < bytes.len() {
            let here = at + done as u64;
            let rest = self.sector - here % self.sector;
            let length = usize::try_from(rest)
                .expect("small")
                .min(bytes.len() - done);
            let part = &bytes[done..done + length];
            if self.keeps(number, here, random) {
                let torn = self.torn && random.below(4) == 0;
                let kept = if torn { random.below(length) } else { length };
                image.write(here, &part[..kept]);
            }
            done += length;
        }
    }

    fn keeps(&self, number: usize, at: u64, random: &mut Random) -> bool {
        match self.shape {
            Shape::None => false,
            Shape::All => true,
            Shape::OnlyHeader => at < HEADER,
            Shape::AllButHeader => at >= HEADER,
            Shape::AllButOne => number != self.chosen,
            Shape::Some(percent) => random.below(100) < percent,
            Shape::Prefix => number < self.chosen,
        }
    }
}
