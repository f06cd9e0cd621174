//! What happens when a message is sent to a full queue of a real store.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::NewMessage;
use gristmill_queue::message::Due;
use gristmill_queue::policy::OnFull;
use gristmill_store::{Leased, SendError};
use stage::{Host, done, send};

/// `full` takes three messages and drops the oldest, `plain` takes what it gets.
fn host() -> Host {
    Host::with_policy(&["full", "plain"], |queue, policy| {
        if queue == "full" {
            policy.max_messages = Some(3);
            policy.on_full = OnFull::DropOldest;
            policy.concurrency = 1;
        }
    })
}

fn bodies(leased: &[Leased]) -> Vec<String> {
    let body = |leased: &Leased| String::from_utf8(leased.message.body.to_vec()).unwrap();
    leased.iter().map(body).collect()
}

/// Handles all that is delivered; the bodies in the order of their delivery.
fn handled(host: &Host) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let leased = host.delivered("full");
        if leased.is_empty() {
            return all;
        }
        all.extend(bodies(&leased));
        for leased in leased {
            host.settle(done(&leased));
        }
    }
}

#[test]
fn a_full_queue_drops_its_oldest_and_never_what_is_in_flight_also_after_a_restart() {
    let host = host();
    host.send("full", "0").unwrap();
    let running = host.delivered("full");
    assert_eq!(bodies(&running), ["0"]);
    host.send_with("full", "later", |message| {
        message.due = Due::After(Duration::from_secs(60));
    })
    .unwrap();
    for body in ["1", "2", "3"] {
        host.send("full", body).unwrap();
    }
    let depths = host.depths("full");
    assert_eq!(
        (depths.ready, depths.scheduled, depths.in_flight),
        (2, 0, 1)
    );
    assert_eq!(host.view("full").totals.dropped, 2);
    host.settle(done(&running[0]));
    host.pause("full");
    host.send("full", "4").unwrap();
    let host = host.lose_power();
    host.send("full", "5").unwrap();
    host.resume("full");
    assert_eq!(handled(&host), ["3", "4", "5"]);
}

#[test]
fn a_batch_drops_nothing_that_it_has_just_sent_and_nothing_if_it_is_refused() {
    let host = host();
    host.pause("full");
    for body in ["0", "1"] {
        host.send("full", body).unwrap();
    }
    let batch = |bodies: &[&str]| {
        let outgoing = bodies.iter().map(|body| send("full", body));
        outgoing.collect::<Vec<_>>()
    };
    let refused = host.send_all(batch(&["a", "b", "c", "d"]));
    assert!(matches!(refused, Err(SendError::Full(_))), "{refused:?}");
    let mut elsewhere = batch(&["a", "b"]);
    elsewhere.push(send("nowhere", "c"));
    host.send_all(elsewhere).unwrap_err();
    assert_eq!(
        host.depths("full").ready,
        2,
        "what is refused drops nothing"
    );
    host.send_all(batch(&["a", "b", "c"])).unwrap();
    host.resume("full");
    assert_eq!(handled(&host), ["a", "b", "c"]);
}

#[test]
fn what_a_handler_sends_drops_too_and_a_repeat_drops_nothing() {
    let host = host();
    host.pause("full");
    for body in ["0", "1", "2"] {
        let sent = host.send_with("full", body, |message| {
            message.dedup_id = Some(body.to_owned());
        });
        sent.unwrap();
    }
    let again = host.send_with("full", "1", |message| {
        message.dedup_id = Some("1".to_owned());
    });
    assert!(again.unwrap().duplicate);
    assert_eq!(host.view("full").totals.dropped, 0);
    host.send("plain", "work").unwrap();
    let leased = host.delivered("plain");
    let mut end = done(&leased[0]);
    let mut transaction = host.transaction("handler", &["full"]);
    let message = NewMessage::with_body("3");
    transaction.send("full", message).unwrap();
    end.effects = transaction.finish();
    host.settle(end);
    assert_eq!(host.view("full").totals.dropped, 1);
    host.resume("full");
    assert_eq!(handled(&host), ["1", "2", "3"]);
}

#[test]
fn a_queue_that_begins_to_drop_knows_what_is_oldest_of_what_it_has() {
    let host = Host::with_policy(&["full"], |_, policy| policy.max_messages = Some(3));
    host.pause("full");
    for body in ["0", "1", "2"] {
        host.send("full", body).unwrap();
    }
    host.send("full", "3").unwrap_err();
    let host = host.redeclare(|policy| policy.on_full = OnFull::DropOldest);
    host.send("full", "3").unwrap();
    let host = host.redeclare(|policy| policy.on_full = OnFull::Reject);
    host.send("full", "4").unwrap_err();
    host.resume("full");
    assert_eq!(handled(&host), ["1", "2", "3"]);
}
