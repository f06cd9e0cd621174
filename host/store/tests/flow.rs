//! Keys and rates in a real store, with the clock in the test's hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::key::KeySource;
use gristmill_queue::policy::KeyPolicy;
use gristmill_queue::rate::Rate;
use gristmill_queue::{Outcome, QueuePolicy, outcome::HandedBack};
use gristmill_store::{DeadFilter, Leased};
use stage::{Host, done, settle};

fn by_tenant(policy: &mut QueuePolicy, concurrency: Option<u32>) {
    policy.key = Some(KeyPolicy {
        source: KeySource::named("tenant").unwrap(),
        concurrency,
        rate: None,
    });
}

fn send(host: &Host, body: &str, tenant: Option<&str>) {
    let attribute = tenant.map(|tenant| ("tenant".to_owned(), tenant.to_owned()));
    let sent = host.send_with("orders", body, |message| {
        message.envelope.attributes.extend(attribute);
    });
    sent.unwrap();
}

fn bodies(leased: &[Leased]) -> Vec<&str> {
    leased
        .iter()
        .map(|leased| std::str::from_utf8(&leased.message.body).unwrap())
        .collect()
}

#[test]
fn a_rate_of_5_a_second_with_burst_10_over_60_s_yields_300_to_310_dispatches() {
    let host = Host::with_policy(&["orders"], |_, policy| {
        policy.rate = Some(Rate::new(5, Duration::from_secs(1), Some(10)));
        policy.concurrency = 1000;
    });
    for number in 0..400 {
        send(&host, &number.to_string(), None);
    }
    let mut dispatched = host.delivered("orders").len();
    assert_eq!(dispatched, 10, "a burst");
    // Steps that no token falls on.
    for _ in 0..60_000 / 70 {
        host.pass(Duration::from_millis(70));
        let leased = host.delivered("orders");
        dispatched += leased.len();
        // None of it costs an attempt.
        for leased in leased {
            assert_eq!(leased.attempt, 1);
            host.settle(settle(&leased, Outcome::HandedBack(HandedBack::NoInstance)));
        }
    }
    assert!((300..=310).contains(&dispatched), "{dispatched} dispatches");
}

#[test]
fn keys_take_turns_also_after_a_restart() {
    let mut host = Host::with_policy(&["orders"], |_, policy| {
        by_tenant(policy, None);
        policy.concurrency = 1;
    });
    host.detach("orders");
    for number in 1..=4 {
        send(&host, &format!("noisy {number}"), Some("noisy"));
    }
    send(&host, "a 1", Some("a"));
    send(&host, "none 1", None);
    send(&host, "a 2", Some("a"));
    host = host.reopen();
    let mut order = Vec::new();
    for _ in 0..7 {
        let leased = host.delivered("orders");
        order.extend(bodies(&leased).into_iter().map(ToOwned::to_owned));
        host.settle(done(&leased[0]));
    }
    assert_eq!(
        order,
        [
            "noisy 1", "a 1", "none 1", "noisy 2", "a 2", "noisy 3", "noisy 4"
        ]
    );
}

#[test]
fn a_message_keeps_the_key_that_was_read_when_it_was_accepted() {
    let mut host = Host::with_policy(&["orders"], |_, policy| policy.concurrency = 99);
    host.detach("orders");
    for body in ["1", "2", "3"] {
        send(&host, body, Some("early"));
    }
    // Accepted before there was a key: of one key together with those that have none.
    host.declare(|_, policy| by_tenant(policy, Some(1)));
    send(&host, "late", Some("early"));
    send(&host, "none", None);
    let host = host.reopen();
    let leased = host.delivered("orders");
    assert_eq!(bodies(&leased), ["1", "late"]);
    // Redriven it is accepted anew.
    let rejected = Outcome::Rejected {
        error: "no".to_owned(),
    };
    host.settle(settle(&leased[0], rejected));
    assert_eq!(bodies(&host.delivered("orders")), ["2"]);
    assert_eq!(host.redrive("orders", DeadFilter::default()), 1);
    assert!(host.delivered("orders").is_empty(), "its key is in flight");
    host.settle(done(&leased[1]));
    assert_eq!(bodies(&host.delivered("orders")), ["1"]);
}

#[test]
fn limits_that_are_lifted_while_messages_wait_let_them_go() {
    let mut host = Host::with_policy(&["orders"], |_, policy| {
        by_tenant(policy, Some(1));
        policy.rate = Some(Rate::new(1, Duration::from_secs(3600), None));
    });
    for body in ["1", "2", "3"] {
        send(&host, body, Some("a"));
    }
    assert_eq!(bodies(&host.delivered("orders")), ["1"]);
    host.declare(|_, policy| policy.rate = None);
    assert!(host.delivered("orders").is_empty(), "the key's limit holds");
    host.declare(|_, policy| policy.key = None);
    assert_eq!(bodies(&host.delivered("orders")), ["2", "3"]);
}
