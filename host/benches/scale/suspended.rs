//! Deliveries that all wait in a call of the host at once.

use std::time::{Duration, Instant};

use gristmill_queue::NewMessage;

use crate::compare::report;
use crate::resident::Memory;
use crate::rig::{Rig, Setup, module, queue};

/// Longer than it takes until all of them wait.
const LONG: Duration = Duration::from_secs(300);
/// Until those that were the last to start wait as well.
const SETTLING: Duration = Duration::from_secs(1);

pub fn run(count: u64) {
    let sleepers = queue("sleepers");
    let rig = Rig::new(&Setup {
        queues: vec![sleepers.clone()],
        in_flight: u32::try_from(count).unwrap(),
    });
    let handler = rig.load("misbehave", &module("misbehave"));
    rig.fill(&sleepers, count, |_| NewMessage::with_body("sleep 3600000"));
    let before = Memory::here();
    let began = Instant::now();
    rig.open(&sleepers, &handler);
    while rig.runtime.in_flight() < count {
        let most = rig.runtime.in_flight();
        assert!(began.elapsed() < LONG, "no more than {most} run at once");
        std::thread::sleep(Duration::from_millis(1));
    }
    let elapsed = began.elapsed();
    std::thread::sleep(SETTLING);
    assert_eq!(rig.runtime.in_flight(), count, "some have ended");
    let all = Memory::here();
    let each = |what: fn(&Memory) -> u64| {
        let growth = what(&all).saturating_sub(what(&before));
        growth as f64 / count as f64
    };
    report("until all of them wait, ms", elapsed.as_secs_f64() * 1000.0);
    report(
        "resident each, KiB",
        each(|memory| memory.resident) / 1024.0,
    );
    report(
        "the same, what they share counted once, KiB",
        each(|memory| memory.proportional) / 1024.0,
    );
    report(
        "of it anonymous, KiB",
        each(|memory| memory.anonymous) / 1024.0,
    );
    report(
        "tables of pages each, beside that, KiB",
        each(|memory| memory.tables) / 1024.0,
    );
    report("mappings each", each(|memory| memory.mappings));
    report("mappings of all", all.mappings as f64);
    report("resident, MiB", all.resident as f64 / f64::from(1 << 20));
    // They sleep on.
    std::process::exit(0);
}
