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
    pub mod batch;
    pub mod change;
    pub mod check;
    pub mod cron;
    pub mod flow;
    pub mod groups;
    pub mod judge;
    pub mod large;
    pub mod policy;
    pub mod reference;
    pub mod rig;
    pub mod room;
    pub mod script;
    pub mod sending;
    pub mod standing;
    pub mod state;
    pub mod world;
}

use std::sync::atomic::{AtomicU64, Ordering};

use model::rig::Ground;
use model::script::{Script, scripts};
use model::world::World;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Plays a script, up to where the store does not do what the reference says. Tells how many
/// attempts were begun.
fn play(script: &Script) -> Result<u64, String> {
    let mut world = World::on(Ground::default(), |_| ());
    for (line, step) in script.0.iter().enumerate() {
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.step(step)));
        if let Err(cause) = played {
            let words = cause.downcast_ref::<String>().map(String::as_str);
            let words = words.or_else(|| cause.downcast_ref::<&str>().copied());
            return Err(format!("line {line}: {}", words.unwrap_or_default()));
        }
    }
    Ok(world.started)
}

/// Runs so many scripts that follow from a seed.
fn run(seed: u64, cases: u32, steps: usize) -> u64 {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: u32::try_from(from_environment("GRISTMILL_MODEL_SHRINK", 4000)).unwrap(),
        ..Config::default()
    };
    let started = AtomicU64::new(0);
    // Shrinking fails often; the last failure says it all.
    std::panic::set_hook(Box::new(|_| ()));
    let played = TestRunner::new_with_rng(config, rng).run(&scripts(steps), |script| {
        let attempts = play(&script).map_err(TestCaseError::fail)?;
        started.fetch_add(attempts, Ordering::Relaxed);
        Ok(())
    });
    let _ = std::panic::take_hook();
    if let Err(failure) = played {
        panic!("seed {seed}, {steps} steps: {failure}");
    }
    started.into_inner()
}

#[test]
fn the_store_does_what_the_reference_says() {
    let started = run(0, 500, 60);
    assert!(
        started > 2000,
        "only {started} attempts: the scripts do too little"
    );
}

#[test]
fn long_lives_end_as_the_reference_says() {
    let seed = from_environment("GRISTMILL_MODEL_SEED", 1);
    let runs = from_environment("GRISTMILL_MODEL_RUNS", 60);
    let steps = usize::try_from(from_environment("GRISTMILL_MODEL_STEPS", 300)).unwrap();
    let mut started = 0;
    for seed in seed..seed + runs {
        started += run(seed, 1, steps);
    }
    eprintln!("{runs} scripts of up to {steps} steps, {started} attempts");
}
