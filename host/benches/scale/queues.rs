//! Many queues that one handler serves.

use gristmill_queue::QueueName;

use crate::resident::report_resident;
use crate::rig::{Rig, Setup, module, queue};

pub fn run(count: u64) {
    let names: Vec<QueueName> = (0..count).map(|n| queue(&format!("in-{n}"))).collect();
    let rig = Rig::new(&Setup::of(names.clone()));
    let handler = rig.load("bench", &module("bench"));
    for name in &names {
        rig.open(name, &handler);
    }
    report_resident("before");
    rig.flow(&names);
    report_resident("after");
    rig.close();
}
