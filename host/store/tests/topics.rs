//! Copies of what is sent to topics: all in one commit, or none.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use gristmill_queue::effects::Send;
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::policy::{Dedup, OnFull};
use gristmill_queue::topic::{Condition, Field, Filter, Subscription, Test, Unmatched};
use gristmill_queue::{Effects, QueueName, TopicPolicy};
use gristmill_store::{SendError, Sent, TopicDeclaration};
use stage::{Host, done, send};

fn name(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

fn only(kind: &str) -> Vec<Filter> {
    vec![Filter(vec![Condition {
        field: Field::Type,
        any_of: vec![Test::Is(kind.into())],
    }])]
}

fn topic(topic: &str, queues: &[(&str, Vec<Filter>)], unmatched: Unmatched) -> TopicDeclaration {
    let subscribe = |(queue, filters): &(&str, Vec<Filter>)| Subscription {
        queue: name(queue),
        filters: filters.clone(),
    };
    TopicDeclaration {
        name: name(topic),
        policy: TopicPolicy {
            subscriptions: queues.iter().map(subscribe).collect(),
            unmatched,
        },
    }
}

/// A topic of three queues, one of which wants orders only.
fn host(unmatched: Unmatched) -> Host {
    let mut host = Host::with_policy(&["audit", "invoices", "small"], |queue, policy| {
        if queue == "small" {
            policy.max_messages = Some(2);
            policy.on_full = OnFull::Reject;
        }
    });
    let queues = [
        ("audit", Vec::new()),
        ("invoices", only("order")),
        ("small", only("order")),
    ];
    host.declare_topics(vec![
        topic("events", &queues, Unmatched::Count),
        topic("orders", &queues[1..], unmatched),
    ]);
    host
}

fn event(to: &str, kind: &str, body: &str) -> gristmill_store::Outgoing {
    let mut outgoing = send(to, body);
    outgoing.message.envelope.message_type = Some(kind.into());
    outgoing
}

fn queues(sent: &Sent) -> Vec<String> {
    let copies = sent.copies.iter().flatten();
    copies.map(|copy| copy.queue.to_string()).collect()
}

fn depths(host: &Host) -> [u64; 3] {
    ["audit", "invoices", "small"].map(|queue| host.depths(queue).in_flight)
}

#[test]
fn each_queue_of_a_topic_that_matches_gets_a_copy_and_no_other() {
    let host = host(Unmatched::Count);
    let sent = host.send_out(vec![event("events", "order", "x")]).unwrap();
    assert_eq!(queues(&sent[0]), ["audit", "invoices", "small"]);
    let sent = host.send_out(vec![event("events", "refund", "y")]).unwrap();
    assert_eq!(queues(&sent[0]), ["audit"]);
    let delivered = host.delivered("audit");
    assert_eq!(delivered.len(), 2);
    let message = &delivered[1].message;
    assert_eq!(
        (&message.body[..], message.id),
        (&b"y"[..], sent[0].accepted.id)
    );
    assert_eq!(
        message.envelope.attribute("gristmill-topic"),
        Some("events")
    );
    assert_eq!(host.delivered("invoices").len(), 1);
    // A queue that is sent to directly names no topic.
    let plain = host.send_out(vec![send("audit", "z")]).unwrap();
    assert_eq!(plain[0].copies, None);
    let delivered = host.delivered("audit");
    assert_eq!(
        delivered[0].message.envelope.attribute("gristmill-topic"),
        None
    );
}

#[test]
fn bodies_are_shared_by_the_copies() {
    let host = host(Unmatched::Count);
    host.send_out(vec![event("events", "order", "a body")])
        .unwrap();
    let body = |queue| host.delivered(queue)[0].message.body.as_ptr();
    assert_eq!(body("audit"), body("invoices"));
}

#[test]
fn one_full_queue_refuses_all_copies_and_a_handler_is_handed_back_uncounted() {
    let host = host(Unmatched::Count);
    for _ in 0..2 {
        host.send_out(vec![event("events", "order", "x")]).unwrap();
    }
    let full = host.send_out(vec![event("events", "order", "x")]);
    assert!(matches!(full, Err(SendError::Full(_))), "{full:?}");
    assert_eq!(depths(&host), [2, 2, 2]);
    // In a batch, too, although there is room for its first message.
    let batch = vec![
        event("events", "refund", "x"),
        event("orders", "order", "x"),
    ];
    host.send_out(batch).unwrap_err();
    assert_eq!(depths(&host), [2, 2, 2]);
    let leased = host.delivered("audit").remove(0);
    let mut settle = done(&leased);
    settle.effects = effects(&host, event("events", "order", "x"));
    host.settle(settle);
    assert_eq!(host.view("audit").totals.handed_back, 1);
    assert_eq!(host.depths("invoices").in_flight, 2);
    // When there is room, the copies appear with the ack.
    host.settle(done(&host.delivered("small").remove(0)));
    host.pass(HandedBack::DestinationFull.wait());
    let leased = host.delivered("audit").remove(0);
    assert_eq!(leased.attempt, 1);
    let mut settle = done(&leased);
    settle.effects = effects(&host, event("events", "order", "y"));
    let told = settle.effects.sends[0].id;
    host.settle(settle);
    assert_eq!(depths(&host), [2, 3, 2]);
    // The first copy has the id that the handler was told.
    assert!(
        host.delivered("audit")
            .iter()
            .any(|one| one.message.id == told)
    );
}

fn effects(host: &Host, outgoing: gristmill_store::Outgoing) -> Effects {
    Effects {
        sends: vec![Send {
            to: outgoing.queue,
            id: host.mint(),
            message: outgoing.message,
        }],
        ..Effects::default()
    }
}

#[test]
fn what_no_subscription_matches_is_counted_or_refused() {
    let counting = host(Unmatched::Count);
    let sent = counting
        .send_out(vec![event("orders", "refund", "x")])
        .unwrap();
    assert_eq!(queues(&sent[0]), [""; 0]);
    assert!(!sent[0].accepted.duplicate);
    let view = &counting.topics()[1];
    assert_eq!((view.sent, view.unmatched, view.refused), (1, 1, 0));
    let refusing = host(Unmatched::Refuse);
    let batch = vec![
        event("orders", "order", "x"),
        event("orders", "refund", "x"),
    ];
    let refused = refusing.send_out(batch).unwrap_err();
    assert!(
        matches!(refused.cause(), SendError::Unmatched(_)),
        "{refused}"
    );
    assert!(
        refused.to_string().starts_with("messages[1]: "),
        "{refused}"
    );
    assert_eq!(depths(&refusing), [0; 3]);
    let view = &refusing.topics()[1];
    assert_eq!((view.sent, view.unmatched, view.refused), (0, 0, 1));
}

#[test]
fn the_id_of_what_nobody_wants_is_not_given_again_after_a_restart() {
    let host = host(Unmatched::Count);
    let nothing = || vec![event("orders", "refund", "x")];
    let first = host.send_out(nothing()).unwrap().remove(0);
    let host = host.crash();
    let second = host.send_out(nothing()).unwrap().remove(0);
    assert_ne!(first.accepted.id, second.accepted.id);
    let host = host.reopen();
    let third = host.send_out(vec![send("audit", "x")]).unwrap().remove(0);
    assert_ne!(second.accepted.id, third.accepted.id);
}

#[test]
fn dedup_is_by_queue_and_a_repeat_is_told_the_ids_of_the_first_copies() {
    let host = host(Unmatched::Count);
    let once = |body: &str| {
        let mut outgoing = event("events", "order", body);
        outgoing.message.dedup_id = Some("once".into());
        host.send_out(vec![outgoing]).unwrap().remove(0)
    };
    let first = once("x");
    let again = once("x");
    assert_eq!(again.accepted.id, first.accepted.id);
    assert!(again.accepted.duplicate && !again.accepted.conflict);
    let ids = |sent: &Sent| -> Vec<_> {
        let copies = sent.copies.iter().flatten();
        copies.map(|copy| copy.accepted.id).collect()
    };
    assert_eq!(ids(&again), ids(&first));
    assert!(once("y").accepted.conflict);
    assert_eq!(depths(&host), [1, 1, 1]);
    let views = host.topics();
    let copies: Vec<u64> = views[0]
        .subscriptions
        .iter()
        .map(|one| one.copies)
        .collect();
    assert_eq!((views[0].sent, copies), (1, vec![1, 1, 1]));
}

#[test]
fn each_copy_of_what_a_handler_sends_is_recognised_by_what_its_own_queue_asks_for() {
    let mut host = Host::with_policy(&["work", "bridged", "same"], |queue, policy| {
        policy.dedup = match queue {
            "bridged" => Dedup::Derived,
            "same" => Dedup::Content,
            _ => Dedup::Id,
        };
    });
    let queues = [("bridged", Vec::new()), ("same", Vec::new())];
    host.declare_topics(vec![topic("events", &queues, Unmatched::Count)]);
    let first = host.send("work", "one").unwrap().id;
    host.send("work", "two").unwrap();
    for leased in host.delivered("work") {
        let mut settle = done(&leased);
        settle.effects = effects(&host, event("events", "order", "the same"));
        host.settle(settle);
    }
    let in_flight = |queue| host.depths(queue).in_flight;
    assert_eq!((in_flight("bridged"), in_flight("same")), (2, 1));
    // Whoever does the handler's work once more, elsewhere, is recognised.
    let mut repeat = send("bridged", "the same");
    repeat.message.dedup_id = Some(format!("{first}/0"));
    let repeat = host.send_out(vec![repeat]).unwrap().remove(0);
    assert!(repeat.accepted.duplicate);
}

#[test]
fn a_body_has_to_suit_each_queue_that_gets_a_copy() {
    let mut host = host(Unmatched::Count);
    host.declare(|queue, policy| {
        if queue == "invoices" {
            policy.max_body = 3;
        }
    });
    host.send_out(vec![event("events", "refund", "four")])
        .unwrap();
    let refused = host.send_out(vec![event("events", "order", "four")]);
    let expected = "the message to queue invoices is refused";
    assert!(refused.unwrap_err().to_string().starts_with(expected));
    assert_eq!(depths(&host), [1, 0, 0]);
}

#[test]
fn topics_change_with_the_queues_and_go_on_counting() {
    let mut host = host(Unmatched::Count);
    host.send_out(vec![event("events", "order", "x")]).unwrap();
    host.declare_topics(vec![topic(
        "events",
        &[("invoices", Vec::new())],
        Unmatched::Count,
    )]);
    let sent = host.send_out(vec![event("events", "refund", "x")]).unwrap();
    assert_eq!(queues(&sent[0]), ["invoices"]);
    let views = host.topics();
    assert_eq!(views.len(), 1);
    assert_eq!((views[0].sent, views[0].subscriptions[0].copies), (2, 2));
    let gone = host.send_out(vec![event("orders", "order", "x")]);
    assert!(matches!(gone, Err(SendError::UnknownQueue(_))), "{gone:?}");
    let host = host.reopen();
    let sent = host.send_out(vec![send("events", "x")]).unwrap();
    assert_eq!(queues(&sent[0]), ["invoices"]);
}

#[test]
fn a_send_makes_no_more_copies_than_one_commit_should_hold() {
    let host = host(Unmatched::Count);
    let batch = (0..10_000).map(|_| event("events", "order", "x"));
    let refused = host.send_out(batch.collect()).unwrap_err();
    assert!(
        matches!(refused.cause(), SendError::TooManyCopies),
        "{refused}"
    );
    assert_eq!(depths(&host), [0; 3]);
}
