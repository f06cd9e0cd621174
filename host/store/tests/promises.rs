//! Sentences of the contract that no other test says by name; `docs/semantics.md` lists them all.

mod stage;

use std::time::Duration;

use gristmill_queue::message::{Due, Priority};
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::policy::OnExpiry;
use gristmill_queue::{Envelope, NewMessage, Outcome, QueueName, Reason};
use gristmill_store::{DeadFilter, PurgeStates};
use stage::{Host, done, failed, names, settle};

const HOUR: Duration = Duration::from_secs(3600);

fn rejected() -> Outcome {
    Outcome::Rejected {
        error: "never".into(),
    }
}

fn trapped() -> Outcome {
    Outcome::Failed {
        reason: Reason::Trap,
        error: "unreachable".into(),
        delay: None,
    }
}

#[test]
fn a_send_that_was_answered_is_in_the_file_that_a_dead_host_leaves() {
    let host = Host::new(&["orders"]);
    let id = host.send("orders", "one").unwrap().id;
    let host = host.lose_power();
    assert_eq!(names(&host.delivered("orders")), [id]);
}

#[test]
fn once_an_ack_is_durable_no_attempt_starts_again_whatever_happens_to_the_host() {
    let mut host = Host::new(&["orders"]);
    host.send("orders", "one").unwrap();
    let leased = host.delivered("orders");
    host.settle(done(&leased[0]));
    for restart in [Host::reopen, Host::crash, Host::lose_power] {
        host = restart(host);
        host.pass(HOUR);
        assert!(host.delivered("orders").is_empty());
    }
}

#[test]
fn of_a_handler_that_receives_one_sends_three_and_traps_none_of_the_three_is_visible() {
    let host = Host::new(&["orders", "invoices"]);
    host.send("orders", "one").unwrap();
    let attempt = |host: &Host, outcome: Outcome| {
        let leased = host.delivered("orders");
        let mut transaction = host.transaction("handler", &["invoices"]);
        for body in ["a", "b", "c"] {
            let message = NewMessage::with_body(body);
            transaction.send("invoices", message).unwrap();
        }
        transaction.add("sent", 3).unwrap();
        let mut end = settle(&leased[0], outcome);
        end.effects = transaction.finish();
        host.settle(end);
    };
    attempt(&host, trapped());
    let host = host.crash();
    host.pass(HOUR);
    assert!(host.delivered("invoices").is_empty());
    let mut state = host.transaction("handler", &[]);
    assert_eq!(state.get("sent").unwrap(), None);
    attempt(&host, Outcome::Done);
    assert_eq!(host.delivered("invoices").len(), 3);
}

#[test]
fn looking_changes_nothing() {
    let host = Host::new(&["orders"]);
    host.send("orders", "dies").unwrap();
    let leased = host.delivered("orders");
    host.settle(settle(&leased[0], rejected()));
    host.pause("orders");
    host.send("orders", "ready").unwrap();
    let later = |message: &mut NewMessage| message.due = Due::After(HOUR);
    host.send_with("orders", "scheduled", later).unwrap();
    let seen = host.look_at_everything("orders");
    assert_eq!(host.look_at_everything("orders"), seen);
    let host = host.reopen();
    let seen = host.look_at_everything("orders");
    assert_eq!(host.look_at_everything("orders"), seen);
    for body in ["dies", "ready", "scheduled"] {
        let bytes = format!("b{body:?}");
        assert!(seen.contains(&bytes), "{body} is not in {seen}");
    }
}

#[test]
fn after_a_restart_all_that_was_in_flight_is_ready_at_once_and_not_charged() {
    let host = Host::new(&["orders"]);
    let ids = ["one", "two"].map(|body| host.send("orders", body).unwrap().id);
    assert_eq!(names(&host.delivered("orders")), ids);
    let host = host.reopen();
    let again = host.delivered("orders");
    assert_eq!(names(&again), ids);
    assert!(again.iter().all(|leased| leased.attempt == 1));
}

#[test]
fn a_fence_of_an_earlier_start_is_refused_and_changes_nothing() {
    for restart in [Host::reopen, Host::lose_power] {
        let host = Host::new(&["orders"]);
        host.send("orders", "one").unwrap();
        let before = host.delivered("orders");
        let host = restart(host);
        let now = host.delivered("orders");
        assert_ne!(before[0].fence, now[0].fence);
        host.settle(done(&before[0]));
        assert_eq!(host.depths("orders").in_flight, 1);
        host.settle(done(&now[0]));
        assert_eq!(host.depths("orders").in_flight, 0);
    }
}

#[test]
fn nothing_is_leased_without_a_free_slot_to_run_it() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 2);
    let ids = ["1", "2", "3"].map(|body| host.send("orders", body).unwrap().id);
    let leased = host.delivered("orders");
    assert_eq!(names(&leased), ids[..2]);
    host.pass(HOUR);
    assert!(host.delivered("orders").is_empty());
    host.settle(done(&leased[1]));
    assert_eq!(names(&host.delivered("orders")), ids[2..]);
}

#[test]
fn time_never_runs_backwards_across_a_restart() {
    let host = Host::new(&["orders"]);
    let later = |message: &mut NewMessage| message.due = Due::After(HOUR);
    let id = host.send_with("orders", "one", later).unwrap().id;
    host.pass(HOUR - Duration::from_secs(1));
    host.send("orders", "the time is stored with a commit")
        .unwrap();
    host.delivered("orders");
    let before = host.now();
    host.turn_back(24 * HOUR);
    let host = host.reopen();
    assert!(host.now() >= before);
    host.pass(Duration::from_secs(1));
    assert!(names(&host.delivered("orders")).contains(&id));
}

#[test]
fn while_group_a_fails_group_b_flows_and_a_stays_ordered() {
    let host = Host::new(&["orders"]);
    let send = |group: &str| {
        let in_group = |message: &mut NewMessage| message.envelope.group = Some(group.into());
        host.send_with("orders", group, in_group).unwrap().id
    };
    let a = [send("a"), send("a"), send("a")];
    let b = [send("b"), send("b"), send("b")];
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        let leased = host.delivered("orders");
        let groups = leased.iter().map(|leased| &leased.message.envelope.group);
        assert_eq!(
            groups
                .clone()
                .collect::<std::collections::HashSet<_>>()
                .len(),
            groups.count(),
            "two attempts of one group at once"
        );
        for leased in leased {
            let id = leased.message.id;
            if a.contains(&id) {
                of_a.push(id);
                host.settle(failed(&leased, "a fails"));
            } else {
                of_b.push(id);
                host.settle(done(&leased));
            }
        }
        if of_b.len() == b.len() && of_a.len() == 1 {
            assert_eq!(of_b, b, "b is done while the head of a backs off");
        }
        host.pass(Duration::from_secs(1));
    }
    assert_eq!(of_b, b);
    let tries = |id| vec![id; 3];
    assert_eq!(of_a, a.map(tries).concat(), "three attempts each, in order");
}

#[test]
fn priority_is_ignored_inside_a_group() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 1);
    host.pause("orders");
    let send = |group: Option<&str>, level| {
        let change = |message: &mut NewMessage| {
            message.envelope.group = group.map(str::to_owned);
            message.envelope.priority = Priority::new(level).unwrap();
        };
        host.send_with("orders", "x", change).unwrap().id
    };
    let grouped = [send(Some("g"), 4), send(Some("g"), 9)];
    let plain = send(None, 8);
    host.resume("orders");
    let mut order = Vec::new();
    while let Some(leased) = host.delivered("orders").first() {
        order.push(leased.message.id);
        host.settle(done(leased));
    }
    assert_eq!(order, [plain, grouped[0], grouped[1]]);
}

#[test]
fn what_is_dead_does_not_retry_by_itself_and_cannot_die_again() {
    let host = Host::with_policy(&["orders"], |_, policy| {
        policy.dead_retention = None;
        policy.default_ttl = Some(HOUR);
    });
    let id = host.send("orders", "one").unwrap().id;
    let leased = host.delivered("orders");
    host.settle(settle(&leased[0], rejected()));
    let letter = host.dead_letter("orders", id);
    host.pass(1000 * 24 * HOUR);
    let host = host.reopen();
    assert!(host.delivered("orders").is_empty());
    assert_eq!(host.depths("orders").dead, 1);
    assert_eq!(host.dead_letter("orders", id), letter);
}

#[test]
fn dying_never_fails_and_the_dead_take_no_room() {
    let host = Host::with_policy(&["orders"], |_, policy| {
        policy.max_messages = Some(1);
        policy.max_bytes = Some(3);
    });
    for dead in 1..=3 {
        host.send("orders", "one").unwrap();
        let leased = host.delivered("orders");
        host.settle(settle(&leased[0], rejected()));
        assert_eq!(host.depths("orders").dead, dead);
    }
}

#[test]
fn retention_counts_from_death_and_not_from_acceptance() {
    let host = Host::with_policy(&["orders"], |_, policy| {
        policy.dead_retention = Some(HOUR);
    });
    host.send("orders", "one").unwrap();
    let leased = host.delivered("orders");
    host.pass(2 * HOUR);
    host.settle(settle(&leased[0], rejected()));
    host.pass(HOUR - Duration::from_millis(1));
    assert_eq!(host.depths("orders").dead, 1);
    host.pass(Duration::from_millis(1));
    assert_eq!(host.depths("orders").dead, 0);
}

#[test]
fn an_expired_message_is_dropped_where_the_queue_says_so_and_counted_either_way() {
    for (on_expiry, dead) in [(OnExpiry::DeadLetter, 1), (OnExpiry::Drop, 0)] {
        let host = Host::with_policy(&["orders"], |_, policy| policy.on_expiry = on_expiry);
        host.pause("orders");
        let short = |message: &mut NewMessage| message.ttl = Some(HOUR);
        host.send_with("orders", "one", short).unwrap();
        host.pass(HOUR);
        let depths = host.depths("orders");
        assert_eq!((depths.ready, depths.dead), (0, dead));
        let seen = host.look_at_everything("orders");
        assert!(seen.contains("expired: 1"), "{seen}");
    }
}

#[test]
fn a_hand_back_is_uncounted_and_keeps_its_place() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 1);
    let ids = ["1", "2"].map(|body| host.send("orders", body).unwrap().id);
    for _ in 0..20 {
        let leased = host.delivered("orders");
        assert_eq!((names(&leased), leased[0].attempt), (vec![ids[0]], 1));
        host.settle(settle(&leased[0], Outcome::HandedBack(HandedBack::Reload)));
    }
}

#[test]
fn an_envelope_is_kept_whole_through_delivery_death_and_redrive() {
    let envelope = Envelope {
        content_type: Some("application/json".into()),
        attributes: vec![("tenant".into(), "7".into()), ("ü".into(), String::new())],
        group: Some("g".into()),
        correlation_id: Some("c".into()),
        causation_id: Some(gristmill_queue::MessageId::from_bytes([7; 16])),
        reply_to: Some(QueueName::new("answers").unwrap()),
        message_type: Some("order.placed".into()),
        schema_version: Some("2".into()),
        source: Some("shop".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        tracestate: Some("rojo=1".into()),
        priority: Priority::new(7).unwrap(),
    };
    let host = Host::new(&["orders"]);
    let put = |message: &mut NewMessage| message.envelope = envelope.clone();
    let id = host.send_with("orders", "one", put).unwrap().id;
    let host = host.reopen();
    let first = host.delivered("orders");
    assert_eq!(first[0].message.envelope, envelope);
    host.settle(settle(&first[0], rejected()));
    let host = host.reopen();
    assert_eq!(host.dead_letter("orders", id).message.envelope, envelope);
    host.redrive("orders", DeadFilter::default());
    let again = host.delivered("orders");
    assert_eq!(names(&again), [id]);
    assert_eq!(again[0].message.envelope, envelope);
}

#[test]
fn a_pause_stops_leasing_only() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 1);
    let first = host.send("orders", "1").unwrap().id;
    let leased = host.delivered("orders");
    host.pause("orders");
    let second = host.send("orders", "2").unwrap().id;
    let short = |message: &mut NewMessage| message.ttl = Some(HOUR);
    host.send_with("orders", "3", short).unwrap();
    host.settle(done(&leased[0]));
    assert_eq!(names(&leased), [first]);
    host.pass(HOUR);
    assert!(host.delivered("orders").is_empty());
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.dead), (1, 1), "time goes on");
    let dead = PurgeStates {
        dead: true,
        ..PurgeStates::default()
    };
    assert_eq!(host.purge("orders", dead), 1);
    host.resume("orders");
    assert_eq!(names(&host.delivered("orders")), [second]);
}
