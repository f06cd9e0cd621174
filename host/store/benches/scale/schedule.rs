//! Messages scheduled for later: beside others that flow, and when they become due.

use std::time::Duration;

use gristmill_queue::NewMessage;
use gristmill_queue::message::Due;

use crate::rig::{BODY, Rig, report, resident, timed};

const HOUR_MS: u64 = 3_600_000;
const ROUND: u64 = 50_000;

/// Due at some time in the hour after the next, in no order.
fn later(n: u64) -> NewMessage {
    let scattered = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % HOUR_MS;
    NewMessage {
        due: Due::After(Duration::from_millis(HOUR_MS + scattered)),
        ..NewMessage::with_body(BODY.to_vec())
    }
}

pub fn run(scheduled: u64) {
    let rig = Rig::new(Duration::from_secs(300));
    let before = resident();
    if scheduled > 0 {
        rig.fill(scheduled, later).report("scheduled");
        report(
            "memory of a scheduled message, bytes",
            (resident() - before) as f64 / scheduled as f64,
        );
    }
    rig.flow(ROUND, |_| NewMessage::with_body(BODY.to_vec()))
        .report("sent and handled beside them");
    if scheduled > 0 {
        let promoted = timed(scheduled, || rig.pass(Duration::from_millis(2 * HOUR_MS)));
        promoted.report("made ready, all at once");
        rig.drain(scheduled, 1024)
            .report("handled once they are due");
    }
}
