//! Keys take turns.

use super::*;

#[test]
fn keys_take_turns_and_within_a_key_the_oldest_goes_first() {
    let noisy = (0..5).map(|sequence| of_key(sequence, 0, "noisy"));
    let quiet = [of_key(5, 0, "a"), of_key(6, 0, "b"), of_key(7, 0, "a")];
    // Those without a key are of one key together.
    let none = [place(8, 0), place(9, 0)];
    let all: Vec<Place> = noisy.chain(quiet).chain(none).collect();
    let mut order = order_of(&all, 0);
    let waiting: Vec<u64> = order.waiting().collect();
    assert_eq!(waiting, [0, 5, 6, 8, 1, 7, 9, 2, 3, 4]);
    assert_eq!(take_all(&mut order, 0), waiting);
}

#[test]
fn a_key_that_comes_anew_waits_for_the_turns_of_all_others() {
    let mut order = order_of(
        &[of_key(1, 0, "a"), of_key(2, 0, "a"), of_key(3, 0, "b")],
        0,
    );
    assert_eq!(order.take(at(0)), Some(1));
    order.admit(of_key(4, 0, "c"), at(0));
    order.admit(of_key(5, 0, "b"), at(0));
    assert_eq!(take_all(&mut order, 0), [3, 2, 4, 5]);
}

#[test]
fn keys_take_turns_within_a_priority_and_higher_ones_go_first() {
    let urgent = |sequence, key| Place {
        priority: Priority::new(9).unwrap(),
        ..of_key(sequence, 0, key)
    };
    let mut order = order_of(
        &[
            of_key(1, 0, "a"),
            of_key(2, 0, "b"),
            urgent(3, "a"),
            urgent(4, "a"),
            urgent(5, "b"),
        ],
        0,
    );
    assert_eq!(take_all(&mut order, 0), [3, 5, 4, 1, 2]);
}

#[test]
fn a_parked_key_is_passed_over_and_comes_back_at_the_end() {
    let mut order = order_of(
        &[
            of_key(1, 0, "a"),
            of_key(2, 0, "b"),
            of_key(3, 0, "b"),
            place(4, 0),
            place(5, 0),
        ],
        0,
    );
    let a = Some(KeyHash::of("a"));
    order.park(a);
    order.park(None);
    order.admit(of_key(6, 0, "a"), at(0));
    assert_eq!(
        (order.ready(), order.closed(), order.is_ready()),
        (6, 4, true)
    );
    assert_eq!(order.take(at(0)), Some(2));
    order.unpark(a);
    assert_eq!(take_all(&mut order, 0), [3, 1, 6]);
    assert!(!order.is_ready() && order.ready() == 2, "the rest waits");
    order.unpark(None);
    assert_eq!(take_all(&mut order, 0), [4, 5]);
    assert_eq!((order.ready(), order.closed()), (0, 0));
}

#[test]
fn a_key_keeps_its_turn_when_one_message_takes_the_place_of_another() {
    let first = |group| Place {
        key: Some(KeyHash::of("a")),
        ..group
    };
    let mut order = order_of(
        &[
            first(in_group(1, 0, 7)),
            first(in_group(2, 0, 7)),
            of_key(3, 0, "b"),
        ],
        0,
    );
    assert!(order.remove(&first(in_group(1, 0, 7))));
    order.leave(1, Some(7), at(0));
    assert_eq!(take_all(&mut order, 0), [2, 3]);
}

/// Keys come and go; only those with messages are kept.
#[test]
fn a_million_empty_keys_cost_nothing() {
    let mut order = ReadyOrder::default();
    for sequence in 0..100_000 {
        order.admit(of_key(sequence, 0, &sequence.to_string()), at(0));
        assert_eq!(order.take(at(0)), Some(sequence));
    }
    let left = format!("{order:?}");
    assert!(left.len() < 5000, "{} bytes of traces", left.len());
}
