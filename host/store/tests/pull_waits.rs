//! Pull consumers that wait: who gets what is there, when, and what becomes of it if they are gone.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::message::Due;
use gristmill_queue::rate::Rate;
use gristmill_queue::{QueuePolicy, limits};
use gristmill_store::{Pulled, Receive, ReceiveError};
use stage::Host;
use stage::pull::{bodies, up_to};

const Q: &str = "orders";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn host() -> Host {
    host_with(|_| ())
}

fn host_with(change: impl Fn(&mut QueuePolicy)) -> Host {
    Host::with_policy(&[Q, "other"], |_, policy| {
        policy.pull.allowed = Some(true);
        change(policy);
    })
}

fn wait(max: u32, wait: u64) -> Receive {
    Receive {
        wait: seconds(wait),
        ..up_to(Q, max)
    }
}

fn send(host: &Host, body: &str) {
    host.send(Q, body).unwrap();
    // Who waits is answered after who has sent.
    host.tick();
}

fn some(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(|&text| text.to_owned()).collect())
}

#[test]
fn who_waits_gets_the_next_message_and_who_asked_first_gets_it_first() {
    let host = host();
    let mut first = host.receiving(wait(2, 20));
    let mut second = host.receiving(wait(2, 20));
    host.send("other", "x").unwrap();
    send(&host, "a");
    assert_eq!(first.bodies(), some(&["a"]));
    assert_eq!(second.bodies(), None);
    send(&host, "b");
    assert_eq!(second.bodies(), some(&["b"]));
}

/// Found by a long run of the power test: the writer asked for ever whom of those who wait it could serve.
#[test]
fn who_waits_for_a_token_holds_up_nobody() {
    let host = host_with(|policy| policy.rate = Some(Rate::new(1, seconds(10), Some(1))));
    let batch = ["a", "b"].map(|body| stage::send(Q, body));
    host.send_all(batch.into()).unwrap();
    let mut first = host.receiving(wait(1, 20));
    let mut second = host.receiving(wait(1, 20));
    host.tick();
    assert_eq!(first.bodies(), some(&["a"]));
    assert_eq!(second.bodies(), None);
    host.send("other", "x").unwrap();
    assert_eq!(host.receive(Q, 1), []);
    host.pass(seconds(10));
    assert_eq!(second.bodies(), some(&["b"]));
}

#[test]
fn one_answer_has_all_that_is_there_up_to_what_was_asked_for() {
    let host = host();
    let mut first = host.receiving(wait(2, 20));
    let mut second = host.receiving(wait(9, 20));
    let batch = ["a", "b", "c"].map(|body| stage::send(Q, body));
    host.send_all(batch.into()).unwrap();
    host.tick();
    assert_eq!(first.bodies(), some(&["a", "b"]));
    assert_eq!(second.bodies(), some(&["c"]));
}

#[test]
fn a_wait_ends_with_nothing_when_its_time_is_up() {
    let host = host();
    let mut short = host.receiving(wait(1, 5));
    let mut long = host.receiving(wait(1, 3600));
    host.pass(Duration::from_millis(4999));
    assert_eq!(short.bodies(), None);
    host.pass(Duration::from_millis(1));
    assert_eq!(short.bodies(), some(&[]));
    host.pass(limits::MAX_RECEIVE_WAIT - seconds(6));
    assert_eq!(long.bodies(), None);
    host.pass(seconds(1));
    assert_eq!(long.bodies(), some(&[]), "no wait is longer than the limit");
    send(&host, "a");
    assert_eq!(bodies(&host.receive(Q, 1)), ["a"], "nobody waits any more");
}

#[test]
fn who_waits_is_woken_by_what_is_due_released_lapses_or_is_resumed() {
    let host = host();
    let later = |message: &mut gristmill_queue::NewMessage| message.due = Due::After(seconds(3));
    host.send_with(Q, "due", later).unwrap();
    let mut receiving = host.receiving(wait(1, 20));
    host.pass(seconds(3));
    let held = receiving.look().unwrap().unwrap();
    assert_eq!(bodies(&held), ["due"]);

    let mut receiving = host.receiving(wait(1, 20));
    host.settle_pulled(Q, held[0].fence, Pulled::Release)
        .unwrap();
    let held = receiving.look().unwrap().unwrap();
    assert_eq!(
        (held[0].attempt, bodies(&held)),
        (1, vec!["due".to_owned()])
    );

    let mut receiving = host.receiving(wait(1, 50));
    host.pass(seconds(30));
    let held = receiving.look().unwrap().unwrap();
    assert_eq!(held[0].attempt, 2, "its lease had ended");

    host.pause(Q);
    send(&host, "more");
    let mut receiving = host.receiving(wait(1, 20));
    assert_eq!(receiving.bodies(), None, "it is paused");
    host.resume(Q);
    host.tick();
    assert_eq!(receiving.bodies(), some(&["more"]));
}

#[test]
fn who_waits_no_more_is_not_served() {
    let host = host();
    let gone = host.receiving(wait(1, 20));
    let mut stays = host.receiving(wait(1, 20));
    drop(gone);
    send(&host, "a");
    assert_eq!(stays.bodies(), some(&["a"]));
}

#[test]
fn what_was_granted_to_somebody_who_is_gone_is_released_uncounted() {
    let host = host();
    let gone = host.receiving(wait(1, 20));
    send(&host, "a");
    assert_eq!(host.receive(Q, 1), [], "it has been granted");
    drop(gone);
    host.tick();
    let received = host.receive_one(Q);
    assert_eq!((received.attempt, host.totals(Q).handed_back), (1, 1));
}

#[test]
fn the_end_of_the_host_ends_all_waits_and_loses_nothing() {
    let host = host();
    let mut receiving = host.receiving(wait(1, 20));
    let host = host.reopen();
    assert_eq!(receiving.look(), Some(Err(ReceiveError::Closed)));
    send(&host, "a");
    assert_eq!(bodies(&host.receive(Q, 1)), ["a"]);
}

#[test]
fn no_more_wait_than_may_and_who_does_not_wait_is_not_refused() {
    let host = host();
    let mut waiting: Vec<_> = (0..limits::MAX_WAITING_RECEIVES)
        .map(|_| host.receiving_unseen(wait(1, 20)))
        .collect();
    host.tick();
    let refused = host.try_receive(wait(1, 1)).unwrap_err();
    assert_eq!(refused, ReceiveError::TooManyWaiting);
    assert_eq!(host.receive("other", 1), []);
    waiting.truncate(1);
    host.tick();
    send(&host, "a");
    assert_eq!(waiting[0].bodies(), some(&["a"]));
    let mut late = host.receiving(wait(1, 20));
    send(&host, "b");
    assert_eq!(late.bodies(), some(&["b"]));
}

#[test]
fn bodies_of_one_answer_are_not_more_than_memory_is_there_for() {
    let host = host();
    let body = "x".repeat(200 * 1024);
    for _ in 0..60 {
        send(&host, &body);
    }
    let received = host.receive(Q, 100);
    let bytes: usize = received.iter().map(|one| one.message.body.len()).sum();
    let most = usize::try_from(limits::MAX_RECEIVE_BYTES).unwrap();
    assert!((most..most + body.len()).contains(&bytes), "{bytes}");
    assert_eq!(received.len() + host.receive(Q, 100).len(), 60);
}

#[test]
fn as_many_are_held_as_the_queue_allows() {
    let host = host_with(|policy| policy.pull.max_in_flight = 2);
    for body in ["a", "b", "c"] {
        send(&host, body);
    }
    let held = host.receive(Q, 9);
    assert_eq!(held.len(), 2);
    let mut receiving = host.receiving(wait(1, 20));
    assert_eq!(receiving.bodies(), None);
    host.settle_pulled(Q, held[0].fence, Pulled::Ack).unwrap();
    assert_eq!(receiving.bodies(), some(&["c"]));
}
