//! Many modules, each with a queue of its own.

use std::time::Instant;

use gristmill_queue::QueueName;

use crate::compare::report;
use crate::resident::report_resident;
use crate::rig::{Rig, Setup, module, queue};

/// The module of the benchmarks with something in it that makes it another.
pub fn copy(number: u64) -> Vec<u8> {
    let mut module = module("bench");
    // A custom section: 0, its size, and the size of its name before that.
    let name = format!("copy-{number}");
    let length = u8::try_from(name.len()).unwrap();
    module.extend([0, length + 1, length]);
    module.extend(name.as_bytes());
    module
}

pub fn run(count: u64) {
    let names: Vec<QueueName> = (0..count).map(|n| queue(&format!("in-{n}"))).collect();
    let rig = Rig::new(&Setup::of(names.clone()));
    // So that all are in the cache.
    for number in 0..count {
        drop(rig.load("bench", &copy(number)));
    }
    report_resident("without modules");
    let began = Instant::now();
    for (number, name) in (0..).zip(&names) {
        let handler = rig.load(&format!("bench-{number}"), &copy(number));
        rig.open(name, &handler);
    }
    report(
        "loading one from the cache, ms",
        began.elapsed().as_secs_f64() * 1000.0 / count as f64,
    );
    report_resident("before");
    rig.flow(&names);
    report_resident("after");
    rig.close();
}
