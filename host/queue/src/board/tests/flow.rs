//! Rates, limits for each key, and slots in common.

use std::num::NonZeroU32;

use super::*;
use crate::key::{KeyHash, KeySource};
use crate::policy::KeyPolicy;
use crate::rate::Rate;

fn keyed(queue: QueueId, sequence: u64, key: &str) -> Row {
    let mut row = row(queue, sequence);
    row.place.key = Some(KeyHash::of(key));
    row
}

fn limited(rate: Option<Rate>, concurrency: Option<u32>, per_key: Option<Rate>) -> QueuePolicy {
    let key = KeyPolicy {
        source: KeySource::Attribute("tenant".into()),
        concurrency,
        rate: per_key,
    };
    QueuePolicy {
        rate,
        key: Some(key),
        ..policy()
    }
}

fn per_second(count: u32, burst: u32) -> Option<Rate> {
    Some(Rate::new(count, Duration::from_secs(1), Some(burst)))
}

/// Starts what may start, and says what.
fn start_all(board: &mut Board, rows: &[Row], now: u64) -> Vec<Fence> {
    let start = || {
        let claim = board.claim(at(now))?;
        let row = rows.iter().find(|row| row.place.sequence == claim.sequence);
        Some(board.lease(claim, *row.expect("it was accepted")))
    };
    std::iter::from_fn(start).collect()
}

fn sequences(fences: &[Fence]) -> Vec<u64> {
    fences.iter().map(|fence| fence.sequence).collect()
}

#[test]
fn a_rate_of_5_a_second_with_a_burst_of_10_starts_300_to_310_messages_within_60_seconds() {
    let (mut board, ids) = board(&[1000]);
    let q = ids[0];
    board.declare(
        q,
        QueuePolicy {
            rate: per_second(5, 10),
            concurrency: 1000,
            ..policy()
        },
    );
    let rows: Vec<Row> = (0..1000).map(|sequence| row(q, sequence)).collect();
    rows.iter().for_each(|row| board.accept(row, at(0)));
    let (mut now, mut started, mut looks) = (0, 0, 0);
    loop {
        board.advance(at(now));
        for fence in start_all(&mut board, &rows, now) {
            started += 1;
            // What is handed back without being counted took a token all the same.
            let back = Outcome::HandedBack(HandedBack::NoInstance);
            end(&mut board, fence, &back, now);
        }
        looks += 1;
        now = board
            .next_wake()
            .expect("it wakes for the next token")
            .unix_ms();
        if now >= 60_000 {
            break;
        }
    }
    assert!((300..=310).contains(&started), "{started} messages started");
    assert!(
        looks <= 2 * started,
        "{looks} looks: it does not wait, it polls"
    );
}

#[test]
fn a_queue_out_of_tokens_wakes_at_the_next_and_costs_no_attempt() {
    let (mut board, ids) = board(&[9, 9]);
    let q = ids[0];
    board.declare(
        q,
        QueuePolicy {
            rate: per_second(4, 1),
            ..policy()
        },
    );
    let rows = [row(q, 1), row(q, 2), row(ids[1], 3)];
    rows.iter().for_each(|row| board.accept(row, at(0)));
    let started = start_all(&mut board, &rows, 0);
    assert_eq!(sequences(&started), [1, 3], "the other queue goes on");
    let view = board.view(q, at(0));
    assert_eq!(
        (view.gate, view.gate_opens_at),
        (Some(Gate::Rate), Some(at(250)))
    );
    assert_eq!(board.next_wake(), Some(at(250)));
    board.advance(at(249));
    assert_eq!(claimed(&mut board, 249), None);
    board.advance(at(250));
    let fence = start(&mut board, row(q, 2), 250);
    assert_eq!(board.leased(fence).unwrap().counters.attempts, 0);
    assert_eq!(board.next_wake(), None, "nothing waits for the next");
    assert_eq!(board.view(q, at(250)).gate, None);
}

#[test]
fn the_gates_that_count_are_asked_last_and_in_order() {
    let (mut board, ids) = board(&[1]);
    let q = ids[0];
    board.declare(q, limited(per_second(1, 1), Some(1), None));
    board.accept(&keyed(q, 1, "a"), at(0));
    board.accept(&keyed(q, 2, "a"), at(0));
    let fence = start(&mut board, keyed(q, 1, "a"), 0);
    // Its key, the queue and its rate: all are closed.
    assert_eq!(gate(&board, q), Some(Gate::Keys));
    board.accept(&keyed(q, 3, "b"), at(0));
    assert_eq!(gate(&board, q), Some(Gate::Concurrency));
    end(&mut board, fence, &Outcome::Done, 0);
    assert_eq!(gate(&board, q), Some(Gate::Rate));
    assert_eq!(claimed(&mut board, 0), None);
    board.advance(at(1000));
    assert_eq!(
        claimed(&mut board, 1000),
        Some(3),
        "it has waited longer for its turn"
    );
}

#[test]
fn a_rate_that_changes_while_messages_wait_holds_at_once() {
    let (mut board, ids) = board(&[99]);
    let q = ids[0];
    let with = |rate| QueuePolicy { rate, ..policy() };
    board.declare(q, with(Some(Rate::new(1, Duration::from_secs(3600), None))));
    let rows: Vec<Row> = (0..20).map(|sequence| row(q, sequence)).collect();
    rows.iter().for_each(|row| board.accept(row, at(0)));
    assert_eq!(start_all(&mut board, &rows, 0).len(), 1);
    board.declare(q, with(per_second(10, 3)));
    assert_eq!(
        start_all(&mut board, &rows, 0).len(),
        2,
        "one of three is taken"
    );
    assert_eq!(board.next_wake(), Some(at(100)));
    board.declare(q, with(None));
    assert_eq!(start_all(&mut board, &rows, 0).len(), 17);
}

#[test]
fn one_noisy_key_does_not_starve_the_others() {
    let (mut board, ids) = board(&[1]);
    let q = ids[0];
    let noisy = (0..1000).map(|sequence| keyed(q, sequence, "noisy"));
    let mut rows: Vec<Row> = noisy.collect();
    rows.extend((1000..1010).map(|sequence| keyed(q, sequence, &sequence.to_string())));
    rows.iter().for_each(|row| board.accept(row, at(0)));
    let mut quiet = 0;
    for _ in 0..12 {
        let fences = start_all(&mut board, &rows, 0);
        quiet += fences.iter().filter(|fence| fence.sequence >= 1000).count();
        end(&mut board, fences[0], &Outcome::Done, 0);
    }
    assert_eq!(quiet, 10, "each had its turn between two of the noisy one");
}

#[test]
fn at_most_so_many_of_a_key_are_in_flight_and_other_keys_flow() {
    let (mut board, ids) = board(&[99]);
    let q = ids[0];
    board.declare(q, limited(None, Some(2), None));
    let mut rows: Vec<Row> = (0..5).map(|sequence| keyed(q, sequence, "a")).collect();
    rows.extend([keyed(q, 5, "b"), row(q, 6), row(q, 7), row(q, 8)]);
    rows.iter().for_each(|row| board.accept(row, at(0)));
    let started = start_all(&mut board, &rows, 0);
    assert_eq!(sequences(&started), [0, 5, 6, 1, 7], "none is a key, too");
    assert_eq!(gate(&board, q), Some(Gate::Keys));
    assert_eq!(board.next_wake(), None);
    end(&mut board, started[0], &Outcome::Done, 0);
    end(&mut board, started[1], &Outcome::Done, 0);
    assert_eq!(sequences(&start_all(&mut board, &rows, 0)), [2]);
    // A limit that is lifted or put in place counts what is in flight.
    board.declare(q, limited(None, None, None));
    assert_eq!(sequences(&start_all(&mut board, &rows, 0)), [8, 3, 4]);
    board.declare(q, limited(None, Some(4), None));
    let more: Vec<Row> = (20..30).map(|sequence| keyed(q, sequence, "a")).collect();
    more.iter().for_each(|row| board.accept(row, at(0)));
    assert_eq!(start_all(&mut board, &more, 0).len(), 0);
    rows.extend(more);
    end(&mut board, started[3], &Outcome::Done, 0);
    assert_eq!(sequences(&start_all(&mut board, &rows, 0)), [20]);
}

#[test]
fn a_key_out_of_tokens_waits_for_its_own_and_other_keys_flow() {
    let (mut board, ids) = board(&[99]);
    let q = ids[0];
    board.declare(q, limited(None, None, per_second(2, 1)));
    let rows = [
        keyed(q, 1, "a"),
        keyed(q, 2, "a"),
        keyed(q, 3, "b"),
        keyed(q, 4, "a"),
    ];
    rows.iter().for_each(|row| board.accept(row, at(0)));
    assert_eq!(sequences(&start_all(&mut board, &rows, 0)), [1, 3]);
    let view = board.view(q, at(0));
    assert_eq!(
        (view.gate, view.gate_opens_at),
        (Some(Gate::Keys), Some(at(500)))
    );
    for (now, row) in [(500, rows[1]), (1000, rows[3])] {
        assert_eq!(board.next_wake(), Some(at(now)));
        board.advance(at(now - 1));
        assert_eq!(claimed(&mut board, now - 1), None);
        board.advance(at(now));
        start(&mut board, row, now);
    }
    assert_eq!(board.next_wake(), None, "nothing waits");
}

#[test]
fn buckets_that_are_full_again_are_forgotten() {
    let (mut board, ids) = board(&[9999]);
    let q = ids[0];
    let mut policy = limited(None, Some(1), per_second(10, 1));
    policy.concurrency = 9999;
    board.declare(q, policy);
    let rows: Vec<Row> = (0..1000)
        .map(|sequence| keyed(q, sequence, &sequence.to_string()))
        .collect();
    rows.iter().for_each(|row| board.accept(row, at(0)));
    let fences = start_all(&mut board, &rows, 0);
    assert_eq!(fences.len(), 1000);
    for fence in fences {
        end(&mut board, fence, &Outcome::Done, 0);
    }
    board.accept(&keyed(q, 5000, "late"), at(100));
    let left = format!("{:?}", board.queue(q).flow);
    assert!(!left.contains("KeyHash"), "{} bytes of traces", left.len());
}

#[test]
fn queues_of_one_handler_take_turns_at_its_slots() {
    let (mut board, ids) = board(&[9, 9, 9]);
    let slots = |slots| Some(("handler", NonZeroU32::new(slots).unwrap()));
    for queue in &ids[..2] {
        board.share_slots(*queue, slots(2));
    }
    let rows: Vec<Row> = (0..30)
        .map(|sequence| {
            row(
                ids[usize::from(sequence >= 10) + usize::from(sequence >= 20)],
                sequence,
            )
        })
        .collect();
    rows[..21].iter().for_each(|row| board.accept(row, at(0)));
    let started = start_all(&mut board, &rows, 0);
    assert_eq!(
        sequences(&started),
        [0, 10, 20],
        "the third has its own slots"
    );
    assert_eq!(gate(&board, ids[0]), Some(Gate::Concurrency));
    assert_eq!(gate(&board, ids[2]), None);
    // It is always one of the first queue that ends: both go on all the same.
    let (mut ours, mut theirs) = (started[0], started[1]);
    let mut order = Vec::new();
    for _ in 0..6 {
        end(&mut board, ours, &Outcome::Done, 0);
        let next = start_all(&mut board, &rows, 0);
        order.extend(sequences(&next));
        ours = std::mem::replace(&mut theirs, next[0]);
    }
    assert_eq!(order, [1, 11, 2, 12, 3, 13]);
    // Fewer slots: what is in flight goes on. More: at once.
    board.share_slots(ids[0], slots(1));
    end(&mut board, ours, &Outcome::Done, 0);
    assert_eq!(claimed(&mut board, 0), None);
    board.share_slots(ids[0], slots(3));
    assert_eq!(start_all(&mut board, &rows, 0).len(), 2);
    board.share_slots(ids[0], None);
    assert!(
        start_all(&mut board, &rows, 0).len() >= 3,
        "its own slots are all that counts"
    );
}

#[test]
fn a_queue_of_a_handler_that_cannot_start_holds_up_no_other() {
    let (mut board, ids) = board(&[9, 9, 9]);
    for queue in &ids {
        board.share_slots(*queue, Some(("handler", NonZeroU32::MIN)));
    }
    let rows: Vec<Row> = (0..3)
        .map(|sequence| row(ids[sequence], sequence as u64))
        .collect();
    rows.iter().for_each(|row| board.accept(row, at(0)));
    let started = start_all(&mut board, &rows, 0);
    assert_eq!(sequences(&started), [0]);
    board.set_paused(ids[1], true);
    end(&mut board, started[0], &Outcome::Done, 0);
    let started = start_all(&mut board, &rows, 0);
    assert_eq!(sequences(&started), [2]);
    board.set_paused(ids[1], false);
    assert_eq!(claimed(&mut board, 0), None);
    end(&mut board, started[0], &Outcome::Done, 0);
    assert_eq!(claimed(&mut board, 0), Some(1));
}

#[test]
fn a_suspect_without_a_token_holds_nobody_up_and_has_the_first_one() {
    let (mut board, ids) = board(&[9, 9]);
    let q = ids[0];
    board.declare(
        q,
        QueuePolicy {
            rate: per_second(1, 1),
            ..policy()
        },
    );
    let rows = [row(q, 1), row(q, 2), row(ids[1], 3)];
    board.accept(&rows[0], at(0));
    start_all(&mut board, &rows, 0);
    board.restore(&suspect(rows[1]), at(0));
    board.accept(&keyed(q, 4, "a"), at(0));
    board.accept(&rows[2], at(0));
    let fences = start_all(&mut board, &rows, 0);
    assert_eq!(sequences(&fences), [3]);
    assert_eq!(board.next_wake(), Some(at(1000)));
    board.advance(at(1000));
    assert_eq!(
        claimed(&mut board, 1000),
        None,
        "it waits until it is alone"
    );
    let held: Vec<Fence> = board.leases().map(|(fence, _)| fence).collect();
    for fence in held {
        end(&mut board, fence, &Outcome::Done, 1000);
    }
    let claim = board.claim(at(1000)).unwrap();
    assert_eq!((claim.sequence, claim.alone), (2, true));
}
