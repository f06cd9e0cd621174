//! Messages that were being handled when the host died: alone, in turn, charged and refunded.

use super::*;

#[test]
fn suspects_run_alone_and_before_all_others() {
    let (mut board, ids) = board(&[9, 9]);
    board.restore(&row(ids[0], 1), at(0));
    board.restore(&suspect(row(ids[0], 2)), at(0));
    board.restore(&suspect(row(ids[1], 3)), at(0));
    for (queue, sequence) in [(ids[0], 2), (ids[1], 3)] {
        let claim = board.claim(at(0)).unwrap();
        assert_eq!((claim.sequence, claim.alone), (sequence, true));
        assert_eq!(claimed(&mut board, 0), None);
        let fence = board.lease(claim, suspect(row(queue, sequence)));
        assert_eq!(claimed(&mut board, 0), None);
        end(&mut board, fence, &Outcome::Done, 0);
    }
    let claim = board.claim(at(0)).unwrap();
    assert_eq!((claim.sequence, claim.alone), (1, false));
}

#[test]
fn a_suspect_that_cannot_run_holds_nobody_up() {
    let (mut board, ids) = board(&[9, 0]);
    board.restore(&row(ids[0], 1), at(0));
    board.restore(&row(ids[0], 2), at(0));
    board.restore(&suspect(row(ids[1], 3)), at(0));
    let fence = start(&mut board, row(ids[0], 1), 0);
    // Its handler appears: what runs ends, nothing else starts, then it runs.
    board.set_slots(ids[1], 1);
    assert_eq!(claimed(&mut board, 0), None);
    assert_eq!(gate(&board, ids[0]), Some(Gate::Suspects));
    end(&mut board, fence, &Outcome::Done, 0);
    let fence = start(&mut board, suspect(row(ids[1], 3)), 0);
    end(&mut board, fence, &failed(Reason::Trap), 0);
    assert_eq!(claimed(&mut board, 0), Some(2));
    // It backs off as a message like any other now.
    board.advance(at(5000));
    let claim = board.claim(at(5000)).unwrap();
    assert_eq!((claim.sequence, claim.alone), (3, false));
}

#[test]
fn a_suspect_waits_for_its_turn_in_its_group_and_may_be_purged() {
    let (mut board, ids) = board(&[9]);
    let second = suspect(grouped(ids[0], 2, 7));
    board.restore(&second, at(0));
    board.restore(&suspect(grouped(ids[0], 4, 8)), at(0));
    board.restore(&grouped(ids[0], 1, 7), at(0));
    board.remove(&suspect(grouped(ids[0], 4, 8)), Removal::Purged, at(0));
    let first = board.claim(at(0)).unwrap();
    assert_eq!((first.sequence, first.alone), (1, false));
    let fence = board.lease(first, grouped(ids[0], 1, 7));
    end(&mut board, fence, &Outcome::Done, 0);
    let claim = board.claim(at(0)).unwrap();
    assert_eq!((claim.sequence, claim.alone), (2, true));
}

#[test]
fn a_suspect_that_survives_is_refunded_before_its_outcome_is_settled() {
    let before = Counters {
        attempts: 4,
        postponed: 2,
        crashes: 1,
        redriven: 1,
    };
    let charged = suspect(Row {
        counters: before,
        ..row(QueueId(0), 1)
    });
    assert_eq!(
        (charged.counters.attempts, charged.counters.crashes),
        (5, 2)
    );
    let counted = Counters {
        attempts: 5,
        ..before
    };
    let postponed = Counters {
        postponed: 3,
        ..before
    };
    let shown = |back| Outcome::HandedBack(back);
    let table = [
        (failed(Reason::Trap), counted, false),
        (failed(Reason::Deadline), counted, false),
        (
            Outcome::Postponed {
                delay: Duration::ZERO,
            },
            postponed,
            false,
        ),
        (shown(HandedBack::Conflict), before, false),
        (shown(HandedBack::DestinationFull), before, false),
        (shown(HandedBack::ReusedInstance), before, false),
        (shown(HandedBack::BatchFailed), before, false),
        // Cut short from outside or never begun: nothing is proven.
        (shown(HandedBack::Shutdown), charged.counters, true),
        (shown(HandedBack::Reload), charged.counters, true),
        (shown(HandedBack::NoInstance), charged.counters, true),
        (shown(HandedBack::Released), charged.counters, true),
    ];
    for (outcome, counters, still) in table {
        let settlement = charged.settle(&policy(), &outcome, at(9), Roll::new(0.5));
        let after = charged.after(&outcome, &settlement).expect("it stays");
        assert_eq!(
            (after.counters, after.suspect),
            (counters, still),
            "{outcome:?}"
        );
    }
    let rejected = Outcome::Rejected {
        error: String::new(),
    };
    let dead = charged.settle(&policy(), &rejected, at(9), Roll::new(0.5));
    let reason = Reason::Rejected;
    assert_eq!(
        dead,
        Settlement::Dead {
            reason,
            counters: counted
        }
    );
    assert_eq!(charged.after(&rejected, &dead), None);
}

#[test]
fn a_provisional_charge_never_kills_and_a_certain_one_does() {
    let last_chance = |crashes, attempts| Row {
        counters: Counters {
            attempts,
            crashes,
            ..Counters::default()
        },
        ..row(QueueId(0), 1)
    };
    // The tenth of ten attempts was under way, among others.
    let charged = suspect(last_chance(0, 9));
    assert_eq!(charged.counters.attempts, 10);
    let survived = charged.settle(&policy(), &failed(Reason::Trap), at(0), Roll::new(0.5));
    assert!(
        matches!(survived, Settlement::Dead { reason: Reason::Trap, counters } if counters.attempts == 10)
    );
    let again = charged.after_crash(&policy(), at(0));
    assert!(matches!(
        again,
        AfterCrash::Settle(Settlement::Dead {
            reason: Reason::HostCrash,
            ..
        })
    ));
    // Alone again and again.
    let mut row = suspect(last_chance(0, 0));
    for crashes in 2..=limits::MAX_CRASHES {
        let AfterCrash::RunAlone(next) = row.after_crash(&policy(), at(0)) else {
            panic!("{crashes} crashes are not too many");
        };
        assert_eq!((next.counters.crashes, next.suspect), (crashes, true));
        row = next;
    }
    assert!(matches!(
        row.after_crash(&policy(), at(0)),
        AfterCrash::Settle(Settlement::Dead {
            reason: Reason::HostCrash,
            ..
        })
    ));
}

#[test]
fn a_suspect_that_was_cut_short_stays_one_and_others_of_them_go_first() {
    let (mut board, ids) = board(&[9]);
    let rows = [suspect(row(ids[0], 1)), suspect(row(ids[0], 2))];
    rows.iter().for_each(|row| board.restore(row, at(0)));
    let fence = start(&mut board, rows[0], 0);
    let stays = end(
        &mut board,
        fence,
        &Outcome::HandedBack(HandedBack::Reload),
        0,
    );
    assert_eq!(stays, Some(rows[0]));
    for row in [rows[1], rows[0]] {
        let claim = board.claim(at(0)).unwrap();
        assert_eq!((claim.sequence, claim.alone), (row.place.sequence, true));
        let fence = board.lease(claim, row);
        end(&mut board, fence, &Outcome::Done, 0);
    }
}
