//! Pull consumers of a real store: durable leases, what ends them, and what of it outlives the host.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::message::Due;
use gristmill_queue::policy::OnGroupFailure;
use gristmill_queue::{MessageId, NewMessage, QueueName, QueuePolicy, Reason, limits};
use gristmill_store::{
    AdminError, DeadFilter, Found, GroupOrder, PullError, Pulled, Receive, ReceiveError, Received,
};
use redb::{ReadableDatabase, ReadableTableMetadata, TableDefinition};
use stage::pull::{bodies, up_to};
use stage::{Host, done};

const Q: &str = "orders";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn host() -> Host {
    host_with(|_| ())
}

fn host_with(change: impl Fn(&mut QueuePolicy)) -> Host {
    Host::with_policy(&[Q], |_, policy| {
        policy.pull.allowed = Some(true);
        change(policy);
    })
}

fn send(host: &Host, body: &str) -> MessageId {
    host.send(Q, body).unwrap().id
}

fn grouped(message: &mut NewMessage) {
    message.envelope.group = Some("g".to_owned());
}

fn send_grouped(host: &Host, texts: &[&str]) {
    for body in texts {
        host.send_with(Q, body, grouped).unwrap();
    }
}

fn batch(max: u32) -> Receive {
    Receive {
        order: GroupOrder::Batch,
        ..up_to(Q, max)
    }
}

fn retry(delay: Option<u64>) -> Pulled {
    Pulled::Retry {
        delay: delay.map(seconds),
        error: "no stock".to_owned(),
    }
}

fn settle(host: &Host, received: &Received, pulled: Pulled) -> Result<(), PullError> {
    host.settle_pulled(Q, received.fence, pulled)
}

fn leases_in(host: Host) -> (Host, u64) {
    let mut count = 0;
    let host = host.reopen_after(|database| {
        let table: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lease");
        let reading = database.begin_read().unwrap();
        count = reading.open_table(table).unwrap().len().unwrap();
    });
    (host, count)
}

#[test]
fn what_is_received_is_in_flight_until_it_is_acknowledged_and_then_gone() {
    let host = host();
    let ids: Vec<MessageId> = ["a", "b", "c"].map(|body| send(&host, body)).into();
    let received = host.receive(Q, 2);
    assert_eq!(bodies(&received), ["a", "b"]);
    let first = &received[0];
    assert_eq!((first.message.id, first.attempt), (ids[0], 1));
    assert_eq!(first.lease_ends, host.now().after(seconds(30)));
    assert_eq!(
        (first.first_received_at, first.enqueued_at),
        (host.now(), first.message.enqueued_at)
    );
    assert!(received[0].ordinal < received[1].ordinal);
    assert_eq!(host.depths(Q).in_flight, 2);
    assert_eq!(host.view(Q).pulled, 2);
    assert_eq!(bodies(&host.receive(Q, 10)), ["c"]);
    assert_eq!(host.receive(Q, 10), []);
    assert_eq!(settle(&host, first, Pulled::Ack), Ok(()));
    assert_eq!(
        settle(&host, first, Pulled::Ack),
        Err(PullError::LeaseLost),
        "once is enough"
    );
    assert_eq!(host.totals(Q).acked, 1);
    assert_eq!(host.depths(Q).in_flight, 2);
}

#[test]
fn a_lease_that_ends_is_a_failed_attempt_and_the_last_of_them_is_death() {
    let host = host();
    let id = send(&host, "a");
    let first = host.receive_one(Q);
    host.pass(seconds(29));
    assert_eq!(host.receive(Q, 1), [], "it is held still");
    host.pass(seconds(1));
    let second = host.receive_one(Q);
    assert_eq!((second.attempt, second.message.id), (2, id));
    assert_eq!(second.first_received_at, first.first_received_at);
    assert_ne!(second.fence, first.fence);
    assert_eq!(
        settle(&host, &first, Pulled::Ack),
        Err(PullError::LeaseLost)
    );
    host.pass(seconds(30));
    assert_eq!(host.receive_one(Q).attempt, 3);
    host.pass(seconds(30));
    assert_eq!(host.receive(Q, 1), []);
    let queue = second.message.queue.clone();
    let dead = host.store().dead(&queue, &DeadFilter::default(), 0, 9);
    let dead = dead.unwrap();
    assert_eq!(dead[0].reason, Reason::LeaseExpired);
    let letter = host.store().dead_letter(&queue, dead[0].sequence);
    let letter = letter.unwrap().unwrap();
    let reasons: Vec<Reason> = letter.attempts.iter().map(|one| one.reason).collect();
    assert_eq!(reasons, [Reason::LeaseExpired; 3]);
    assert_eq!(letter.attempts[1].started_at, first.lease_ends);
    assert_eq!(letter.attempts[0].usage.wall, seconds(30));
    assert_eq!(host.totals(Q).failed, 3);
    let (_, leases) = leases_in(host);
    assert_eq!(leases, 0);
}

#[test]
fn a_lease_is_extended_from_now_on_but_not_for_ever() {
    let host = host();
    send(&host, "a");
    let received = host.receive_one(Q);
    let extend = |visibility| settle(&host, &received, Pulled::Extend { visibility });
    host.pass(seconds(20));
    assert_eq!(extend(seconds(30)), Ok(()));
    host.pass(seconds(29));
    assert_eq!(host.receive(Q, 1), []);
    let most = limits::MAX_VISIBILITY - seconds(49);
    assert_eq!(extend(most + seconds(1)), Err(PullError::TooLong));
    assert_eq!(extend(most), Ok(()));
    host.pass(most - seconds(1));
    assert_eq!(host.receive(Q, 1), []);
    host.pass(seconds(1));
    assert_eq!(host.receive_one(Q).attempt, 2);
    assert_eq!(extend(seconds(1)), Err(PullError::LeaseLost));
}

#[test]
fn what_fails_is_counted_and_tried_again_and_what_is_released_is_not_counted() {
    let host = host();
    send(&host, "a");
    let received = host.receive_one(Q);
    settle(&host, &received, Pulled::Release).unwrap();
    let received = host.receive_one(Q);
    assert_eq!(received.attempt, 1);
    settle(&host, &received, retry(Some(5))).unwrap();
    host.pass(seconds(4));
    assert_eq!(host.receive(Q, 1), []);
    host.pass(seconds(1));
    let received = host.receive_one(Q);
    assert_eq!(received.attempt, 2);
    settle(&host, &received, retry(None)).unwrap();
    assert_eq!(host.receive(Q, 1), [], "it backs off");
    host.pass(seconds(2));
    let received = host.receive_one(Q);
    assert_eq!(received.attempt, 3);
    let error = "no such customer".to_owned();
    settle(&host, &received, Pulled::Reject { error }).unwrap();
    let queue = &received.message.queue;
    let dead = host.store().dead(queue, &DeadFilter::default(), 0, 9);
    assert_eq!(dead.unwrap()[0].reason, Reason::Rejected);
    assert_eq!(host.totals(Q).handed_back, 1);
}

#[test]
fn of_several_verdicts_each_is_answered_for_itself() {
    let host = host();
    send(&host, "a");
    send(&host, "b");
    let received = host.receive(Q, 2);
    let fences: Vec<_> = received.iter().map(|one| one.fence).collect();
    let settled = host.settle_all_pulled(
        Q,
        vec![
            (fences[0], Pulled::Ack),
            (fences[0], Pulled::Ack),
            (fences[1], Pulled::Release),
        ],
    );
    assert_eq!(settled, [Ok(()), Err(PullError::LeaseLost), Ok(())]);
    assert_eq!(bodies(&host.receive(Q, 9)), ["b"]);
}

#[test]
fn leases_outlive_every_kind_of_end_of_the_host() {
    let ends: [fn(Host) -> Host; 3] = [Host::reopen, Host::crash, Host::lose_power];
    for end in ends {
        let host = host();
        for body in ["acked", "lapses", "waits"] {
            send(&host, body);
        }
        let received = host.receive(Q, 2);
        host.pass(seconds(10));
        let host = end(host);
        assert_eq!(host.depths(Q).in_flight, 2);
        let third = host.receive_one(Q);
        assert_eq!(bodies(std::slice::from_ref(&third)), ["waits"]);
        assert_eq!(settle(&host, &received[0], Pulled::Ack), Ok(()));
        host.pass(seconds(19));
        assert_eq!(host.receive(Q, 9), [], "not a second early");
        host.pass(seconds(1));
        let again = host.receive_one(Q);
        assert_eq!(bodies(std::slice::from_ref(&again)), ["lapses"]);
        assert_eq!(again.attempt, 2, "the count is not forgotten");
        assert_eq!(
            settle(&host, &received[1], Pulled::Ack),
            Err(PullError::LeaseLost)
        );
        let host = end(host);
        assert_eq!(settle(&host, &again, Pulled::Ack), Ok(()));
        assert_eq!(settle(&host, &third, Pulled::Ack), Ok(()));
        let (host, leases) = leases_in(host);
        assert_eq!((leases, host.depths(Q).in_flight), (0, 0));
    }
}

#[test]
fn a_step_of_the_wall_clock_ends_no_lease() {
    let host = host();
    send(&host, "a");
    let received = host.receive_one(Q);
    host.turn_forward(seconds(3600));
    assert_eq!(host.receive(Q, 1), []);
    assert_eq!(settle(&host, &received, Pulled::Ack), Ok(()));
}

#[test]
fn one_of_a_group_is_received_at_a_time_or_several_in_order() {
    let host = host();
    send_grouped(&host, &["a", "b", "c", "d"]);
    send(&host, "other");
    let received = host.receive(Q, 9);
    assert_eq!(bodies(&received), ["a", "other"]);
    settle(&host, &received[0], Pulled::Release).unwrap();
    let received = host.try_receive(batch(3)).unwrap();
    assert_eq!(bodies(&received), ["a", "b", "c"]);
    assert_eq!(host.receive(Q, 9), []);
    // The first fails at once: it is the next, but not while the others are in flight.
    settle(&host, &received[0], retry(Some(0))).unwrap();
    assert_eq!(host.receive(Q, 9), []);
    settle(&host, &received[2], Pulled::Ack).unwrap();
    assert_eq!(host.receive(Q, 9), []);
    host.pass(seconds(30));
    let received = host.try_receive(batch(9)).unwrap();
    assert_eq!(bodies(&received), ["a", "b", "d", "other"]);
    let attempts: Vec<u32> = received.iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, [2, 2, 1, 2]);
}

#[test]
fn a_group_of_which_several_are_in_flight_stays_closed_over_a_restart() {
    let host = host();
    send_grouped(&host, &["a", "b", "c"]);
    let received = host.try_receive(batch(2)).unwrap();
    settle(&host, &received[0], retry(Some(0))).unwrap();
    let host = host.crash();
    assert_eq!(host.receive(Q, 9), []);
    settle(&host, &received[1], Pulled::Ack).unwrap();
    assert_eq!(
        bodies(&host.try_receive(batch(9)).unwrap()),
        ["a", "c"],
        "in the order of acceptance"
    );
}

#[test]
fn a_death_in_a_batch_brings_to_the_group_what_its_policy_says() {
    let host = host_with(|policy| policy.on_group_failure = OnGroupFailure::Halt);
    send_grouped(&host, &["a", "b", "c"]);
    let received = host.try_receive(batch(2)).unwrap();
    let error = "never".to_owned();
    settle(&host, &received[0], Pulled::Reject { error }).unwrap();
    settle(&host, &received[1], Pulled::Release).unwrap();
    assert_eq!(host.receive(Q, 9), []);
    assert_eq!(host.halted_groups(Q)[0].waiting, 2);
    assert_eq!(host.resume_groups(Q, Some("g")), 1);
    assert_eq!(bodies(&host.try_receive(batch(9)).unwrap()), ["b", "c"]);
}

#[test]
fn a_handler_and_a_pull_consumer_compete_if_the_queue_says_so() {
    let host = host();
    host.attach(Q);
    send(&host, "a");
    let leased = host.delivered(Q);
    assert_eq!(leased.len(), 1, "the handler was there first");
    assert_eq!(host.receive(Q, 1), []);
    host.detach(Q);
    send(&host, "b");
    let received = host.receive_one(Q);
    host.attach(Q);
    assert_eq!(host.delivered(Q).len(), 0, "the pull consumer was");
    settle(&host, &received, Pulled::Release).unwrap();
    let again = host.delivered(Q);
    assert_eq!(again[0].message.id, received.message.id);
    assert_eq!(again[0].attempt, 1);
    assert_eq!(
        host.settle_pulled(Q, again[0].fence, Pulled::Ack),
        Err(PullError::LeaseLost),
        "a lease of a handler is none of a pull consumer"
    );
    host.settle(done(&again[0]));
    assert_eq!(host.totals(Q).acked, 1);
}

#[test]
fn who_may_not_receive_is_told_why() {
    let host = Host::new(&[Q]);
    let refused = |queue: &str| host.try_receive(up_to(queue, 1)).unwrap_err();
    assert!(matches!(refused(Q), ReceiveError::NotPull(_)));
    assert!(matches!(refused("nobody"), ReceiveError::UnknownQueue(_)));
    host.detach(Q);
    send(&host, "a");
    let received = host.receive_one(Q);
    assert_eq!(bodies(std::slice::from_ref(&received)), ["a"]);
    let elsewhere = host
        .runtime_of(|store| store.settle_pulled(QueueName::new("nobody").unwrap(), Vec::new()))
        .unwrap_err();
    assert!(matches!(elsewhere, AdminError::UnknownQueue(_)));
}

#[test]
fn a_received_message_is_found_in_flight_and_can_be_neither_cancelled_nor_moved_nor_purged() {
    let host = host();
    let id = send(&host, "a");
    let received = host.receive_one(Q);
    let cancelled = host.runtime_of(|store| store.cancel(id)).unwrap_err();
    assert!(matches!(cancelled, AdminError::InFlight(_)), "{cancelled}");
    let to = Due::After(seconds(9));
    let moved = host.runtime_of(|store| store.move_to(id, to)).unwrap_err();
    assert!(matches!(moved, AdminError::InFlight(_)), "{moved}");
    let found = host.runtime_of(|store| store.find(id)).unwrap();
    assert!(matches!(found, Found::InFlight(_)), "{found:?}");
    assert_eq!(settle(&host, &received, Pulled::Ack), Ok(()));
}

#[test]
fn a_lease_without_time_ends_at_once_and_counts() {
    let host = host();
    send(&host, "a");
    let now = || {
        let receive = Receive {
            visibility: Some(Duration::ZERO),
            ..up_to(Q, 1)
        };
        let received = host.try_receive(receive).unwrap();
        host.tick();
        received.first().map(|one| one.attempt)
    };
    assert_eq!(
        [now(), now(), now(), now()],
        [Some(1), Some(2), Some(3), None]
    );
    assert_eq!(host.depths(Q).dead, 1);
}

#[test]
fn what_expires_while_it_is_held_dies_when_its_lease_ends() {
    let host = host();
    host.send_with(Q, "a", |message| message.ttl = Some(seconds(10)))
        .unwrap();
    let received = host.receive_one(Q);
    host.pass(seconds(20));
    assert_eq!(settle(&host, &received, Pulled::Release), Ok(()));
    assert_eq!(host.receive(Q, 1), []);
    assert_eq!(host.totals(Q).expired, 1);
}
