//! The gates, leases and counts by hand; in [`suspects`] those who may have killed the host; in
//! [`groups`] what a death brings to its group; in [`pull`] what pull consumers hold; in [`ages`]
//! what a full queue drops; in [`model`] operations at random.

use std::time::Duration;

use super::*;
use crate::limits;
use crate::message::Priority;
use crate::outcome::Reason;
use crate::retry::{Jitter, RetryPolicy, Roll};
use crate::settle::Counters;

mod ages;
mod conflicts;
mod flow;
mod groups;
mod model;
mod pull;
mod suspects;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn policy() -> QueuePolicy {
    QueuePolicy {
        retry: RetryPolicy {
            jitter: Jitter::None,
            ..RetryPolicy::default()
        },
        ..QueuePolicy::default()
    }
}

fn row(queue: QueueId, sequence: u64) -> Row {
    Row {
        queue,
        place: Place {
            sequence,
            due: at(0),
            priority: Priority::DEFAULT,
            group: None,
            key: None,
            ordinal: sequence,
        },
        counters: Counters::default(),
        enqueued_at: at(0),
        expires_at: None,
        size: 10,
        suspect: false,
    }
}

fn grouped(queue: QueueId, sequence: u64, group: u64) -> Row {
    let mut row = row(queue, sequence);
    row.place.group = Some(group);
    row
}

fn expiring(queue: QueueId, sequence: u64, expires: u64) -> Row {
    Row {
        expires_at: Some(at(expires)),
        ..row(queue, sequence)
    }
}

fn suspect(row: Row) -> Row {
    match row.after_crash(&policy(), at(0)) {
        AfterCrash::RunAlone(row) => row,
        AfterCrash::Settle(settlement) => panic!("{settlement:?}"),
    }
}

/// A board with queues `a`, `b`, … of so many slots.
fn board(slots: &[u32]) -> (Board, Vec<QueueId>) {
    let mut board = Board::new(7);
    let mut ids = Vec::new();
    for (name, slots) in ('a'..='z').zip(slots) {
        let name = QueueName::new(&name.to_string()).unwrap();
        let id = board.add_queue(name, false, 0);
        board.declare(id, policy());
        board.set_slots(id, *slots);
        ids.push(id);
    }
    (board, ids)
}

fn start(board: &mut Board, row: Row, now: u64) -> Fence {
    let claim = board.claim(at(now)).expect("something starts");
    assert_eq!(claim.sequence, row.place.sequence);
    board.lease(claim, row)
}

fn end(board: &mut Board, fence: Fence, outcome: &Outcome, now: u64) -> Option<Row> {
    let row = *board.leased(fence).unwrap();
    let settlement = row.settle(board.policy(row.queue), outcome, at(now), Roll::new(0.5));
    board.end(fence, outcome, &settlement, at(now)).unwrap()
}

fn claimed(board: &mut Board, now: u64) -> Option<u64> {
    board.claim(at(now)).map(|claim| claim.sequence)
}

fn failed(reason: Reason) -> Outcome {
    Outcome::Failed {
        reason,
        error: String::new(),
        delay: None,
    }
}

fn gate(board: &Board, queue: QueueId) -> Option<Gate> {
    board.view(queue, at(0)).gate
}

#[test]
fn gates_are_asked_in_order() {
    let (mut board, ids) = board(&[1, 1]);
    let q = ids[0];
    board.accept(&row(q, 1), at(0));
    board.accept(&row(q, 2), at(0));
    let fence = start(&mut board, row(q, 1), 0);
    assert_eq!(gate(&board, q), Some(Gate::Concurrency));
    board.restore(&suspect(row(ids[1], 3)), at(0));
    assert_eq!(gate(&board, q), Some(Gate::Suspects));
    board.set_slots(q, 0);
    assert_eq!(gate(&board, q), Some(Gate::NoHandler));
    board.set_paused(q, true);
    assert_eq!(gate(&board, q), Some(Gate::Paused));
    assert_eq!(claimed(&mut board, 0), None);
    // Opened one by one, in any order.
    board.set_paused(q, false);
    board.set_slots(q, 1);
    end(&mut board, fence, &Outcome::Done, 0);
    let fence = start(&mut board, suspect(row(ids[1], 3)), 0);
    end(&mut board, fence, &Outcome::Done, 0);
    assert_eq!(gate(&board, q), None);
    assert_eq!(claimed(&mut board, 0), Some(2));
}

#[test]
fn a_queue_that_is_not_declared_keeps_its_messages() {
    let (mut board, ids) = board(&[1]);
    board.accept(&row(ids[0], 1), at(0));
    board.undeclare(ids[0]);
    assert_eq!(claimed(&mut board, 0), None);
    assert_eq!(gate(&board, ids[0]), Some(Gate::NoHandler));
    board.declare(ids[0], policy());
    assert_eq!(claimed(&mut board, 0), Some(1));
}

#[test]
fn queues_take_turns() {
    let (mut board, ids) = board(&[9, 9, 1]);
    for sequence in 0..9 {
        let queue = QueueId(u32::try_from(sequence).unwrap() / 3);
        board.accept(&row(queue, sequence), at(0));
    }
    assert_eq!(ids.len(), 3);
    let starts: Vec<u64> = std::iter::from_fn(|| claimed(&mut board, 0)).collect();
    assert_eq!(
        starts,
        [0, 3, 6, 1, 4, 2, 5],
        "the third queue has one slot"
    );
}

#[test]
fn advance_makes_ready_what_is_due_and_ends() {
    let (mut board, ids) = board(&[9]);
    let q = ids[0];
    let mut later = expiring(q, 1, 50);
    later.place.due = at(20);
    board.accept(&later, at(0));
    let mut never = row(q, 2);
    never.place.due = at(90);
    board.accept(&never, at(0));
    assert_eq!(board.next_wake(), Some(at(20)));
    board.advance(at(20));
    assert_eq!(board.view(q, at(20)).depths.ready, 1);
    assert_eq!(board.next_wake(), Some(at(50)));
    // With an expired message that nobody has removed yet.
    board.advance(at(60));
    assert_eq!(board.next_wake(), Some(at(50)));
    assert_eq!(board.expired(at(60)), Some(1));
    board.remove(&later, Removal::ExpiredAndDropped, at(60));
    assert_eq!(board.expired(at(60)), None);
    assert_eq!(board.next_wake(), Some(at(90)));
}

#[test]
fn an_expired_message_goes_before_anything_is_delivered() {
    let (mut board, ids) = board(&[9]);
    let q = ids[0];
    board.accept(&row(q, 1), at(0));
    board.accept(&expiring(q, 2, 5), at(0));
    assert_eq!(board.expired(at(4)), None);
    assert_eq!(claimed(&mut board, 5), None);
    assert_eq!(board.expired(at(5)), Some(2));
    board.remove(&expiring(q, 2, 5), Removal::ExpiredToDead, at(5));
    assert_eq!(claimed(&mut board, 5), Some(1));
    let totals = board.view(q, at(5)).totals;
    assert_eq!((totals.expired, totals.died), (1, 1));
}

#[test]
fn a_running_attempt_never_expires() {
    let (mut board, ids) = board(&[9]);
    let q = ids[0];
    let first = expiring(q, 1, 5);
    board.accept(&first, at(0));
    let fence = start(&mut board, first, 0);
    assert_eq!((board.expired(at(9)), board.next_wake()), (None, None));
    let stays = end(
        &mut board,
        fence,
        &Outcome::HandedBack(HandedBack::Reload),
        4,
    );
    assert_eq!(
        board.next_wake(),
        Some(at(5)),
        "handed back in time, it expires by the index"
    );
    assert_eq!(board.expired(at(5)), Some(1));
    board.remove(&stays.unwrap(), Removal::ExpiredToDead, at(5));

    let second = expiring(q, 2, 9);
    board.accept(&second, at(6));
    let fence = start(&mut board, second, 6);
    assert_eq!(end(&mut board, fence, &failed(Reason::Trap), 9), None);
    let view = board.view(q, at(9));
    assert_eq!(
        (view.totals.expired, view.totals.failed, view.depths.dead),
        (2, 1, 2)
    );
    assert_eq!(board.expired(at(99)), None);
}

#[test]
fn a_lost_lease_is_refused_and_changes_nothing() {
    let (mut board, ids) = board(&[9]);
    board.accept(&row(ids[0], 1), at(0));
    let stale = start(&mut board, row(ids[0], 1), 0);
    end(
        &mut board,
        stale,
        &Outcome::HandedBack(HandedBack::Shutdown),
        0,
    );
    let held = start(&mut board, row(ids[0], 1), 0);
    let before = format!("{board:?}");
    for fence in [
        stale,
        Fence { boot: 6, ..held },
        Fence {
            sequence: 2,
            ..held
        },
        Fence { lease: 99, ..held },
    ] {
        assert_eq!(board.leased(fence), Err(LeaseLost));
        let ended = board.end(fence, &Outcome::Done, &Settlement::Ack, at(0));
        assert_eq!(ended, Err(LeaseLost), "{fence:?}");
    }
    assert_eq!(format!("{board:?}"), before);
    assert_eq!(end(&mut board, held, &Outcome::Done, 0), None);
    let ended = board.end(held, &Outcome::Done, &Settlement::Ack, at(0));
    assert_eq!(ended, Err(LeaseLost), "once is enough");
    assert_eq!(board.view(ids[0], at(0)).totals.acked, 1);
}

#[test]
fn what_is_handed_back_keeps_its_place_and_what_failed_does_not() {
    let (mut board, ids) = board(&[1]);
    for sequence in 1..=3 {
        board.accept(&row(ids[0], sequence), at(0));
    }
    for why in [
        HandedBack::Shutdown,
        HandedBack::Conflict,
        HandedBack::ReusedInstance,
        HandedBack::BatchFailed,
        HandedBack::Released,
    ] {
        let fence = start(&mut board, row(ids[0], 1), 10);
        let stays = end(&mut board, fence, &Outcome::HandedBack(why), 10);
        assert_eq!(stays, Some(row(ids[0], 1)), "{why:?}");
    }
    let fence = start(&mut board, row(ids[0], 1), 10);
    let postponed = Outcome::Postponed {
        delay: Duration::ZERO,
    };
    let stays = end(&mut board, fence, &postponed, 10).unwrap();
    assert_eq!(stays.place.due, at(10));
    assert_eq!(claimed(&mut board, 10), Some(2));
}

#[test]
fn what_cannot_be_read_leaves_nothing_behind() {
    let (mut board, ids) = board(&[9]);
    let damaged = Row {
        expires_at: Some(at(50)),
        ..grouped(ids[0], 1, 7)
    };
    board.accept(&damaged, at(0));
    board.accept(&grouped(ids[0], 2, 7), at(0));
    board.accept(&expiring(ids[0], 3, 50), at(0));
    let claim = board.claim(at(0)).unwrap();
    // Not even its row could be read.
    board.abandon(
        claim,
        &Row {
            size: 0,
            ..row(ids[0], 1)
        },
        at(0),
    );
    assert_eq!(claimed(&mut board, 0), Some(2), "its group goes on");
    assert_eq!(claimed(&mut board, 0), Some(3));
    let (mut board, ids) = self::board(&[9]);
    board.accept(&damaged, at(0));
    board.accept(&grouped(ids[0], 2, 7), at(0));
    assert_eq!(board.expired(at(50)), Some(1));
    assert!(board.forget(1, at(50)));
    assert!(!board.forget(1, at(50)));
    assert_eq!(board.expired(at(50)), None);
    let fence = start(&mut board, grouped(ids[0], 2, 7), 50);
    assert!(!board.forget(2, at(50)), "it is in flight");
    end(&mut board, fence, &Outcome::Done, 50);
}

#[test]
fn capacity_counts_what_is_ready_scheduled_and_in_flight() {
    let (mut board, ids) = board(&[1]);
    let q = ids[0];
    let limited = QueuePolicy {
        max_messages: Some(3),
        max_bytes: Some(40),
        ..policy()
    };
    board.declare(q, limited);
    board.accept(&row(q, 1), at(0));
    let mut later = row(q, 2);
    later.place.due = at(9);
    board.accept(&later, at(0));
    let fence = start(&mut board, row(q, 1), 0);
    assert_eq!(board.check_room(q, 1, 20), Ok(()));
    let full = board.check_room(q, 2, 20).unwrap_err();
    assert_eq!((full.messages, full.bytes), (2, 20));
    assert!(board.check_room(q, 1, 21).is_err());
    assert!(board.check_room(q, u64::MAX, u64::MAX).is_err());
    end(
        &mut board,
        fence,
        &Outcome::Rejected {
            error: String::new(),
        },
        0,
    );
    assert_eq!(board.check_room(q, 2, 30), Ok(()), "the dead take no room");
    assert_eq!(board.view(q, at(0)).depths.dead, 1);
}

#[test]
fn the_dead_are_counted_in_and_out() {
    let (mut board, ids) = board(&[1]);
    let q = ids[0];
    board.note_dead(q);
    board.note_dead(q);
    board.note_dead(q);
    board.redrive(&row(q, 1), at(0));
    board.forget_dead(q, 1, true);
    board.forget_dead(q, 1, false);
    let view = board.view(q, at(0));
    assert_eq!(
        (view.depths.dead, view.depths.ready, view.depths.bytes),
        (0, 1, 10)
    );
    assert_eq!(
        (view.totals.died, view.totals.redriven, view.totals.purged),
        (3, 1, 1)
    );
}

#[test]
#[should_panic(expected = "does not wait there")]
fn what_is_in_flight_cannot_be_removed() {
    let (mut board, ids) = board(&[1]);
    board.accept(&row(ids[0], 1), at(0));
    start(&mut board, row(ids[0], 1), 0);
    board.remove(&row(ids[0], 1), Removal::Purged, at(0));
}
