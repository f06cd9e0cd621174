//! The life of a message in a real store, with the clock in the test's hand.

mod stage;

use std::time::Duration;

use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{NewMessage, Outcome, Reason};
use gristmill_store::{DeadFilter, PurgeStates, SendError};
use stage::{Host, done, failed, names, send, settle};

#[test]
fn a_message_is_sent_delivered_acknowledged_and_gone() {
    let host = Host::new(&["orders"]);
    let id = host.send("orders", "one").unwrap().id;
    let leased = host.delivered("orders");
    assert_eq!(names(&leased), [id]);
    assert_eq!(leased[0].attempt, 1);
    assert_eq!(&leased[0].message.body[..], b"one");
    host.settle(done(&leased[0]));
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.in_flight, depths.bytes), (0, 0, 0));
    let host = host.reopen();
    assert!(host.delivered("orders").is_empty());
}

#[test]
fn a_failed_attempt_comes_back_after_its_back_off_with_the_reason() {
    let host = Host::new(&["orders"]);
    host.send("orders", "one").unwrap();
    let first = host.delivered("orders");
    host.settle(failed(&first[0], "the gateway is down"));
    assert!(host.delivered("orders").is_empty());
    assert_eq!(host.depths("orders").scheduled, 1);
    host.pass(Duration::from_secs(1));
    let second = host.delivered("orders");
    assert_eq!(second[0].attempt, 2);
    assert_eq!(
        second[0].previous_failure.as_deref(),
        Some("the gateway is down")
    );
}

#[test]
fn used_up_attempts_are_death_with_the_whole_history_and_redrive_starts_anew() {
    let host = Host::new(&["orders"]);
    let id = host.send("orders", "one").unwrap().id;
    for attempt in 1..=3 {
        host.pass(Duration::from_secs(3600));
        let leased = host.delivered("orders");
        assert_eq!(leased[0].attempt, attempt);
        host.settle(failed(&leased[0], &format!("failure {attempt}")));
    }
    assert_eq!(host.depths("orders").dead, 1);
    let letter = host.dead_letter("orders", id);
    assert_eq!(letter.reason, Reason::Retry);
    assert_eq!(letter.error, "failure 3");
    let errors: Vec<&str> = letter
        .attempts
        .iter()
        .map(|attempt| attempt.error.as_str())
        .collect();
    assert_eq!(errors, ["failure 1", "failure 2", "failure 3"]);
    let host = host.reopen();
    assert_eq!(host.depths("orders").dead, 1);
    assert_eq!(host.redrive("orders", DeadFilter::default()), 1);
    let again = host.delivered("orders");
    assert_eq!((names(&again), again[0].attempt), (vec![id], 1));
    assert_eq!(again[0].previous_failure.as_deref(), Some("failure 3"));
    assert_eq!(host.depths("orders").dead, 0);
}

#[test]
fn effects_appear_with_the_ack_and_only_then() {
    let host = Host::new(&["orders", "invoices"]);
    for (outcome, expected) in [
        (failed as fn(&_, &str) -> _, 0),
        (|leased: &_, _: &str| done(leased), 1),
    ] {
        host.send("orders", "one").unwrap();
        host.pass(Duration::from_secs(3600));
        let leased = host.delivered("orders");
        let mut end = outcome(&leased[0], "no");
        let mut transaction = host.transaction("handler", &["invoices"]);
        transaction
            .send("invoices", NewMessage::with_body("invoice"))
            .unwrap();
        transaction.add("count", 1).unwrap();
        end.effects = transaction.finish();
        host.settle(end);
        assert_eq!(host.delivered("invoices").len(), expected);
        assert_eq!(
            host.transaction("handler", &[])
                .get("count")
                .unwrap()
                .is_some(),
            expected == 1
        );
        for rest in host.delivered("orders") {
            host.settle(done(&rest));
        }
    }
}

#[test]
fn a_read_that_is_no_longer_so_runs_the_delivery_again_uncounted() {
    let host = Host::new(&["orders"]);
    host.send("orders", "a").unwrap();
    host.send("orders", "b").unwrap();
    let leased = host.delivered("orders");
    let ends = leased.iter().map(|leased| {
        let mut transaction = host.transaction("handler", &[]);
        let count = transaction.get("n").unwrap().map_or(0, |value| value[0]);
        transaction.set("n", vec![count + 1].into()).unwrap();
        let mut end = done(leased);
        end.effects = transaction.finish();
        end
    });
    for end in ends.collect::<Vec<_>>() {
        host.settle(end);
    }
    let again = host.delivered("orders");
    assert_eq!(names(&again), [leased[1].message.id]);
    assert_eq!((again[0].attempt, again[0].fresh), (1, true));
    let mut transaction = host.transaction("handler", &[]);
    assert_eq!(transaction.get("n").unwrap().unwrap()[0], 1);
}

#[test]
fn a_stale_fence_is_refused_and_changes_nothing() {
    let host = Host::new(&["orders", "invoices"]);
    host.send("orders", "one").unwrap();
    let leased = host.delivered("orders");
    host.settle(settle(
        &leased[0],
        Outcome::HandedBack(HandedBack::ReusedInstance),
    ));
    let again = host.delivered("orders");
    assert!(again[0].fresh, "what a reused instance failed runs fresh");
    let mut stale = done(&leased[0]);
    let mut transaction = host.transaction("handler", &["invoices"]);
    transaction
        .send("invoices", NewMessage::with_body("x"))
        .unwrap();
    stale.effects = transaction.finish();
    host.settle(stale);
    assert_eq!(host.depths("orders").in_flight, 1);
    assert!(host.delivered("invoices").is_empty());
    host.settle(done(&again[0]));
    assert_eq!(host.depths("orders").in_flight, 0);
}

#[test]
fn a_host_that_dies_makes_suspects_that_run_alone_and_are_not_charged_if_they_survive() {
    let host = Host::new(&["orders"]);
    let ids = [
        host.send("orders", "a").unwrap().id,
        host.send("orders", "b").unwrap().id,
    ];
    assert_eq!(host.delivered("orders").len(), 2);
    let host = host.crash();
    let first = host.delivered("orders");
    assert_eq!(names(&first), [ids[0]], "one at a time");
    host.settle(failed(&first[0], "an ordinary failure"));
    let second = host.delivered("orders");
    assert_eq!(names(&second), [ids[1]]);
    host.settle(done(&second[0]));
    host.pass(Duration::from_secs(3600));
    let retried = host.delivered("orders");
    assert_eq!(
        retried[0].attempt, 2,
        "the crash was taken back, the failure counts"
    );
}

#[test]
fn a_message_that_kills_the_host_every_time_dies_of_it() {
    let mut host = Host::with_policy(&["orders"], |_, policy| policy.retry.max_attempts = 10);
    let id = host.send("orders", "killer").unwrap().id;
    for _ in 0..4 {
        assert_eq!(names(&host.delivered("orders")), [id]);
        host = host.crash();
    }
    assert!(host.delivered("orders").is_empty());
    assert_eq!(host.dead_letter("orders", id).reason, Reason::HostCrash);
}

#[test]
fn power_loss_charges_nobody() {
    let host = Host::new(&["orders"]);
    host.send("orders", "one").unwrap();
    host.delivered("orders");
    let host = host.lose_power();
    assert_eq!(host.delivered("orders")[0].attempt, 1);
}

#[test]
fn a_dedup_id_makes_one_message_within_its_window_also_across_a_restart() {
    let host = Host::new(&["orders"]);
    let first = host
        .send_with("orders", "one", |message| {
            message.dedup_id = Some("k".into())
        })
        .unwrap();
    let again = host
        .send_with("orders", "one", |message| {
            message.dedup_id = Some("k".into())
        })
        .unwrap();
    assert_eq!(
        (again.id, again.duplicate, again.conflict),
        (first.id, true, false)
    );
    let other = host
        .send_with("orders", "two", |message| {
            message.dedup_id = Some("k".into())
        })
        .unwrap();
    assert!(other.duplicate && other.conflict);
    for leased in host.delivered("orders") {
        host.settle(done(&leased));
    }
    let host = host.reopen();
    host.pass(Duration::from_millis(299_999));
    assert!(
        host.send_with("orders", "one", |message| message.dedup_id =
            Some("k".into()))
            .unwrap()
            .duplicate
    );
    host.pass(Duration::from_millis(1));
    assert!(
        !host
            .send_with("orders", "one", |message| message.dedup_id =
                Some("k".into()))
            .unwrap()
            .duplicate
    );
}

#[test]
fn expiry_finds_a_short_ttl_behind_a_long_one() {
    let host = Host::new(&["idle"]);
    host.detach("idle");
    let ttl =
        |seconds| move |message: &mut NewMessage| message.ttl = Some(Duration::from_secs(seconds));
    host.send_with("idle", "long", ttl(100)).unwrap();
    let short = host.send_with("idle", "short", ttl(1)).unwrap().id;
    host.pass(Duration::from_secs(1));
    let depths = host.depths("idle");
    assert_eq!((depths.ready, depths.dead), (1, 1));
    assert_eq!(host.dead_letter("idle", short).reason, Reason::Expired);
    let host = host.reopen();
    assert_eq!(host.redrive("idle", DeadFilter::default()), 1);
    assert_eq!(host.depths("idle").dead, 0, "its time-to-live starts anew");
}

#[test]
fn groups_keep_their_order_and_let_others_pass() {
    let host = Host::new(&["orders"]);
    let group = |name: &'static str| {
        move |message: &mut NewMessage| message.envelope.group = Some(name.into())
    };
    let ids: Vec<_> = [("a", "1"), ("a", "2"), ("b", "3")]
        .map(|(name, body)| host.send_with("orders", body, group(name)).unwrap().id)
        .into();
    let leased = host.delivered("orders");
    assert_eq!(names(&leased), [ids[0], ids[2]]);
    host.settle(failed(&leased[0], "no"));
    host.settle(done(&leased[1]));
    assert!(
        host.delivered("orders").is_empty(),
        "the head blocks its group while it backs off"
    );
    let host = host.reopen();
    host.pass(Duration::from_secs(60));
    let head = host.delivered("orders");
    assert_eq!(names(&head), [ids[0]]);
    host.settle(done(&head[0]));
    assert_eq!(names(&host.delivered("orders")), [ids[1]]);
}

#[test]
fn a_full_queue_refuses_and_a_handlers_send_to_it_waits_uncounted() {
    let host = Host::with_policy(&["orders", "small"], |name, policy| {
        policy.max_messages = (name == "small").then_some(1);
    });
    host.detach("small");
    host.send("small", "x").unwrap();
    assert!(matches!(host.send("small", "y"), Err(SendError::Full(_))));
    host.send("orders", "one").unwrap();
    let leased = host.delivered("orders");
    let mut end = done(&leased[0]);
    let mut transaction = host.transaction("handler", &["small"]);
    transaction
        .send("small", NewMessage::with_body("z"))
        .unwrap();
    end.effects = transaction.finish();
    host.settle(end);
    assert_eq!(host.depths("orders").scheduled, 1);
    host.pass(Duration::from_secs(1));
    assert_eq!(host.delivered("orders")[0].attempt, 1);
}

#[test]
fn an_unknown_queue_or_a_bad_message_refuses_the_whole_batch() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.max_body = 256 * 1024);
    let batch = vec![send("orders", "good"), send("nowhere", "bad")];
    assert!(matches!(
        host.send_all(batch),
        Err(SendError::InBatch { at: 1, .. })
    ));
    let mut big = send("orders", "");
    big.message.body = vec![0; 300 * 1024].into();
    assert!(matches!(
        host.send_all(vec![send("orders", "good"), big]),
        Err(SendError::InBatch { at: 1, .. })
    ));
    assert_eq!(host.depths("orders").ready, 0);
}

#[test]
fn purge_touches_what_it_names_and_never_what_is_in_flight() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 1);
    for body in ["in flight", "ready", "scheduled"] {
        let delay = if body == "scheduled" { 60 } else { 0 };
        host.send_with("orders", body, |message| {
            message.due = gristmill_queue::message::Due::After(Duration::from_secs(delay))
        })
        .unwrap();
    }
    let leased = host.delivered("orders");
    assert_eq!(leased.len(), 1);
    assert_eq!(
        host.purge(
            "orders",
            PurgeStates {
                ready: true,
                ..PurgeStates::default()
            }
        ),
        1
    );
    let depths = host.depths("orders");
    assert_eq!(
        (depths.ready, depths.scheduled, depths.in_flight),
        (0, 1, 1)
    );
    assert_eq!(
        host.purge(
            "orders",
            PurgeStates {
                scheduled: true,
                ..PurgeStates::default()
            }
        ),
        1
    );
    host.settle(done(&leased[0]));
    assert_eq!(host.depths("orders").bytes, 0);
}

#[test]
fn dead_letters_are_forgotten_when_their_retention_ends() {
    let host = Host::with_policy(&["orders"], |_, policy| {
        policy.dead_retention = Some(Duration::from_secs(10))
    });
    host.send("orders", "one").unwrap();
    let leased = host.delivered("orders");
    host.settle(settle(
        &leased[0],
        Outcome::Rejected {
            error: "never".into(),
        },
    ));
    let host = host.reopen();
    host.pass(Duration::from_secs(9));
    assert_eq!(host.depths("orders").dead, 1);
    host.pass(Duration::from_secs(1));
    assert_eq!(host.depths("orders").dead, 0);
}

#[test]
fn a_second_process_is_told_who_has_the_folder() {
    let host = Host::new(&["orders"]);
    let error = host.open_again().to_string();
    assert!(error.contains("is in use by process"), "{error}");
}

#[test]
fn pausing_lasts_over_a_restart() {
    let host = Host::new(&["orders"]);
    host.pause("orders");
    host.send("orders", "one").unwrap();
    let host = host.reopen();
    assert!(host.delivered("orders").is_empty());
}
