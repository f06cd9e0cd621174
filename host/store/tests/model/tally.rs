//! How often scripts did what is worth a test: those that do too little prove nothing.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "not every test that plays scripts asks how much they did"
)]

use std::collections::BTreeMap;

/// What is counted, and how often.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<&'static str, u64>);

/// What has to happen in a run, however short.
const ALL: [&str; 21] = [
    "attempts",
    "acks that wait for room",
    "copies",
    "copies by handlers",
    "copies that repeat",
    "messages that nobody wants",
    "topics that are full",
    "repeats of content",
    "repeats of large content",
    "requests",
    "replies handed out",
    "notices of deaths handed out",
    "letters at a rate",
    "letters to another queue",
    "letters back to their source",
    "letters edited",
    "redrives that a restart interrupts",
    "messages received",
    "messages received with their group",
    "leases that end",
    "leases over a restart",
];

impl Tally {
    pub fn note(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: &'static str, count: u64) {
        assert!(ALL.contains(&what), "{what} is not to be counted");
        *self.0.entry(what).or_default() += count;
    }

    pub fn join(&mut self, other: Tally) {
        for (what, count) in other.0 {
            self.add(what, count);
        }
    }

    /// Whether everything happened so often.
    pub fn check(&self, at_least: u64) {
        let seldom = ALL.map(|what| (what, self.0.get(what).copied().unwrap_or(0)));
        let seldom: Vec<_> = seldom.iter().filter(|one| one.1 < at_least).collect();
        assert!(seldom.is_empty(), "the scripts do too little: {seldom:?}");
    }
}
