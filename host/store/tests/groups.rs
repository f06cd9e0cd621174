//! Groups in a real store: their order, and what becomes of them when one of their messages dies.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill_queue::board::Gate;
use gristmill_queue::policy::OnGroupFailure;
use gristmill_queue::{MessageId, Outcome, Reason};
use gristmill_store::{DeadFilter, HaltedGroup, Leased, PurgeStates, Sink};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};
use stage::{Host, done, failed, names, settle};

const ALL: PurgeStates = PurgeStates {
    ready: true,
    scheduled: true,
    dead: true,
};

fn host(on_group_failure: OnGroupFailure) -> Host {
    Host::with_policy(&["orders"], |_, policy| {
        policy.on_group_failure = on_group_failure;
    })
}

fn send(host: &Host, group: &str, body: &str) -> MessageId {
    let sent = host.send_with("orders", body, |message| {
        message.envelope.group = Some(group.to_owned());
    });
    sent.unwrap().id
}

fn send_many(host: &Host, group: &str, count: usize) -> Vec<MessageId> {
    (0..count)
        .map(|n| send(host, group, &format!("{group}{n}")))
        .collect()
}

fn rejected(leased: &Leased) -> gristmill_store::Settle {
    let error = "no such customer".to_owned();
    settle(leased, Outcome::Rejected { error })
}

/// Handles all that is delivered, until nothing is; the bodies in the order of their delivery.
fn handled(host: &Host) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let leased = host.delivered("orders");
        if leased.is_empty() {
            return bodies;
        }
        for leased in leased {
            bodies.push(String::from_utf8(leased.message.body.to_vec()).unwrap());
            host.settle(done(&leased));
        }
    }
}

fn halted(host: &Host) -> Vec<HaltedGroup> {
    host.halted_groups("orders")
}

fn reason_of(host: &Host, id: MessageId) -> Reason {
    host.dead_letter("orders", id).reason
}

#[test]
fn two_groups_a_and_b_with_a_failing_b_flows_and_a_stays_ordered() {
    let host = host(OnGroupFailure::Skip);
    for n in 0..3 {
        send(&host, "A", &format!("A{n}"));
        send(&host, "B", &format!("B{n}"));
    }
    let mut order = Vec::new();
    // The first of A fails twice before it works; B does not wait for it.
    for round in 0..20 {
        for leased in host.delivered("orders") {
            let body = String::from_utf8(leased.message.body.to_vec()).unwrap();
            let fails = body == "A0" && leased.attempt < 3;
            host.settle(if fails {
                failed(&leased, "the gateway is down")
            } else {
                done(&leased)
            });
            order.push(format!("{body}{}", if fails { " failed" } else { "" }));
        }
        if round == 5 {
            let early: Vec<&str> = order.iter().map(String::as_str).collect();
            assert_eq!(early, ["A0 failed", "B0", "B1", "B2"], "B flows");
        }
        if round > 5 {
            host.pass(Duration::from_secs(10));
        }
    }
    let of_a: Vec<&String> = order.iter().filter(|body| body.starts_with('A')).collect();
    assert_eq!(of_a, ["A0 failed", "A0 failed", "A0", "A1", "A2"]);
}

#[test]
fn skip_goes_on_with_the_next_also_after_a_restart_and_is_counted() {
    let host = host(OnGroupFailure::Skip);
    let ids = send_many(&host, "A", 3);
    let first = host.delivered("orders");
    assert_eq!(names(&first), ids[..1]);
    host.settle(rejected(&first[0]));
    assert_eq!(host.view("orders").totals.groups_skipped, 1);
    let host = host.crash();
    assert_eq!(reason_of(&host, ids[0]), Reason::Rejected);
    assert_eq!(halted(&host), []);
    host.pass(Duration::from_secs(1));
    assert_eq!(handled(&host), ["A1", "A2"]);
}

#[test]
fn halt_holds_the_group_over_restarts_until_it_is_resumed() {
    let host = host(OnGroupFailure::Halt);
    let ids = send_many(&host, "A", 3);
    send(&host, "B", "B0");
    let first = host.delivered("orders");
    host.settle(rejected(&first[0]));
    host.settle(done(&first[1]));
    assert_eq!(handled(&host), [""; 0]);
    let mut host = host;
    for restart in [Host::crash, Host::reopen, Host::lose_power] {
        host = restart(host);
        send(&host, "A", "A later");
        send(&host, "B", "B later");
        assert_eq!(handled(&host), ["B later"], "only A is halted");
        let halted = halted(&host);
        assert_eq!(halted.len(), 1);
        let why = halted[0].halted.clone().unwrap();
        assert_eq!(
            (why.group.as_str(), why.died, why.reason),
            ("A", ids[0], Reason::Rejected)
        );
        assert_eq!(host.view("orders").halted_groups, 1);
    }
    assert_eq!(halted(&host)[0].waiting, 5);
    assert_eq!(host.resume_groups("orders", Some("B")), 0);
    assert_eq!(host.resume_groups("orders", Some("A")), 1);
    assert_eq!(
        handled(&host),
        ["A1", "A2", "A later", "A later", "A later"]
    );
    let host = host.reopen();
    assert_eq!(halted(&host), []);
}

#[test]
fn halt_then_redrive_then_resume_keeps_the_order() {
    let host = host(OnGroupFailure::Halt);
    send_many(&host, "A", 3);
    host.settle(rejected(&host.delivered("orders")[0]));
    send(&host, "A", "A3");
    let host = host.reopen();
    assert_eq!(host.redrive("orders", DeadFilter::default()), 1);
    assert_eq!(handled(&host), [""; 0], "redriving does not resume");
    let host = host.lose_power();
    assert_eq!(host.resume_groups("orders", None), 1);
    assert_eq!(handled(&host), ["A0", "A1", "A2", "A3"]);
}

#[test]
fn a_redriven_message_of_a_group_never_runs_beside_another_of_it() {
    let host = host(OnGroupFailure::Skip);
    let ids = send_many(&host, "A", 3);
    host.settle(rejected(&host.delivered("orders")[0]));
    let second = host.delivered("orders");
    assert_eq!(names(&second), ids[1..2]);
    assert_eq!(host.redrive("orders", DeadFilter::default()), 1);
    assert!(host.delivered("orders").is_empty(), "the second runs");
    host.settle(failed(&second[0], "no"));
    assert_eq!(names(&host.delivered("orders")), ids[..1], "it is older");
}

#[test]
fn every_way_into_the_dead_store_halts_and_being_dropped_does_not() {
    let host = Host::with_policy(&["orders", "drops"], |queue, policy| {
        policy.on_group_failure = OnGroupFailure::Halt;
        policy.retry.max_attempts = 1;
        if queue == "drops" {
            policy.on_expiry = gristmill_queue::policy::OnExpiry::Drop;
        }
    });
    host.detach("drops");
    send_many(&host, "fails", 2);
    host.settle(failed(&host.delivered("orders")[0], "no"));
    send_many(&host, "postpones", 2);
    for _ in 0..=gristmill_queue::limits::MAX_POSTPONED {
        let delay = Duration::ZERO;
        let leased = host.delivered("orders");
        host.settle(settle(&leased[0], Outcome::Postponed { delay }));
    }
    send_many(&host, "expires", 1);
    for queue in ["orders", "drops"] {
        let sent = host.send_with(queue, "short", |message| {
            message.envelope.group = Some("expires".to_owned());
            message.ttl = Some(Duration::from_secs(1));
        });
        sent.unwrap();
    }
    // The one before it is in flight meanwhile, and may end as it likes.
    let running = host.delivered("orders");
    assert_eq!(running.len(), 1);
    host.pass(Duration::from_secs(1));
    host.settle(done(&running[0]));
    let mut names: Vec<String> = halted(&host)
        .into_iter()
        .map(|found| found.halted.unwrap().group)
        .collect();
    names.sort();
    assert_eq!(names, ["expires", "fails", "postpones"]);
    assert_eq!(host.view("drops").halted_groups, 0);
}

#[test]
fn the_group_of_a_message_that_kills_the_host_is_halted() {
    let mut host = host(OnGroupFailure::Halt);
    let ids = send_many(&host, "A", 2);
    for _ in 0..3 {
        assert_eq!(names(&host.delivered("orders")), ids[..1]);
        host = host.crash();
    }
    assert_eq!(reason_of(&host, ids[0]), Reason::HostCrash);
    assert_eq!(handled(&host), [""; 0]);
    assert_eq!(halted(&host)[0].waiting, 1);
}

#[test]
fn a_purge_leaves_the_halt_and_another_policy_does_too() {
    let host = host(OnGroupFailure::Halt);
    send_many(&host, "A", 3);
    host.settle(rejected(&host.delivered("orders")[0]));
    assert_eq!(host.purge("orders", ALL), 3);
    send(&host, "A", "A later");
    assert_eq!(handled(&host), [""; 0], "whoever purges does not resume");
    let host = host.redeclare(|policy| policy.on_group_failure = OnGroupFailure::Skip);
    assert_eq!(
        handled(&host),
        [""; 0],
        "the policy is about deaths to come"
    );
    let host = host.reopen();
    assert_eq!(handled(&host), [""; 0]);
    assert_eq!(host.resume_groups("orders", None), 1);
    assert_eq!(handled(&host), ["A later"]);
}

#[test]
fn the_rest_dies_with_it_and_what_is_sent_later_is_delivered() {
    let host = host(OnGroupFailure::DeadLetterRest);
    let ids = send_many(&host, "A", 3);
    let later = host.send_with("orders", "A3", |message| {
        message.envelope.group = Some("A".to_owned());
        message.due = gristmill_queue::message::Due::After(Duration::from_secs(60));
    });
    let later = later.unwrap().id;
    send(&host, "B", "B0");
    let leased = host.delivered("orders");
    host.settle(rejected(&leased[0]));
    host.settle(done(&leased[1]));
    assert_eq!(host.depths("orders").dead, 4);
    let host = host.lose_power();
    for id in [ids[1], ids[2], later] {
        let letter = host.dead_letter("orders", id);
        assert_eq!(letter.reason, Reason::GroupFailed);
        assert!(
            letter.error.contains(&ids[0].to_string()),
            "{}",
            letter.error
        );
    }
    send(&host, "A", "A4");
    assert_eq!(handled(&host), ["A4"]);
    assert_eq!(host.redrive("orders", DeadFilter::default()), 4);
    assert_eq!(handled(&host), ["A0", "A1", "A2", "A3"]);
    assert_eq!(halted(&host), []);
}

/// Holds the writer from the delivery of a message until it is opened.
struct Turnstile {
    closed: SyncSender<Leased>,
    open: Mutex<Receiver<()>>,
}

impl Sink for Turnstile {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for leased in leased {
            let _ = self.closed.send(leased);
            let _ = self.open.lock().unwrap().recv();
        }
    }
}

#[test]
fn nothing_of_a_failed_group_is_delivered_although_the_host_dies_before_all_of_it_is_dead() {
    const MANY: usize = 1300;
    let host = Host::with_policy(&["orders", "gate"], |_, policy| {
        policy.on_group_failure = OnGroupFailure::DeadLetterRest;
        policy.concurrency = 1;
    });
    let ids = send_many_at_once(&host, "A", MANY);
    let first = host.delivered("orders");
    assert_eq!(names(&first), ids[..1]);
    let (closed, told) = sync_channel(1);
    let (open, opened) = sync_channel(1);
    let turnstile = Turnstile {
        closed,
        open: Mutex::new(opened),
    };
    host.attach_to("gate", Arc::new(turnstile));
    let gates = vec![stage::send("gate", "1"), stage::send("gate", "2")];
    host.send_all(gates).unwrap();
    let gate = told.recv().unwrap();
    // Both in one commit, after which the writer stands still again.
    host.settle_later(rejected(&first[0]));
    host.settle_later(done(&gate));
    open.send(()).unwrap();
    told.recv().unwrap();
    let host = host.pull_the_plug(|file| {
        let file = file.begin_read().unwrap();
        let dead = redb::TableDefinition::<u64, &[u8]>::new("dead");
        let dead = file.open_table(dead).unwrap().len().unwrap();
        assert!(
            (100..1000).contains(&dead),
            "{dead} are dead, which is not in the middle"
        );
    });
    send(&host, "A", "later");
    assert_eq!(handled(&host), ["later"]);
    assert_eq!(host.depths("orders").dead, MANY as u64);
    let host = host.reopen();
    assert_eq!(host.redrive("orders", DeadFilter::default()), MANY as u64);
    assert_eq!(names(&host.delivered("orders")), ids[..1]);
}

fn send_many_at_once(host: &Host, group: &str, count: usize) -> Vec<MessageId> {
    let outgoing = |n: usize| {
        let mut outgoing = stage::send("orders", &format!("{group}{n}"));
        outgoing.message.envelope.group = Some(group.to_owned());
        outgoing
    };
    let accepted = host.send_all((0..count).map(outgoing).collect()).unwrap();
    accepted.iter().map(|accepted| accepted.id).collect()
}

fn with_damaged_record(host: Host, damage: impl FnOnce(&mut (u32, u64), &mut Vec<u8>)) -> Host {
    host.reopen_after(|file| {
        let table = redb::TableDefinition::<(u32, u64), &[u8]>::new("held");
        let change = file.begin_write().unwrap();
        {
            let mut held = change.open_table(table).unwrap();
            let (mut key, mut bytes) = {
                let first = held.first().unwrap().unwrap();
                (first.0.value(), first.1.value().to_vec())
            };
            held.remove(key).unwrap();
            damage(&mut key, &mut bytes);
            held.insert(key, bytes.as_slice()).unwrap();
        }
        change.commit().unwrap();
    })
}

#[test]
fn a_record_of_a_halted_group_that_names_another_queue_pauses_all() {
    let host = Host::with_policy(&["invoices", "orders"], |_, policy| {
        policy.on_group_failure = OnGroupFailure::Halt;
    });
    send_many(&host, "A", 2);
    host.settle(rejected(&host.delivered("orders")[0]));
    let host = with_damaged_record(host, |key, _| key.0 ^= 1);
    for queue in ["invoices", "orders"] {
        assert_eq!(host.view(queue).gate, Some(Gate::Paused), "{queue}");
    }
    assert_eq!(handled(&host), [""; 0]);
}

#[test]
fn a_damaged_record_of_a_halted_group_pauses_its_queue() {
    let host = host(OnGroupFailure::Halt);
    send_many(&host, "A", 2);
    host.settle(rejected(&host.delivered("orders")[0]));
    let host = with_damaged_record(host, |_, bytes| bytes[9] ^= 1);
    send(&host, "B", "B0");
    assert_eq!(handled(&host), [""; 0]);
    assert_eq!(halted(&host)[0].halted, None);
    assert_eq!(host.resume_groups("orders", None), 1);
    host.resume("orders");
    let mut rest = handled(&host);
    rest.sort();
    assert_eq!(rest, ["A1", "B0"]);
}
