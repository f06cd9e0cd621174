//! Groups. What is compared is the same work: a million messages that wait are one group of a million
//! or a million groups of one.

use gristmill_queue::NewMessage;

use crate::compare::report;
use crate::rig::{BODY, Rig, resident};
use std::time::Duration;

const WAITING: u64 = 1_000_000;

fn message(n: u64, groups: u64) -> NewMessage {
    let mut message = NewMessage::with_body(BODY.to_vec());
    message.envelope.group = Some(format!("customer-{}", n % groups));
    message
}

pub fn run(groups: u64) {
    let rig = Rig::new(Duration::from_secs(300));
    // The caches of fixed size are full by then.
    let already = WAITING * 3 / 10;
    rig.fill(already, move |n| message(n, groups));
    let before = resident();
    rig.fill(WAITING - already, move |n| message(already + n, groups))
        .report("sent to a queue as it grows to a million");
    report(
        "memory of a waiting message, bytes",
        (resident() - before) as f64 / (WAITING - already) as f64,
    );
    // One at a time, since that is all that one group allows.
    rig.drain(2_000, 1).report("handled one at a time");
    if groups >= 1_000 {
        let rest = WAITING - rig.handled();
        rig.drain(rest, 1024).report("handled 1,024 at a time");
    }
}
