//! The power goes, or the process is killed, at any moment in the random life of a store; and again
//! while it recovers, and in the next commit. What is found must be what was answered, or that and
//! what was being done, and nothing else.
//!
//! `GRISTMILL_POWER_SEED`, `GRISTMILL_POWER_IMAGES` and `GRISTMILL_POWER_THREADS` make long runs, which
//! end after `GRISTMILL_POWER_FAILURES`: `cargo soak power`.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod damage {
    pub mod random;
}
mod built;
mod memory;
mod moment;
mod model {
    pub mod accept;
    pub mod act;
    pub mod ask;
    pub mod batch;
    pub mod change;
    pub mod check;
    pub mod cron;
    pub mod flow;
    pub mod groups;
    pub mod judge;
    pub mod large;
    pub mod parcel;
    pub mod policy;
    pub mod pull;
    pub mod pulling;
    pub mod redrives;
    pub mod reference;
    pub mod replies;
    pub mod restart;
    pub mod rig;
    pub mod room;
    pub mod script;
    pub mod standin;
    pub mod standing;
    pub mod state;
    pub mod tally;
    pub mod ticks;
    pub mod topics;
    pub mod world;
}
mod outage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use built::commit;
use outage::compaction::{self, Found};
use outage::disk::Disk;
use outage::life::words;
use outage::totals::Totals;
use outage::{CUTS, try_one};

// The program's own, which is quick where messages are made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn goes_on((totals, failures): &(Totals, Vec<String>), goal: u64, most: u64) -> bool {
    totals.images < goal && (failures.len() as u64) < most
}

/// One life; that it goes as the model says is part of it.
fn one(seed: u64, disk: &Disk, totals: &mut Totals) -> Result<(), String> {
    let tried = catch_unwind(AssertUnwindSafe(|| try_one(seed, CUTS, disk, totals)));
    tried.unwrap_or_else(|cause| Err(format!("seed {seed}, while it lived: {}", words(&*cause))))
}

/// The first two cut between a reply that was handed out and the commit that removes it; in the third,
/// one message that expires takes another with it that does so too; in the fourth, the host is killed
/// when it has leased messages since the last commit.
#[test]
fn lives_that_once_ended_otherwise_than_expected_do_not_any_more() {
    for seed in [20015, 20052, 40957, 200254] {
        one(seed, &Disk::default(), &mut Totals::default()).unwrap();
    }
}

#[test]
fn after_the_power_went_at_any_moment_what_is_found_is_what_was_answered_or_was_being_done() {
    let seed = from_environment("GRISTMILL_POWER_SEED", 1);
    let goal = from_environment("GRISTMILL_POWER_IMAGES", 1000);
    let threads = from_environment("GRISTMILL_POWER_THREADS", 2);
    // More failures than these say nothing more.
    let most = from_environment("GRISTMILL_POWER_FAILURES", 10);
    let (next, begun) = (AtomicU64::new(seed), Instant::now());
    let all: Mutex<(Totals, Vec<String>)> = Mutex::default();
    // Failures are told by their seeds.
    std::panic::set_hook(Box::new(|_| ()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while goes_on(&all.lock().unwrap(), goal, most) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let mut totals = Totals::default();
                    let tried = one(seed, &Disk::default(), &mut totals);
                    let mut all = all.lock().unwrap();
                    all.0 += totals;
                    if let Err(wrong) = tried {
                        eprintln!("{wrong}");
                        all.1.push(wrong);
                    }
                    if all.0.lives.is_multiple_of(100) {
                        eprintln!("{:?} after {:?}", all.0, begun.elapsed());
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    let (totals, failures) = all.into_inner().unwrap();
    let took = begun.elapsed().as_secs_f64();
    let files = totals.images + totals.nested;
    eprintln!(
        "{totals:?} from seed {seed} in {took:.0} s: {:.0} files a second",
        files as f64 / took
    );
    assert!(
        failures.is_empty(),
        "at commit {}, {CUTS} ends of each life:\n{}",
        commit(),
        failures.join("\n")
    );
    assert!(totals.nested > totals.images, "{totals:?}: too few go on");
}

#[test]
fn the_power_may_go_while_a_store_is_compacted_and_the_old_one_or_the_new_one_is_there_whole() {
    let seed = from_environment("GRISTMILL_POWER_SEED", 1);
    let lives = from_environment("GRISTMILL_POWER_COMPACTIONS", 3);
    let mut found = Found::default();
    for seed in seed..seed + lives {
        if let Err(wrong) = compaction::try_one(seed, &mut found) {
            panic!("at commit {}: {wrong}", commit());
        }
    }
    eprintln!("{found:?} from seed {seed}");
    assert!(found.new > 0, "{found:?}: it is never over");
    // Else it would not matter when the one replaces the other.
    assert!(found.unfinished > found.old / 4, "{found:?}");
}
