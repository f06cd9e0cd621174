//! What a full queue drops.

use super::*;
use crate::policy::OnFull;

fn dropping() -> QueuePolicy {
    QueuePolicy {
        max_messages: Some(3),
        max_bytes: Some(40),
        on_full: OnFull::DropOldest,
        ..policy()
    }
}

#[test]
fn a_full_queue_drops_its_oldest_that_wait_and_none_in_flight() {
    let mut board = Board::new(1);
    let queue = board.add_queue(QueueName::new("q").unwrap(), false, 0);
    board.declare(queue, dropping());
    board.set_slots(queue, 1);
    for sequence in 1..=3 {
        // The first is accepted last: it goes by acceptance, not by number.
        let mut row = row(queue, sequence);
        row.place.ordinal = 10 + sequence % 3;
        board.accept(&row, at(0));
    }
    assert_eq!(board.to_drop(queue, 1, 10), [3]);
    assert_eq!(board.to_drop(queue, 2, 20), [3, 1]);
    assert_eq!(board.to_drop(queue, 1, 30), [3, 1], "for its size");
    assert_eq!(board.check_room(queue, 3, 40), Ok(()));
    assert!(board.check_room(queue, 4, 40).is_err());
    assert!(board.check_room(queue, 1, 41).is_err());
    let mut first = row(queue, 1);
    first.place.ordinal = 11;
    let claim = board.claim(at(0)).unwrap();
    assert_eq!(claim.sequence, 1);
    board.lease(claim, first);
    assert_eq!(board.to_drop(queue, 1, 10), [3]);
    assert_eq!(board.to_drop(queue, 2, 20), [3, 2]);
    assert!(board.check_room(queue, 3, 30).is_err(), "it is in flight");
    let mut third = row(queue, 3);
    third.place.ordinal = 10;
    board.remove(&third, Removal::Dropped, at(0));
    assert_eq!(board.view(queue, at(0)).totals.dropped, 1);
    assert_eq!(board.to_drop(queue, 1, 10), []);
}

#[test]
fn nothing_is_dropped_before_all_ages_are_known() {
    let mut board = Board::new(1);
    let queue = board.add_queue(QueueName::new("q").unwrap(), false, 0);
    board.declare(queue, policy());
    for sequence in 1..=3 {
        board.accept(&row(queue, sequence), at(0));
    }
    board.declare(queue, dropping());
    assert!(board.check_room(queue, 1, 10).is_err());
    let mut unaged = board.take_unaged(queue, 2);
    for &sequence in &unaged {
        board.note_age(&row(queue, sequence));
    }
    assert!(board.check_room(queue, 1, 10).is_err());
    let rest = board.take_unaged(queue, 2);
    for &sequence in &rest {
        board.note_age(&row(queue, sequence));
    }
    unaged.extend(rest);
    unaged.sort_unstable();
    assert_eq!(unaged, [1, 2, 3]);
    assert_eq!(board.check_room(queue, 1, 10), Ok(()));
    assert_eq!(board.to_drop(queue, 1, 10), [1]);
    board.declare(queue, policy());
    assert_eq!(board.to_drop(queue, 1, 10), []);
}
