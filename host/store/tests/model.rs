//! A store and a plain reference of what it must do, led through the same random scripts.
//!
//! `GRISTMILL_MODEL_SEED` and `GRISTMILL_MODEL_RUNS` make the long runs longer, and
//! `GRISTMILL_MODEL_STEPS` their scripts; `GRISTMILL_MODEL_SHRINK` limits the search for a shorter one. A failure prints its seed and the shortest script that
//! still fails.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

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
mod built;
mod memory;
mod moment;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use built::commit;
use model::rig::Ground;
use model::script::{Script, scripts};
use model::tally::Tally;
use model::world::World;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Plays a script, up to where the store does not do what the reference says. Tells what it did.
fn play(script: &Script) -> Result<Tally, String> {
    let mut world = World::on(Ground::default(), |_| ());
    for (line, step) in script.0.iter().enumerate() {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step(step)));
        if let Err(cause) = played {
            let words = cause.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| cause.downcast_ref::<&str>().copied());
            return Err(format!("line {line}: {}", words.unwrap_or_default()));
        }
    }
    Ok(world.reference.tally)
}

/// Runs so many scripts that follow from a seed.
fn run(seed: u64, cases: u32, steps: usize) -> Tally {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: u32::try_from(from_environment("GRISTMILL_MODEL_SHRINK", 4000)).unwrap(),
        ..Config::default()
    };
    let tally = Mutex::new(Tally::default());
    let (passed, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    // Shrinking fails often; the last failure says it all.
    std::panic::set_hook(Box::new(|_| ()));
    let played = TestRunner::new_with_rng(config, rng).run(&scripts(steps), |script| {
        let done = play(&script).map_err(|why| {
            failed.store(true, Ordering::Relaxed);
            TestCaseError::fail(why)
        })?;
        // What passes later is a failing script made shorter.
        let counts = !failed.load(Ordering::Relaxed);
        passed.fetch_add(u64::from(counts), Ordering::Relaxed);
        tally.lock().unwrap().join(done);
        Ok(())
    });
    let _ = std::panic::take_hook();
    if let Err(failure) = played {
        let passed = passed.into_inner();
        panic!(
            "at commit {}, seed {seed}, {steps} steps, after {passed} that passed: {failure}",
            commit()
        );
    }
    tally.into_inner().unwrap()
}

#[test]
fn the_store_does_what_the_reference_says() {
    run(0, 300, 120).check(1);
}

#[test]
fn long_lives_end_as_the_reference_says() {
    let seed = from_environment("GRISTMILL_MODEL_SEED", 1);
    let runs = from_environment("GRISTMILL_MODEL_RUNS", 60);
    let steps = usize::try_from(from_environment("GRISTMILL_MODEL_STEPS", 300)).unwrap();
    let mut tally = Tally::default();
    for seed in seed..seed + runs {
        tally.join(run(seed, 1, steps));
    }
    eprintln!("{runs} scripts of up to {steps} steps: {tally:#?}");
}
