//! Leases of pull consumers, by hand.

use super::*;
use crate::MessageId;
use crate::policy::PullPolicy;
use crate::rate::Rate;

fn terms(sequence: u64, granted: u64, ends: u64) -> PullTerms {
    let id = crate::IdSource::new(sequence, 1).mint(at(granted));
    PullTerms {
        id,
        granted_at: at(granted),
        ends_at: at(ends),
    }
}

fn pull(board: &mut Board, row: Row, now: u64, ends: u64) -> Fence {
    let sequence = row.place.sequence;
    let claim = board
        .claim_pulled(row.queue, at(now))
        .expect("one is there");
    assert_eq!((claim.sequence, claim.pulled), (sequence, true));
    board.lease_pulled(claim, row, terms(sequence, now, ends))
}

fn pulled(board: &mut Board, queue: QueueId, now: u64) -> Option<u64> {
    board
        .claim_pulled(queue, at(now))
        .map(|claim| claim.sequence)
}

fn with_pull(pull: PullPolicy) -> QueuePolicy {
    QueuePolicy { pull, ..policy() }
}

fn allowed(allowed: Option<bool>) -> QueuePolicy {
    with_pull(PullPolicy {
        allowed,
        ..PullPolicy::default()
    })
}

#[test]
fn a_queue_is_for_its_handler_alone_unless_it_says_otherwise() {
    for (says, with_handler, without) in [
        (None, false, true),
        (Some(true), true, true),
        (Some(false), false, false),
    ] {
        let (mut board, ids) = board(&[1]);
        let q = ids[0];
        board.declare(q, allowed(says));
        board.accept(&row(q, 1), at(0));
        assert_eq!(board.is_pullable(q), with_handler, "{says:?}");
        assert_eq!(
            board.claim_pulled(q, at(0)).is_some(),
            with_handler,
            "{says:?}"
        );
        board.set_slots(q, 0);
        board.accept(&row(q, 2), at(0));
        assert_eq!(board.is_pullable(q), without, "{says:?}");
        assert_eq!(board.claim_pulled(q, at(0)).is_some(), without, "{says:?}");
        board.undeclare(q);
        assert!(!board.is_pullable(q));
    }
}

#[test]
fn handlers_and_pull_consumers_compete_and_neither_takes_the_others_slots() {
    let (mut board, ids) = board(&[1]);
    let q = ids[0];
    let two = PullPolicy {
        allowed: Some(true),
        max_in_flight: 2,
        ..PullPolicy::default()
    };
    board.declare(q, with_pull(two));
    for sequence in 1..=5 {
        board.accept(&row(q, sequence), at(0));
    }
    let first = pull(&mut board, row(q, 1), 0, 30);
    start(&mut board, row(q, 2), 0);
    pull(&mut board, row(q, 3), 0, 30);
    assert_eq!(pulled(&mut board, q, 0), None, "two are held");
    assert_eq!(claimed(&mut board, 0), None, "the handler has one slot");
    let view = board.view(q, at(0));
    assert_eq!((view.depths.in_flight, view.pulled), (3, 2));
    assert_eq!(board.in_flight(), 1);
    end(&mut board, first, &Outcome::Done, 1);
    assert_eq!(pulled(&mut board, q, 1), Some(4));
}

#[test]
fn a_paused_queue_gives_nothing_and_calls_when_it_goes_on() {
    let (mut board, ids) = board(&[0]);
    let q = ids[0];
    board.call_receivers(q);
    assert_eq!(board.next_called(), None);
    board.set_paused(q, true);
    board.accept(&row(q, 1), at(0));
    assert_eq!(
        (board.next_called(), pulled(&mut board, q, 0)),
        (None, None)
    );
    board.set_paused(q, false);
    assert_eq!((board.next_called(), board.next_called()), (Some(q), None));
    assert_eq!(pulled(&mut board, q, 0), Some(1));
    board.keep_receivers(q, false);
    board.accept(&row(q, 2), at(0));
    assert_eq!(board.next_called(), None, "nobody waits");
}

#[test]
fn who_waits_is_called_for_what_is_sent_due_put_back_or_has_a_token() {
    let (mut board, ids) = board(&[0]);
    let q = ids[0];
    let rate = Some(Rate::new(1, Duration::from_millis(10), Some(1)));
    board.declare(q, QueuePolicy { rate, ..policy() });
    board.call_receivers(q);
    let mut later = row(q, 1);
    later.place.due = at(5);
    board.accept(&later, at(0));
    assert_eq!(board.next_called(), None);
    assert_eq!(board.next_wake(), Some(at(5)));
    board.advance(at(5));
    assert_eq!(board.next_called(), Some(q));
    let fence = pull(&mut board, later, 5, 8);
    board.accept(&row(q, 2), at(5));
    board.next_called();
    assert_eq!(pulled(&mut board, q, 5), None, "there is no token");
    board.keep_receivers(q, true);
    assert_eq!(board.next_called(), None, "nothing has changed");
    assert_eq!(
        board.next_wake(),
        Some(at(8)),
        "the lease ends before one comes"
    );
    let lapsed = Outcome::Failed {
        reason: Reason::LeaseExpired,
        error: String::new(),
        delay: Some(Duration::ZERO),
    };
    end(&mut board, fence, &lapsed, 8);
    while board.next_called().is_some() {}
    assert_eq!(board.next_wake(), Some(at(15)));
    board.advance(at(15));
    assert_eq!(board.next_called(), Some(q));
    assert_eq!(pulled(&mut board, q, 15), Some(2), "it is due since longer");
}

#[test]
fn a_lease_ends_at_its_time_and_can_be_extended_by_its_fence_only() {
    let (mut board, ids) = board(&[0]);
    let q = ids[0];
    board.accept(&row(q, 1), at(0));
    let fence = pull(&mut board, row(q, 1), 0, 30);
    assert_eq!(board.next_wake(), Some(at(30)));
    assert_eq!(board.lapsed(at(29)), None);
    assert_eq!(board.lapsed(at(30)), Some(fence));
    let other = Fence {
        lease: fence.lease + 1,
        ..fence
    };
    assert_eq!(board.extend(other, at(99)), Err(LeaseLost));
    assert_eq!(board.lapsed(at(30)), Some(fence));
    let extended = board.extend(fence, at(50)).unwrap();
    assert_eq!(extended, terms(1, 0, 50));
    assert_eq!(board.lapsed(at(49)), None);
    assert_eq!(board.pulled(fence), Ok((row(q, 1), extended)));
    end(&mut board, fence, &Outcome::Done, 50);
    assert_eq!(
        (board.next_wake(), board.pulled(fence)),
        (None, Err(LeaseLost))
    );
}

#[test]
fn a_handlers_lease_is_none_of_a_pull_consumer() {
    let (mut board, ids) = board(&[1]);
    board.accept(&row(ids[0], 1), at(0));
    let fence = start(&mut board, row(ids[0], 1), 0);
    assert_eq!(board.pulled(fence), Err(LeaseLost));
    assert_eq!(board.extend(fence, at(9)), Err(LeaseLost));
    assert_eq!(board.next_wake(), None);
}

#[test]
fn a_receive_takes_a_group_in_order_and_what_lapses_is_its_next() {
    let (mut board, ids) = board(&[0]);
    let q = ids[0];
    for sequence in 1..=4 {
        board.accept(&grouped(q, sequence, 7), at(0));
    }
    let first = pull(&mut board, grouped(q, 1, 7), 0, 30);
    let claim = board.claim_behind(q, 7, at(0)).unwrap();
    assert_eq!(claim.sequence, 2);
    let second = board.lease_pulled(claim, grouped(q, 2, 7), terms(2, 0, 30));
    assert_eq!(pulled(&mut board, q, 0), None, "the group is closed");
    let back = end(
        &mut board,
        first,
        &Outcome::HandedBack(HandedBack::Released),
        1,
    );
    assert_eq!(back, Some(grouped(q, 1, 7)));
    assert_eq!(pulled(&mut board, q, 1), None, "the second is out still");
    end(&mut board, second, &Outcome::Done, 2);
    pull(&mut board, grouped(q, 1, 7), 2, 30);
    assert_eq!(
        board.claim_behind(q, 7, at(2)).map(|claim| claim.sequence),
        Some(3)
    );
}

#[test]
fn a_batch_of_a_group_goes_no_further_than_its_keys_allow() {
    let (mut board, ids) = board(&[0]);
    let q = ids[0];
    let key = crate::policy::KeyPolicy {
        source: crate::key::KeySource::Group,
        concurrency: Some(1),
        rate: None,
    };
    board.declare(
        q,
        QueuePolicy {
            key: Some(key),
            ..policy()
        },
    );
    let of_key = |sequence| {
        let mut row = grouped(q, sequence, 7);
        row.place.key = Some(crate::key::KeyHash::of("g"));
        row
    };
    board.accept(&of_key(1), at(0));
    board.accept(&of_key(2), at(0));
    pull(&mut board, of_key(1), 0, 30);
    assert_eq!(board.claim_behind(q, 7, at(0)), None);
}

#[test]
fn leases_outlive_the_host_and_their_groups_stay_closed() {
    let mut board = Board::new(8);
    let q = board.add_queue(QueueName::new("q").unwrap(), false, 0);
    board.declare(q, policy());
    let fence = Fence {
        boot: 7,
        lease: 1,
        sequence: 1,
    };
    board.restore_pulled(fence, grouped(q, 1, 7), terms(1, 0, 30));
    board.restore(&grouped(q, 2, 7), at(10));
    board.restore(&row(q, 3), at(10));
    let view = board.view(q, at(10));
    assert_eq!(
        (view.depths.in_flight, view.depths.bytes, view.pulled),
        (1, 30, 1)
    );
    let other = pull(&mut board, row(q, 3), 10, 40);
    assert_eq!(
        (other.boot, other.lease),
        (8, 1),
        "of this start, so it is another"
    );
    assert_eq!(pulled(&mut board, q, 10), None);
    assert_eq!(board.next_wake(), Some(at(30)));
    assert_eq!(board.lapsed(at(30)), Some(fence));
    end(&mut board, fence, &Outcome::Done, 30);
    assert_eq!(pulled(&mut board, q, 30), Some(2));
}

#[test]
fn a_suspect_may_be_pulled_and_stays_one_unless_its_consumer_answers() {
    let lapsed = failed(Reason::LeaseExpired);
    for (outcome, stays) in [
        (Outcome::HandedBack(HandedBack::Released), true),
        (lapsed, true),
        (failed(Reason::Retry), false),
    ] {
        let (mut board, ids) = board(&[0, 1]);
        let q = ids[0];
        let suspected = suspect(row(q, 1));
        board.restore(&suspected, at(0));
        let fence = pull(&mut board, suspected, 0, 30);
        board.accept(&row(ids[1], 2), at(0));
        assert_eq!(
            claimed(&mut board, 0),
            Some(2),
            "nothing runs alone outside the host"
        );
        let row = end(&mut board, fence, &outcome, 1).unwrap();
        assert_eq!(row.suspect, stays, "{outcome:?}");
    }
}

#[test]
fn a_message_that_cannot_be_read_is_lost_without_a_trace() {
    let (mut board, ids) = board(&[0]);
    let q = ids[0];
    board.accept(&grouped(q, 1, 7), at(0));
    board.accept(&grouped(q, 2, 7), at(0));
    let fence = pull(&mut board, grouped(q, 1, 7), 0, 30);
    board.lose(fence, at(0)).unwrap();
    assert_eq!(board.lose(fence, at(0)), Err(LeaseLost));
    let claim = board.claim_pulled(q, at(0)).unwrap();
    board.abandon(claim, &grouped(q, 2, 7), at(0));
    let view = board.view(q, at(0));
    assert_eq!(
        (view.depths, view.pulled, board.next_wake()),
        (Depths::default(), 0, None)
    );
}

#[test]
fn a_lease_keeps_the_id_of_its_message() {
    let one = terms(5, 1, 2);
    assert_eq!(one.id.sequence(), 5);
    assert_ne!(one.id, MessageId::from_bytes([0; 16]));
}
