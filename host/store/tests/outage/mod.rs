//! Random lives of stores, and random ends of them.

pub mod compaction;
pub mod cut;
pub mod digest;
pub mod disk;
pub mod image;
pub mod life;
pub mod snapshot;
pub mod totals;

use std::sync::Arc;

use gristmill_store::ByHand;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use self::cut::Cut;
use self::disk::Disk;
use self::life::Life;
use self::totals::Totals;
use super::damage::random::Random;
use super::model::script::{Op, Script, Sending, Step, scripts};

/// What is drawn of a store for all of its lives.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// The largest body that does not stand aside.
    pub inline: u64,
    /// What the log may take.
    pub log_bytes: u64,
    /// How many operations of a checkpoint are done before a commit at the most.
    pub steps: usize,
}

impl Sizes {
    /// How many are done before each: another number each time, and the same ones in each store.
    pub fn by_hand(&self) -> ByHand {
        let (most, mut random) = (self.steps, Random::new(self.steps as u64));
        Box::new(move || random.below(most + 1))
    }
}

/// How many ends are tried of each life.
pub const CUTS: usize = 100;
/// How many more are tried at each moment when the log becomes longer.
const GROWN_CUTS: usize = 4;
const STEPS: usize = 60;

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), rng)
}

/// What needs no crash of its own: the ends are chosen here.
fn lives(step: &Step) -> bool {
    !matches!(step, Step::Crash | Step::LosePower)
}

/// Several large bodies at once, so that the file grows.
fn burst(random: &mut Random) -> Step {
    let sending = |_| Sending {
        to: 0,
        size: 20_000 + random.below(40_000),
        ..Sending::default()
    };
    Step::One(Op::Send((0..5).map(sending).collect()))
}

/// A life that follows from a seed, on a disk.
pub fn life(seed: u64, random: &mut Random, disk: &Disk) -> Life {
    let mut runner = runner(seed);
    let mut draw = || -> Script { scripts(STEPS).new_tree(&mut runner).unwrap().current() };
    let (script, extras) = (draw(), draw());
    let mut steps: Vec<Step> = script.0.into_iter().filter(lives).collect();
    let mut inline = super::model::large::INLINE;
    if random.below(3) == 0 {
        inline = 64 * 1024;
        for _ in 0..3 {
            steps.insert(random.below(steps.len() + 1), burst(random));
        }
    }
    // None, so that redb makes every commit durable; so few that a half takes one or two, or some that are
    // made one page after another; or enough for all.
    let some = if seed.is_multiple_of(2) { 16 } else { 64 };
    let log_bytes = [0, 8, some, 2048][random.below(4)] * 1024;
    // None, so that a checkpoint is done when its half is wanted again; or all, before the next commit.
    let by_hand = [0, 3, 20, 1000][Random::new(!seed).below(4)];
    let mut extras: Vec<Step> = extras.0.into_iter().filter(lives).collect();
    extras.push(burst(random));
    let sizes = Sizes {
        inline,
        log_bytes,
        steps: by_hand,
    };
    Life::live(&steps, Arc::new(extras), sizes, disk)
}

/// Lives one life that follows from a seed, and ends it in so many ways. What is wrong is told with
/// all that is needed to see it again.
pub fn try_one(seed: u64, cuts: usize, disk: &Disk, totals: &mut Totals) -> Result<(), String> {
    let mut random = Random::new(seed);
    totals.lives += 1;
    let life = life(seed, &mut random, disk);
    for number in 0..cuts {
        let after = random.below(life.events() + 1);
        let cut = Cut::draw(after, &mut random);
        life.examine(&cut, &mut random, totals)
            .map_err(|wrong| format!("seed {seed}, end {number}: {wrong}"))?;
    }
    // Of all that happens in it, this is seldom.
    for after in life.log_grown() {
        for _ in 0..GROWN_CUTS {
            let cut = Cut::in_the_midst(after, &mut random);
            life.examine(&cut, &mut random, totals)
                .map_err(|wrong| format!("seed {seed}, when the log grew: {wrong}"))?;
        }
    }
    Ok(())
}
