//! Several messages of one group in flight together, by hand.

use super::*;

/// Three messages of a group, of which the first two are in flight together.
fn two_out() -> ReadyOrder {
    let waiting = [in_group(1, 0, 7), in_group(2, 0, 7), in_group(3, 0, 7)];
    let mut order = order_of(&waiting, 0);
    assert_eq!(order.take(at(0)), Some(1));
    let next = order.peek_behind(7, at(0)).map(|next| next.sequence);
    assert_eq!((next, order.take_behind(7)), (Some(2), Some(2)));
    order
}

#[test]
fn the_group_stays_closed_until_the_last_has_landed_whichever_that_is() {
    for (first, last) in [(1, 2), (2, 1)] {
        let mut order = two_out();
        assert_eq!((order.ready(), order.is_ready()), (1, false));
        order.leave(first, Some(7), at(0));
        assert_eq!(order.take(at(0)), None, "{last} is in flight still");
        order.leave(last, Some(7), at(0));
        assert_eq!(take_all(&mut order, 0), [3]);
    }
}

#[test]
fn what_comes_back_early_is_the_next_of_its_group() {
    for (first, last) in [(1, 2), (2, 1)] {
        let mut order = two_out();
        order.put_back(in_group(first, 0, 7), at(0));
        assert_eq!(order.take(at(0)), None, "{last} is in flight still");
        order.leave(last, Some(7), at(0));
        assert_eq!(take_all(&mut order, 0), [first]);
        order.leave(first, Some(7), at(0));
        assert_eq!(take_all(&mut order, 0), [3]);
    }
}

#[test]
fn what_comes_back_keeps_the_order_of_acceptance_and_its_wait() {
    let mut order = two_out();
    order.put_back(in_group(2, 50, 7), at(0));
    order.put_back(in_group(1, 20, 7), at(0));
    assert_eq!(order.take(at(19)), None);
    assert_eq!(order.take(at(50)), Some(1));
    order.leave(1, Some(7), at(50));
    assert_eq!(take_all(&mut order, 50), [2]);
}

#[test]
fn only_what_is_due_and_of_a_key_that_has_turns_is_taken_along() {
    let key = Some(KeyHash::of("k"));
    let of_key = Place {
        key,
        ..in_group(2, 0, 7)
    };
    let mut order = order_of(&[in_group(1, 0, 7), of_key, in_group(3, 9, 7)], 0);
    order.take(at(0));
    order.park(key);
    assert_eq!(order.peek_behind(7, at(0)), None, "its key is parked");
    order.unpark(key);
    assert!(order.peek_behind(7, at(0)).is_some());
    order.take_behind(7);
    assert_eq!(order.peek_behind(7, at(8)), None, "it is not due");
    assert!(order.peek_behind(7, at(9)).is_some());
    assert_eq!(order.peek_behind(8, at(9)), None, "no such group");
}

#[test]
fn a_group_that_is_held_meanwhile_waits_for_all_that_are_in_flight() {
    let mut order = two_out();
    order.hold(7);
    order.put_back(in_group(1, 0, 7), at(0));
    assert!(order.let_go(7, at(0)));
    assert_eq!(order.take(at(0)), None, "the second is in flight still");
    order.leave(2, Some(7), at(0));
    assert_eq!(take_all(&mut order, 0), [1]);
}

#[test]
fn what_is_in_flight_since_before_a_start_keeps_its_group_closed() {
    let mut order = ReadyOrder::default();
    order.hold(8);
    for place in [in_group(2, 0, 7), in_group(4, 0, 7), in_group(5, 0, 8)] {
        order.admit_in_flight(&place);
    }
    for place in [in_group(1, 0, 7), in_group(3, 0, 7), in_group(6, 0, 8)] {
        order.admit(place, at(0));
    }
    order.let_go(8, at(0));
    assert_eq!(order.take(at(0)), None);
    for sequence in [2, 4] {
        assert_eq!(order.take(at(0)), None);
        order.leave(sequence, Some(7), at(0));
    }
    assert_eq!(take_all(&mut order, 0), [1]);
    order.put_back(in_group(5, 0, 8), at(0));
    assert_eq!(take_all(&mut order, 0), [5]);
}

#[test]
fn one_that_is_lost_in_flight_leaves_no_trace() {
    for lost in [1, 2] {
        let mut order = two_out();
        assert!(order.evict(lost, at(0)));
        order.leave(3 - lost, Some(7), at(0));
        assert_eq!(take_all(&mut order, 0), [3]);
    }
}
