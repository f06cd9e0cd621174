//! Messages that keep losing to their neighbours.

use super::*;

#[test]
fn after_too_many_conflicts_a_message_runs_with_no_other_of_its_queue() {
    let (mut board, ids) = board(&[3, 1]);
    let q = ids[0];
    for sequence in 1..=4 {
        board.accept(&row(q, sequence), at(0));
    }
    let conflict = Outcome::HandedBack(HandedBack::Conflict);
    let first = start(&mut board, row(q, 1), 0);
    let neighbour = start(&mut board, row(q, 2), 0);
    end(&mut board, first, &conflict, 0);
    for conflicts in 1..=limits::MAX_CONFLICTS {
        let claim = board.claim(at(0)).unwrap();
        assert_eq!((claim.sequence, claim.conflicts), (1, conflicts));
        let fence = board.lease(claim, row(q, 1));
        end(&mut board, fence, &conflict, 0);
    }
    // Its neighbour ends first. Meanwhile nothing of the queue starts, but others go on.
    assert_eq!(board.view(q, at(0)).depths.ready, 3);
    assert_eq!(claimed(&mut board, 0), None);
    board.accept(&row(ids[1], 9), at(0));
    assert_eq!(claimed(&mut board, 0), Some(9));
    end(&mut board, neighbour, &Outcome::Done, 0);
    let claim = board.claim(at(0)).unwrap();
    assert_eq!(claim.sequence, 1);
    assert!(!claim.alone && claim.conflicts > limits::MAX_CONFLICTS);
    assert_eq!(claimed(&mut board, 0), None, "nothing starts beside it");
    assert_eq!(gate(&board, q), Some(Gate::Concurrency));
    let fence = board.lease(claim, row(q, 1));
    end(&mut board, fence, &failed(Reason::Retry), 0);
    assert_eq!(claimed(&mut board, 0), Some(3));
    assert_eq!(
        claimed(&mut board, 0),
        Some(4),
        "the conflicts are forgotten"
    );
}

#[test]
fn a_message_that_waits_to_run_serially_can_be_purged_and_expires() {
    for purge in [true, false] {
        let (mut board, ids) = board(&[2]);
        let stubborn = expiring(ids[0], 1, 50);
        board.accept(&stubborn, at(0));
        board.accept(&row(ids[0], 2), at(0));
        let mut fence = start(&mut board, stubborn, 0);
        let _neighbour = start(&mut board, row(ids[0], 2), 0);
        for _ in 0..=limits::MAX_CONFLICTS {
            end(
                &mut board,
                fence,
                &Outcome::HandedBack(HandedBack::Conflict),
                0,
            );
            if let Some(claim) = board.claim(at(0)) {
                fence = board.lease(claim, stubborn);
            }
        }
        assert_eq!(board.view(ids[0], at(0)).depths.ready, 1);
        let why = if purge {
            Removal::Purged
        } else {
            Removal::ExpiredToDead
        };
        assert_eq!(board.expired(at(50)), Some(1));
        board.remove(&stubborn, why, at(50));
        let depths = board.view(ids[0], at(50)).depths;
        assert_eq!((depths.ready, depths.in_flight, depths.bytes), (0, 1, 10));
        assert!(board.conflicts.is_empty());
    }
}
