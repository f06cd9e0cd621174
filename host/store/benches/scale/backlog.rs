//! A queue whose consumer is away, and comes back: time and memory on the way up and down.

use std::time::Duration;

use gristmill_queue::NewMessage;

use crate::compare::report;
use crate::rig::{BODY, Rig, resident};

pub fn run(messages: u64) {
    let rig = Rig::new(Duration::from_secs(300));
    let message = |_| NewMessage::with_body(BODY.to_vec());
    let start = resident();
    // The caches of fixed size are full by then, if there is that much.
    let already = messages * 3 / 10;
    rig.fill(already, message);
    let before = resident();
    rig.fill(messages - already, message).report("sent");
    let full = resident();
    let mib = |bytes: u64| bytes as f64 / (1 << 20) as f64;
    report("memory of the empty store, MiB", mib(start));
    report("memory when three tenths wait, MiB", mib(before));
    report("memory when all wait, MiB", mib(full));
    if messages >= 1_000_000 {
        report(
            "memory of a waiting message, bytes",
            full.saturating_sub(before) as f64 / (messages - already) as f64,
        );
    }
    report(
        "file, bytes per message",
        rig.file_bytes() as f64 / messages as f64,
    );
    // At each tenth of the way down.
    let mut tenths = Vec::new();
    let mut peak = full;
    rig.drain_watched(messages, 1024, |handled| {
        let memory = resident();
        peak = peak.max(memory);
        while handled * 10 >= (tenths.len() as u64 + 1) * messages {
            tenths.push(memory);
        }
    })
    .report("handled");
    report("memory at its highest on the way down, MiB", mib(peak));
    for (tenth, memory) in (1..).zip(&tenths).filter(|(tenth, _)| tenth % 3 == 0) {
        report(
            &format!("memory when {tenth} tenths are handled, MiB"),
            mib(*memory),
        );
    }
    report("memory when all are handled, MiB", mib(resident()));
}
