//! What a death brings to its group.

use super::*;
use crate::policy::OnGroupFailure;

const G: u64 = 7;

/// A queue of that policy in which messages 1 to 4 of a group wait, and 5 of none.
fn board(on_group_failure: OnGroupFailure) -> (Board, QueueId) {
    let mut board = Board::new(1);
    let queue = board.add_queue(QueueName::new("q").unwrap(), false, 0);
    let policy = QueuePolicy {
        on_group_failure,
        ..policy()
    };
    board.declare(queue, policy);
    board.set_slots(queue, 10);
    for sequence in 1..=4 {
        board.accept(&grouped(queue, sequence, G), at(0));
    }
    board.accept(&row(queue, 5), at(0));
    (board, queue)
}

fn starting(board: &mut Board) -> Vec<u64> {
    std::iter::from_fn(|| board.claim(at(0)).map(|claim| claim.sequence)).collect()
}

/// The message waits, and dies as the store lets it die.
fn die(board: &mut Board, row: &Row) -> GroupDeath {
    let death = board.group_death(row, 6);
    board.remove(row, Removal::ExpiredToDead, at(0));
    death
}

#[test]
fn after_a_skip_the_next_has_its_turn_and_it_is_counted() {
    let (mut board, queue) = board(OnGroupFailure::Skip);
    assert_eq!(die(&mut board, &grouped(queue, 1, G)), GroupDeath::GoesOn);
    assert_eq!(board.view(queue, at(0)).totals.groups_skipped, 1);
    assert_eq!(
        board.group_death(&row(queue, 5), 6),
        GroupDeath::GoesOn,
        "of no group"
    );
    assert_eq!(board.view(queue, at(0)).totals.groups_skipped, 1);
    assert_eq!(starting(&mut board), [2, 5]);
}

#[test]
fn a_halted_group_starts_nothing_until_it_is_resumed_and_others_do() {
    let (mut board, queue) = board(OnGroupFailure::Halt);
    assert_eq!(die(&mut board, &grouped(queue, 1, G)), GroupDeath::Halted);
    assert_eq!(
        die(&mut board, &grouped(queue, 3, G)),
        GroupDeath::GoesOn,
        "it is halted already"
    );
    assert_eq!(starting(&mut board), [5]);
    assert_eq!(board.view(queue, at(0)).halted_groups, 1);
    assert_eq!(board.halted(queue, None).collect::<Vec<_>>(), [(G, 2)]);
    assert_eq!(board.halted(queue, Some(G)).count(), 0);
    board.declare(queue, policy());
    assert_eq!(
        starting(&mut board),
        [],
        "another policy does not resume what is halted"
    );
    assert!(board.resume_group(queue, G, at(0)));
    assert!(!board.resume_group(queue, G, at(0)));
    assert_eq!(starting(&mut board), [2]);
    assert_eq!(board.view(queue, at(0)).halted_groups, 0);
}

#[test]
fn all_that_waits_behind_is_doomed_and_what_is_sent_later_is_not() {
    let (mut board, queue) = board(OnGroupFailure::DeadLetterRest);
    let doomed = Doomed {
        after: 2,
        before: 6,
    };
    // Not the head: the one before it is not behind it.
    assert_eq!(
        die(&mut board, &grouped(queue, 2, G)),
        GroupDeath::Doomed(doomed)
    );
    board.accept(&grouped(queue, 6, G), at(0));
    assert_eq!(starting(&mut board), [5]);
    assert_eq!(board.next_doomed(), Some((queue, G)));
    assert_eq!(board.doomed(queue, G, 1), [3]);
    assert_eq!(board.doomed(queue, G, 9), [3, 4]);
    for sequence in [3, 4] {
        let row = grouped(queue, sequence, G);
        board.remove(&row, Removal::GroupFailed, at(0));
    }
    board.end_doom(queue, G, at(0));
    assert_eq!(board.next_doomed(), None);
    let view = board.view(queue, at(0));
    assert_eq!((view.totals.died, view.depths.dead), (3, 3));
    assert_eq!(starting(&mut board), [1], "and 6 when that has ended");
}

#[test]
fn a_group_that_is_doomed_and_halted_stays_halted_when_its_rest_is_dead() {
    let (mut board, queue) = board(OnGroupFailure::DeadLetterRest);
    die(&mut board, &grouped(queue, 3, G));
    board.halt_group(queue, G);
    let earlier = Doomed {
        after: 1,
        before: 3,
    };
    let both = Doomed {
        after: 1,
        before: 6,
    };
    assert_eq!(board.doom_group(queue, G, earlier), both);
    assert_eq!(board.doomed(queue, G, 9), [2, 4]);
    for sequence in [2, 4] {
        let row = grouped(queue, sequence, G);
        board.remove(&row, Removal::GroupFailed, at(0));
    }
    board.end_doom(queue, G, at(0));
    assert_eq!(starting(&mut board), [5]);
    assert!(board.resume_group(queue, G, at(0)));
    assert_eq!(starting(&mut board), [1]);
}
