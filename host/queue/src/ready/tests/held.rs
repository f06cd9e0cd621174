//! Groups that are held, by hand.

use super::*;

#[test]
fn a_held_group_is_in_no_lane_and_goes_on_in_order_when_it_is_let_go() {
    let mut order = order_of(
        &[in_group(1, 0, 7), in_group(2, 90, 7), in_group(3, 0, 8)],
        0,
    );
    order.hold(7);
    order.admit(in_group(4, 0, 7), at(0));
    assert_eq!(take_all(&mut order, 0), [3]);
    assert_eq!((order.ready(), order.scheduled()), (3, 0));
    assert!(!order.has_turn(&in_group(1, 0, 7)));
    assert_eq!(order.held_between(7, 0, 4).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(order.held_between(7, 4, 4).count(), 0);
    assert!(order.let_go(7, at(0)));
    assert!(!order.let_go(7, at(0)), "it is not held any more");
    assert_eq!(take_all(&mut order, 0), [1]);
    order.leave(1, Some(7), at(0));
    assert_eq!(order.take(at(0)), None, "the second is scheduled");
    assert_eq!(take_all(&mut order, 90), [2]);
}

#[test]
fn what_was_in_flight_when_its_group_was_held_is_not_overtaken_after_it_is_let_go() {
    let mut order = order_of(&[in_group(1, 0, 7), in_group(2, 0, 7)], 0);
    assert_eq!(order.take(at(0)), Some(1));
    order.hold(7);
    assert!(order.let_go(7, at(0)));
    assert_eq!(order.take(at(0)), None, "the first is in flight still");
    order.hold(7);
    order.put_back(in_group(1, 0, 7), at(0));
    assert_eq!(order.take(at(0)), None);
    assert!(order.let_go(7, at(0)));
    assert_eq!(order.take(at(0)), Some(1));
    order.hold(7);
    order.leave(1, Some(7), at(0));
    assert!(order.let_go(7, at(0)));
    assert_eq!(take_all(&mut order, 0), [2]);
}
