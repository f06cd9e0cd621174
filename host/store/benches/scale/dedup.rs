//! Dedup ids. The window is kept at its size while messages flow: as many ids are forgotten as come.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gristmill_queue::NewMessage;

use crate::rig::{BODY, ROUNDS, Rig};

const WINDOW: Duration = Duration::from_secs(300);
const ROUND: u64 = 50_000;

fn message(n: u64) -> NewMessage {
    NewMessage {
        dedup_id: Some(format!("order-{n}")),
        ..NewMessage::with_body(BODY.to_vec())
    }
}

pub fn run(ids: u64) {
    let rig = Rig::new(WINDOW);
    rig.flow(ROUND, |_| NewMessage::with_body(BODY.to_vec()))
        .report("sent without an id, and handled");
    if ids == 0 {
        // The ids of a round are the only ones in their window.
        rig.flow_in_rounds(ROUND, message, || rig.pass(2 * WINDOW))
            .report("sent with a new id, and handled");
    } else {
        in_the_window(&rig, ids);
    }
    // Those sent last are in the window in any case.
    let sent = ids + ROUND * ROUNDS as u64;
    let recent = ids.clamp(1_000, sent) * 9 / 10;
    rig.flow(ROUND, move |n| {
        message(sent - 1 - n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % recent)
    })
    .report("sent again with an id, and answered");
    assert_eq!(
        rig.handled(),
        sent + ROUND * ROUNDS as u64,
        "none was made twice"
    );
}

fn in_the_window(rig: &Rig, ids: u64) {
    let nanos = u64::try_from(WINDOW.as_nanos()).unwrap() / ids;
    let started = rig.clock.load(Ordering::SeqCst);
    let clock = Arc::clone(&rig.clock);
    // The clock goes on with the messages, so that just so many are sent within a window.
    let timed = move |n: u64| {
        clock.fetch_max(started + n * nanos / 1_000_000, Ordering::SeqCst);
        message(n)
    };
    rig.fill(ids, timed.clone());
    rig.drain(ids, 1024);
    rig.flow(ROUND, move |n| timed(ids + n))
        .report("sent with a new id, and handled");
}
