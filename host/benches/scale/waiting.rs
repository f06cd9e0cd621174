//! Messages that flow while many wait: beside them, or through the same queue.

use gristmill_queue::QueueName;

use crate::compare::report;
use crate::resident::report_resident;
use crate::rig::{Rig, Setup, module, order, queue};

/// Many wait in a queue that is paused, and messages flow through another.
pub fn beside(count: u64) {
    let (flowing, paused) = (queue("in"), queue("paused"));
    let rig = Rig::new(&Setup::of(vec![flowing.clone(), paused.clone()]));
    rig.pause(&paused);
    rig.fill(&paused, count, order);
    let handler = rig.load("bench", &module("bench"));
    rig.open(&paused, &handler);
    rig.open(&flowing, &handler);
    measure(&rig, &[flowing]);
}

/// As many are sent as are handled, so it stays at that many that wait; what is handled was sent
/// long ago.
pub fn within(count: u64) {
    let flowing = queue("in");
    let rig = Rig::new(&Setup::of(vec![flowing.clone()]));
    rig.fill(&flowing, count, order);
    let handler = rig.load("bench", &module("bench"));
    rig.open(&flowing, &handler);
    measure(&rig, &[flowing]);
}

fn measure(rig: &Rig, flowing: &[QueueName]) {
    report_resident("before");
    rig.flow(flowing);
    report_resident("after");
    report("file, MB", rig.file_bytes() as f64 / 1e6);
    // What waits would be handled while it closes: there is no need for that.
    std::process::exit(0);
}
