//! Redrives with filters, at a rate, over restarts; dead letters in an ordinary queue; another body.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::policy::Dedup;
use gristmill_queue::provenance::Provenance;
use gristmill_queue::{Outcome, QueueName, Reason};
use gristmill_store::{AdminError, DeadFilter, Destination, RedriveOrder, Redriven};
use stage::{Host, done, names, settle};

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

/// Says how many there were.
fn reject_all(host: &Host, queue: &str) -> usize {
    let delivered = host.delivered(queue);
    for leased in &delivered {
        let error = "no".to_owned();
        host.settle(settle(leased, Outcome::Rejected { error }));
    }
    delivered.len()
}

fn at_one_a_second(filter: DeadFilter) -> RedriveOrder {
    RedriveOrder {
        filter,
        rate: Some((1, Duration::from_secs(1))),
        to: Destination::Home,
    }
}

#[test]
fn a_redrive_with_a_rate_goes_on_after_a_crash_takes_each_letter_once_and_can_be_cancelled() {
    let host = Host::new(&["orders"]);
    for n in 0..6 {
        host.send("orders", &n.to_string()).unwrap();
    }
    reject_all(&host, "orders");
    let started = host.start_redrive("orders", at_one_a_second(DeadFilter::default()));
    let Ok(Redriven::UnderWay(number)) = started else {
        panic!("{started:?}");
    };
    assert_eq!(host.depths("orders").dead, 5, "one at once");
    host.pass(Duration::from_secs(1));
    assert_eq!(host.depths("orders").dead, 4);
    let host = host.crash();
    assert_eq!(host.redrives()[0].number, number);
    host.pass(Duration::from_secs(1));
    host.pass(Duration::from_secs(1));
    let view = host.redrives().remove(0);
    assert_eq!(view.done + host.depths("orders").dead, 6);
    // What dies again meanwhile is not taken again.
    let again = reject_all(&host, "orders");
    assert!(again > 0);
    for _ in 0..3 {
        host.pass(Duration::from_secs(1));
    }
    assert_eq!(host.redrives(), []);
    assert_eq!(host.depths("orders").dead, again as u64);
    while reject_all(&host, "orders") > 0 {}

    let again = host.start_redrive("orders", at_one_a_second(DeadFilter::default()));
    let Ok(Redriven::UnderWay(number)) = again else {
        panic!("{again:?}");
    };
    assert_eq!(host.cancel_redrive(number), Ok(1));
    let gone = host.cancel_redrive(number);
    assert!(matches!(gone, Err("unknown")), "{gone:?}");
    let dead = host.depths("orders").dead;
    host.pass(Duration::from_secs(60));
    assert_eq!(host.reopen().depths("orders").dead, dead);
}

#[test]
fn filters_by_module_time_attribute_type_and_source_are_combined() {
    let host = Host::new(&["orders"]);
    for (tenant, kind) in [("a", "x"), ("a", "y"), ("b", "x")] {
        host.send_with("orders", tenant, |message| {
            message.envelope.attributes = vec![("tenant".into(), tenant.into())];
            message.envelope.message_type = Some(kind.into());
            message.envelope.source = Some("shop".into());
        })
        .unwrap();
    }
    reject_all(&host, "orders");
    let died = host.now();
    let a = DeadFilter {
        attributes: vec![("tenant".into(), "a".into())],
        ..DeadFilter::default()
    };
    let later = DeadFilter {
        since: Some(died.after(Duration::from_millis(1))),
        ..DeadFilter::default()
    };
    let before = DeadFilter {
        until: Some(died),
        ..DeadFilter::default()
    };
    let module = |prefix: &str| DeadFilter {
        handler: Some(prefix.into()),
        ..DeadFilter::default()
    };
    let a_and_x = DeadFilter {
        message_type: Some("x".into()),
        source: Some("shop".into()),
        since: Some(died),
        handler: Some("0".into()),
        ..a.clone()
    };
    for (filter, count) in [(&later, 0), (&before, 0), (&module("01"), 0), (&a, 2)] {
        assert_eq!(host.count_dead("orders", filter), count, "{filter:?}");
    }
    assert_eq!(host.redrive("orders", module("01")), 0);
    assert_eq!(host.redrive("orders", a_and_x), 1);
    assert_eq!(host.redrive("orders", a), 1);
    assert_eq!(host.redrive("orders", module("00")), 1);
}

#[test]
fn a_letter_goes_to_an_ordinary_queue_with_its_provenance_and_back_to_its_source() {
    let host = Host::with_policy(&["orders", "graveyard"], |queue, policy| {
        if queue == "orders" {
            policy.dead_letter = Some(name("graveyard"));
        } else {
            policy.max_messages = Some(1);
        }
    });
    let ids: Vec<_> = (0..3)
        .map(|n| host.send("orders", &n.to_string()).unwrap().id)
        .collect();
    host.detach("graveyard");
    reject_all(&host, "orders");
    let depths = (host.depths("orders"), host.depths("graveyard"));
    assert_eq!((depths.0.dead, depths.0.ready, depths.1.ready), (0, 0, 3));
    let host = host.crash();
    let moved = host.delivered("graveyard");
    assert_eq!(names(&moved), ids);
    let died = Provenance::of(&moved[0].message.envelope).unwrap();
    assert_eq!(
        (died.queue.as_str(), died.reason),
        ("orders", Reason::Rejected)
    );
    host.settle(done(&moved[2]));
    for leased in &moved[..2] {
        host.settle(settle(
            leased,
            Outcome::HandedBack(gristmill_queue::outcome::HandedBack::NoInstance),
        ));
    }
    let back = RedriveOrder {
        to: Destination::Source,
        ..RedriveOrder::default()
    };
    assert_eq!(
        host.start_redrive("graveyard", back).unwrap(),
        Redriven::Done(2)
    );
    let again = host.delivered("orders");
    assert_eq!(names(&again), ids[..2]);
    assert_eq!(again[0].message.envelope.attributes, []);
    assert_eq!(host.depths("graveyard").ready, 0);
}

#[test]
fn an_edited_letter_is_a_new_message_in_the_old_ones_place() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.max_body = 256 * 1024);
    let id = host.send("orders", "old").unwrap().id;
    reject_all(&host, "orders");
    let large = host.redrive_edited("orders", id, vec![0; 300 * 1024]);
    assert!(large.is_err());
    let new = host.redrive_edited("orders", id, b"new".to_vec()).unwrap();
    let leased = host.delivered("orders").remove(0);
    assert_eq!(
        (leased.message.id, &leased.message.body[..]),
        (new, b"new".as_slice())
    );
    assert_eq!(leased.message.envelope.causation_id, Some(id));
    assert_eq!(host.depths("orders").dead, 0);
    assert!(host.redrive_edited("orders", id, b"x".to_vec()).is_err());
}

#[test]
fn the_same_content_is_one_message_within_the_window_and_an_explicit_id_wins() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.dedup = Dedup::Content);
    let first = host.send("orders", "same").unwrap();
    let second = host.send("orders", "same").unwrap();
    assert_eq!((second.id, second.duplicate), (first.id, true));
    let json = host.send_with("orders", "same", |message| {
        message.envelope.content_type = Some("application/json".into());
    });
    assert!(!json.unwrap().duplicate);
    let named = host.send_with("orders", "same", |message| {
        message.dedup_id = Some("mine".into());
    });
    assert!(!named.unwrap().duplicate);
    let host = host.crash();
    host.pass(Duration::from_secs(5 * 60) - Duration::from_millis(1));
    assert!(host.send("orders", "same").unwrap().duplicate);
    host.pass(Duration::from_millis(1));
    assert!(!host.send("orders", "same").unwrap().duplicate);
}

#[test]
fn what_a_handler_sends_has_a_derived_dedup_id_where_the_queue_asks_for_it() {
    let host = Host::with_policy(&["orders", "bills"], |_, policy| {
        policy.dedup = Dedup::Derived;
    });
    let id = host.send("orders", "order").unwrap().id;
    let leased = host.delivered("orders").remove(0);
    let bridged = host.send_with("bills", "bill", |message| {
        message.dedup_id = Some(format!("{id}/1"));
    });
    assert!(!bridged.unwrap().duplicate);
    let mut transaction = host.transaction("handler", &["bills"]);
    for body in ["note", "bill"] {
        let message = gristmill_queue::NewMessage::with_body(body);
        transaction.send("bills", message).unwrap();
    }
    let mut end = done(&leased);
    end.effects = transaction.finish();
    host.settle(end);
    let bills = host.delivered("bills");
    let bodies: Vec<_> = bills.iter().map(|one| &one.message.body[..]).collect();
    assert_eq!(bodies, [b"bill".as_slice(), b"note"]);
}

#[test]
fn a_redrive_to_a_queue_that_is_not_declared_is_refused() {
    let host = Host::new(&["orders"]);
    let order = RedriveOrder {
        to: Destination::Queue(name("nowhere")),
        ..RedriveOrder::default()
    };
    let refused = host.start_redrive("orders", order);
    assert!(
        matches!(refused, Err(AdminError::Undeclared(_))),
        "{refused:?}"
    );
}
