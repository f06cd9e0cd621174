//! When a message is due and when it expires, and how both are changed by its id.

mod stage;

use std::time::Duration;

use gristmill_queue::message::Due;
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::policy::OnExpiry;
use gristmill_queue::{NewMessage, Outcome, Reason, Timestamp};
use gristmill_store::{AdminError, Found, SendError};
use stage::{Host, done, failed, names, settle};

const DAY: u64 = 86_400;
const CENTURY: u64 = 100 * 365 * DAY;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn after(seconds: u64) -> impl Fn(&mut NewMessage) {
    move |message| message.due = Due::After(secs(seconds))
}

fn living(seconds: u64) -> impl Fn(&mut NewMessage) {
    move |message| message.ttl = Some(secs(seconds))
}

fn in_group(group: &'static str) -> impl Fn(&mut NewMessage) {
    move |message| message.envelope.group = Some(group.into())
}

fn due(found: &Found) -> Timestamp {
    match found {
        Found::Waiting { message, .. } => message.due,
        other => panic!("it should wait: {other:?}"),
    }
}

#[test]
fn a_delay_may_be_as_long_as_wanted_and_nothing_short_waits_behind_it() {
    let host = Host::new(&["orders"]);
    let long = host.send_with("orders", "long", after(CENTURY)).unwrap().id;
    let at = host.now().after(secs(2 * CENTURY));
    host.send_with("orders", "longer", |message| message.due = Due::At(at))
        .unwrap();
    let short = host.send_with("orders", "short", after(2)).unwrap().id;
    let now = host.send("orders", "now").unwrap().id;
    assert_eq!(names(&host.delivered("orders")), [now]);
    let host = host.reopen();
    host.pass(secs(2));
    assert_eq!(names(&host.delivered("orders")), [now, short]);
    host.pass(secs(CENTURY - 3));
    assert!(host.delivered("orders").is_empty());
    host.pass(secs(1));
    assert_eq!(names(&host.delivered("orders")), [long]);
    assert_eq!(host.depths("orders").scheduled, 1);
}

#[test]
fn a_short_ttl_behind_a_long_one_expires_on_time() {
    let host = Host::new(&["idle"]);
    host.detach("idle");
    host.send_with("idle", "long", living(CENTURY)).unwrap();
    host.send("idle", "for ever").unwrap();
    let short = host.send_with("idle", "short", living(10)).unwrap().id;
    host.pass(Duration::from_millis(9_999));
    assert_eq!(host.depths("idle").ready, 3);
    host.pass(Duration::from_millis(1));
    assert_eq!(host.depths("idle").ready, 2);
    assert_eq!(host.dead_letter("idle", short).reason, Reason::Expired);
}

#[test]
fn a_message_that_would_expire_before_it_is_due_is_refused_at_send() {
    let host = Host::new(&["orders"]);
    let sent = host.send_with("orders", "x", |message| {
        after(10)(message);
        living(10)(message);
    });
    assert!(matches!(sent, Err(SendError::Invalid { .. })), "{sent:?}");
}

#[test]
fn a_running_attempt_never_expires_and_its_ack_counts() {
    let host = Host::new(&["orders"]);
    host.send_with("orders", "x", living(1)).unwrap();
    let leased = host.delivered("orders");
    host.pass(secs(3600));
    assert_eq!(host.depths("orders").in_flight, 1);
    host.settle(done(&leased[0]));
    let depths = host.depths("orders");
    assert_eq!((depths.in_flight, depths.dead), (0, 0));
}

#[test]
fn an_attempt_that_fails_after_expiry_is_dead_at_once_with_reason_expired() {
    let host = Host::new(&["orders"]);
    let back = Outcome::HandedBack(HandedBack::Shutdown);
    for end in [failed as fn(&_, &str) -> _, |leased: &_, _: &str| {
        settle(leased, Outcome::HandedBack(HandedBack::Reload))
    }] {
        let id = host.send_with("orders", "x", living(5)).unwrap().id;
        let leased = host.delivered("orders");
        host.pass(secs(5));
        host.settle(end(&leased[0], "too late"));
        assert_eq!(host.dead_letter("orders", id).reason, Reason::Expired);
    }
    let id = host.send_with("orders", "x", living(5)).unwrap().id;
    let leased = host.delivered("orders");
    host.pass(secs(4));
    host.settle(settle(&leased[0], back));
    assert_eq!(names(&host.delivered("orders")), [id], "in time");
}

#[test]
fn what_expires_is_dropped_where_the_queue_says_so() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.on_expiry = OnExpiry::Drop);
    host.send_with("orders", "runs", living(5)).unwrap();
    let leased = host.delivered("orders");
    host.detach("orders");
    host.send_with("orders", "waits", living(5)).unwrap();
    host.pass(secs(5));
    host.settle(failed(&leased[0], "too late"));
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.in_flight, depths.dead), (0, 0, 0));
}

#[test]
fn a_message_is_cancelled_wherever_it_waits_and_stays_away() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 3);
    let retried = host.send("orders", "backs off").unwrap().id;
    let leased = host.delivered("orders");
    host.settle(failed(&leased[0], "no"));
    host.detach("orders");
    let ready = host.send("orders", "ready").unwrap().id;
    let scheduled = host.send_with("orders", "later", after(60)).unwrap().id;
    let head = host.send_with("orders", "1", in_group("g")).unwrap().id;
    let behind = host.send_with("orders", "2", in_group("g")).unwrap().id;
    let last = host.send_with("orders", "3", in_group("g")).unwrap().id;
    for id in [retried, ready, scheduled, behind] {
        host.cancel(id).unwrap();
        let again = host.cancel(id);
        assert!(matches!(again, Err(AdminError::UnknownMessage(same)) if same == id));
        assert!(matches!(host.find(id), Err(AdminError::UnknownMessage(_))));
    }
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.scheduled, depths.bytes), (2, 0, 2));
    assert_eq!(host.totals("orders").cancelled, 4);
    // What is answered is durable.
    let host = host.lose_power();
    host.pass(secs(3600));
    let leased = host.delivered("orders");
    assert_eq!(names(&leased), [head]);
    host.settle(done(&leased[0]));
    assert_eq!(names(&host.delivered("orders")), [last]);
}

#[test]
fn a_moved_message_is_due_then_and_keeps_all_that_is_known_of_it() {
    let host = Host::new(&["orders"]);
    let id = host.send("orders", "x").unwrap().id;
    let leased = host.delivered("orders");
    host.settle(failed(&leased[0], "the gateway is down"));
    let at = host.now().after(secs(3600));
    assert_eq!(host.move_to(id, Due::At(at)).unwrap(), at);
    let host = host.reopen();
    assert_eq!(due(&host.find(id).unwrap()), at);
    host.pass(secs(3599));
    assert!(host.delivered("orders").is_empty());
    assert_eq!(host.move_to(id, Due::Now).unwrap(), host.now());
    let again = host.delivered("orders");
    assert_eq!((names(&again), again[0].attempt), (vec![id], 2));
    let told = again[0].previous_failure.as_deref();
    assert_eq!(told, Some("the gateway is down"));
}

#[test]
fn a_message_that_was_just_accepted_can_be_moved_away() {
    let host = Host::new(&["orders"]);
    host.detach("orders");
    let ids = ["a", "b"].map(|body| host.send("orders", body).unwrap().id);
    host.move_to(ids[0], Due::After(secs(10))).unwrap();
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.scheduled), (1, 1));
    // What is due already does not lose its place by being moved to now.
    host.pass(secs(1));
    let before = due(&host.find(ids[1]).unwrap());
    assert_eq!(host.move_to(ids[1], Due::Now).unwrap(), before);
    host.attach("orders");
    let later = host.send("orders", "c").unwrap().id;
    let leased = host.delivered("orders");
    assert_eq!(names(&leased), [ids[1], later]);
    host.pass(secs(9));
    let moved = host.delivered("orders");
    assert_eq!(names(&moved), [ids[0]]);
    // Handed back, it keeps the place that it was moved to, not the one that it was sent to.
    host.detach("orders");
    for leased in leased.iter().chain(&moved) {
        let back = Outcome::HandedBack(HandedBack::Shutdown);
        host.settle(settle(leased, back));
    }
    host.attach("orders");
    assert_eq!(names(&host.delivered("orders")), [ids[1], later, ids[0]]);
}

#[test]
fn moving_inside_a_group_changes_when_its_head_is_due_and_never_the_order() {
    let host = Host::new(&["orders"]);
    let later = |seconds| {
        move |message: &mut NewMessage| {
            in_group("g")(message);
            after(seconds)(message);
        }
    };
    let head = host.send_with("orders", "1", later(100)).unwrap().id;
    let next = host.send_with("orders", "2", later(0)).unwrap().id;
    assert!(matches!(
        host.find(next).unwrap(),
        Found::Waiting { behind: true, .. }
    ));
    host.move_to(next, Due::Now).unwrap();
    assert!(host.delivered("orders").is_empty(), "it waits for its turn");
    host.move_to(head, Due::After(secs(10))).unwrap();
    host.move_to(next, Due::After(secs(20))).unwrap();
    let host = host.reopen();
    host.pass(secs(10));
    let leased = host.delivered("orders");
    assert_eq!(names(&leased), [head]);
    host.settle(done(&leased[0]));
    assert!(host.delivered("orders").is_empty(), "not due yet");
    host.pass(secs(10));
    assert_eq!(names(&host.delivered("orders")), [next]);
}

#[test]
fn a_message_is_not_moved_beyond_its_expiry() {
    let host = Host::new(&["orders"]);
    host.detach("orders");
    let id = host.send_with("orders", "x", living(10)).unwrap().id;
    for to in [Due::After(secs(10)), Due::At(Timestamp::MAX)] {
        let moved = host.move_to(id, to);
        assert!(matches!(moved, Err(AdminError::ExpiresFirst(same)) if same == id));
    }
    host.move_to(id, Due::After(secs(9))).unwrap();
}

#[test]
fn what_is_in_flight_dead_or_unknown_is_neither_cancelled_nor_moved() {
    let host = Host::new(&["orders"]);
    let id = host.send("orders", "x").unwrap().id;
    let leased = host.delivered("orders");
    assert!(matches!(host.find(id), Ok(Found::InFlight(_))));
    assert!(matches!(host.cancel(id), Err(AdminError::InFlight(_))));
    let moved = host.move_to(id, Due::After(secs(1)));
    assert!(matches!(moved, Err(AdminError::InFlight(_))));
    host.settle(settle(
        &leased[0],
        Outcome::Rejected {
            error: "never".into(),
        },
    ));
    assert!(matches!(host.find(id), Ok(Found::Dead(_))));
    assert!(matches!(host.cancel(id), Err(AdminError::IsDead(_))));
    let moved = host.move_to(id, Due::Now);
    assert!(matches!(moved, Err(AdminError::IsDead(_))));
    let mut forged = id.to_bytes();
    forged[0] ^= 1;
    let forged = gristmill_queue::MessageId::from_bytes(forged);
    assert!(matches!(
        host.cancel(forged),
        Err(AdminError::UnknownMessage(_))
    ));
    // An id with the number of another message is another's.
    let waiting = host.send_with("orders", "y", after(60)).unwrap().id;
    let mut forged = waiting.to_bytes();
    forged[0] ^= 1;
    let forged = gristmill_queue::MessageId::from_bytes(forged);
    for id in [forged, gristmill_queue::MessageId::from_bytes([7; 16])] {
        assert!(matches!(host.find(id), Err(AdminError::UnknownMessage(_))));
        assert!(matches!(
            host.cancel(id),
            Err(AdminError::UnknownMessage(_))
        ));
    }
    host.cancel(waiting).unwrap();
}
