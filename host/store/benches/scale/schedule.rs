//! Messages scheduled for later: beside others that flow, and when they become due.

use std::time::Duration;

use gristmill_queue::NewMessage;
use gristmill_queue::message::Due;

use crate::compare::report;
use crate::rig::{BODY, Rig, resident, timed};

const HOUR_MS: u64 = 3_600_000;
const ROUND: u64 = 50_000;

/// Due in the hour after the next: in the order of acceptance, or in no order at all.
fn later(n: u64, of: u64, in_order: bool) -> NewMessage {
    let within = if in_order {
        n * HOUR_MS / of
    } else {
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % HOUR_MS
    };
    NewMessage {
        due: Due::After(Duration::from_millis(HOUR_MS + within)),
        ..NewMessage::with_body(BODY.to_vec())
    }
}

pub fn run(scheduled: u64) {
    let rig = Rig::new(Duration::from_secs(300));
    if scheduled > 0 {
        // The caches of fixed size are full by then.
        let already = scheduled * 3 / 10;
        rig.fill(already, move |n| later(n, scheduled, false));
        let before = resident();
        let rest = scheduled - already;
        rig.fill(rest, move |n| later(already + n, scheduled, false))
            .report("scheduled");
        if rest > 100_000 {
            report(
                "memory of a scheduled message, bytes",
                (resident() - before) as f64 / rest as f64,
            );
        }
    }
    rig.flow(ROUND, |_| NewMessage::with_body(BODY.to_vec()))
        .report("sent and handled beside them");
    if scheduled > 0 {
        become_due(&rig, scheduled, "that become due in no order");
        rig.fill(scheduled, move |n| later(n, scheduled, true));
        become_due(&rig, scheduled, "that become due in their order");
    }
}

fn become_due(rig: &Rig, scheduled: u64, which: &str) {
    let promoted = timed(scheduled, || rig.pass(Duration::from_millis(2 * HOUR_MS)));
    promoted.report(&format!("made ready, {which}"));
    rig.drain(scheduled, 1024)
        .report(&format!("handled, {which}"));
}
