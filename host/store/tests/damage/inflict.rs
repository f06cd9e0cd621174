//! How a disk damages a file.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "not every test that damages files needs everything"
)]

use super::random::Random;

const PAGE: usize = 4096;
const SECTOR: usize = 512;

#[derive(Debug)]
pub enum Damage {
    FlippedBit(usize, u8),
    ZeroedSector(usize),
    /// One page stands where another should.
    Misplaced {
        from: usize,
        to: usize,
    },
    /// The rest of a page was never written.
    TornPage(usize),
}

impl Damage {
    /// Some damage to a part of the file that is in use.
    pub fn draw(random: &mut Random, file: &[u8]) -> Self {
        let used = |page: &usize| file[page * PAGE..].iter().take(PAGE).any(|byte| *byte != 0);
        let used: Vec<usize> = (0..file.len() / PAGE).filter(used).collect();
        let page = used[random.below(used.len())] * PAGE;
        match random.below(8) {
            0..4 => {
                let written = |at: &usize| file[*at] != 0;
                let written: Vec<usize> = (page..page + PAGE).filter(written).collect();
                let at = written[random.below(written.len())];
                Damage::FlippedBit(at, 1 << random.below(8))
            }
            4 => Damage::ZeroedSector(page + random.below(PAGE / SECTOR) * SECTOR),
            5 => Damage::TornPage(page + random.below(PAGE)),
            _ => Damage::Misplaced {
                from: used[random.below(used.len())] * PAGE,
                to: page,
            },
        }
    }

    /// Where the damaged page begins and ends.
    pub fn page(&self) -> std::ops::Range<usize> {
        let at = match *self {
            Damage::FlippedBit(at, _) | Damage::ZeroedSector(at) | Damage::TornPage(at) => at,
            Damage::Misplaced { to, .. } => to,
        };
        at / PAGE * PAGE..at / PAGE * PAGE + PAGE
    }

    pub fn inflict(&self, file: &[u8]) -> Vec<u8> {
        let mut damaged = file.to_vec();
        match *self {
            Damage::FlippedBit(at, bit) => damaged[at] ^= bit,
            Damage::ZeroedSector(at) => damaged[at..at + SECTOR].fill(0),
            Damage::TornPage(at) => damaged[at..at.next_multiple_of(PAGE)].fill(0),
            Damage::Misplaced { from, to } => damaged.copy_within(from..from + PAGE, to),
        }
        damaged
    }
}
