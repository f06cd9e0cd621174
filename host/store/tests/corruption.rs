//! A file that was damaged while it was closed: the store may refuse it, stop over it, or put what is
//! damaged aside, but it never hands out what was not sent.
//!
//! `GRISTMILL_CORRUPTION_SEED` and `GRISTMILL_CORRUPTION_RUNS` choose which damage and how much.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod damage {
    pub mod apart;
    pub mod inflict;
    pub mod random;
    pub mod specimen;
}
mod memory;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use damage::apart::apart;
use damage::inflict::Damage;
use damage::random::Random;
use damage::specimen::{Seen, Specimen};

/// Before what must not be.
const WRONG: &str = "wrong";

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn damage_is_refused_or_put_aside_and_never_handed_out() {
    let seed = from_environment("GRISTMILL_CORRUPTION_SEED", 1);
    let runs = from_environment("GRISTMILL_CORRUPTION_RUNS", 500);
    let specimen = Specimen::make();
    let whole = specimen.examine(&specimen.file);
    let Ok(Seen::Worked { lost: 0, .. }) = whole else {
        panic!("without damage: {whole:?}");
    };
    // redb's own panics are expected, and turned into errors.
    std::panic::set_hook(Box::new(|_| ()));
    let name = "damage_is_refused_or_put_aside_and_never_handed_out";
    let told = apart(name, seed, runs, |seed| {
        let damage = Damage::draw(&mut Random::new(seed), &specimen.file);
        let damaged = damage.inflict(&specimen.file);
        let examined = catch_unwind(AssertUnwindSafe(|| specimen.examine(&damaged)));
        let outcome = match examined {
            Ok(Ok(Seen::Refused)) => "refused when opened",
            Ok(Ok(Seen::Stopped)) => "stopped while it ran",
            Ok(Ok(Seen::Worked { lost: 0, .. })) => "no harm done",
            Ok(Ok(Seen::Worked { told: true, .. })) => "something put aside or unreadable",
            Ok(Ok(Seen::Worked { .. })) => "something missing without a word",
            Ok(Err(wrong)) => return format!("{WRONG}: seed {seed}, {damage:?}: {wrong}"),
            Err(_) => return format!("{WRONG}: seed {seed}, {damage:?}: a panic escaped"),
        };
        outcome.to_owned()
    });
    let _ = std::panic::take_hook();
    let wrong = told.iter().filter(|told| told.starts_with(WRONG));
    let wrong: Vec<&str> = wrong.map(String::as_str).collect();
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for told in &told {
        *outcomes.entry(told).or_default() += 1;
    }
    eprintln!("{runs} times damaged: {outcomes:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        outcomes.len() > 2,
        "the damage does too little: {outcomes:?}"
    );
}
