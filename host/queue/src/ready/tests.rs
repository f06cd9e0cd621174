//! The order by hand; in [`model`] operations at random.

use super::*;

mod held;
mod keys;
mod model;
mod together;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn place(sequence: u64, due: u64) -> Place {
    Place {
        sequence,
        due: at(due),
        priority: Priority::DEFAULT,
        group: None,
        key: None,
        ordinal: sequence,
    }
}

fn in_group(sequence: u64, due: u64, group: u64) -> Place {
    Place {
        group: Some(group),
        ..place(sequence, due)
    }
}

fn of_key(sequence: u64, due: u64, key: &str) -> Place {
    Place {
        key: Some(KeyHash::of(key)),
        ..place(sequence, due)
    }
}

fn order_of(places: &[Place], now: u64) -> ReadyOrder {
    let mut order = ReadyOrder::default();
    for place in places {
        order.admit(*place, at(now));
    }
    order
}

fn take_all(order: &mut ReadyOrder, now: u64) -> Vec<u64> {
    std::iter::from_fn(|| order.take(at(now))).collect()
}

#[test]
fn the_oldest_due_goes_first_and_priority_before_age() {
    let urgent = Place {
        priority: Priority::new(9).unwrap(),
        ..place(4, 30)
    };
    let idle = Place {
        priority: Priority::new(0).unwrap(),
        ..place(5, 1)
    };
    let mut order = order_of(
        &[place(1, 20), place(2, 10), place(3, 10), urgent, idle],
        30,
    );
    assert_eq!(take_all(&mut order, 30), [4, 2, 3, 1, 5]);
    assert_eq!((order.ready(), order.scheduled()), (0, 0));
}

#[test]
fn nothing_short_waits_behind_something_long() {
    let mut order = order_of(&[place(1, 1000), place(2, 50), place(3, 0)], 0);
    assert_eq!(take_all(&mut order, 0), [3]);
    assert_eq!(order.next_due(), Some(at(50)));
    assert_eq!(order.take(at(49)), None);
    assert_eq!(take_all(&mut order, 50), [2]);
    assert_eq!(take_all(&mut order, 1000), [1]);
    assert_eq!(order.next_due(), None);
}

#[test]
fn the_head_blocks_its_group_and_no_other() {
    let mut order = order_of(
        &[in_group(1, 0, 7), in_group(2, 0, 7), in_group(3, 0, 8)],
        0,
    );
    assert_eq!(take_all(&mut order, 0), [1, 3]);
    assert_eq!(order.ready(), 1);
    // It backs off: the group waits with it.
    order.put_back(in_group(1, 500, 7), at(0));
    assert_eq!(take_all(&mut order, 499), []);
    assert_eq!(take_all(&mut order, 500), [1]);
    order.leave(1, Some(7), at(500));
    assert_eq!(take_all(&mut order, 500), [2]);
}

#[test]
fn a_head_that_is_removed_gives_its_turn_away() {
    let mut order = order_of(
        &[in_group(1, 900, 7), in_group(2, 0, 7), in_group(3, 0, 7)],
        0,
    );
    assert!(order.remove(&in_group(2, 0, 7)), "behind the head");
    order.leave(2, Some(7), at(0));
    assert_eq!(order.take(at(0)), None, "the head is scheduled still");
    assert!(order.remove(&in_group(1, 900, 7)), "the head");
    order.leave(1, Some(7), at(0));
    assert_eq!(take_all(&mut order, 0), [3]);
    order.leave(3, Some(7), at(0));
    assert!(order.groups.is_empty(), "an empty group costs nothing");
}

#[test]
fn an_older_message_goes_before_a_waiting_head_but_not_before_one_in_flight() {
    let mut order = order_of(&[in_group(5, 0, 7)], 0);
    order.admit(in_group(3, 0, 7), at(0));
    assert_eq!(order.take(at(0)), Some(3), "it came later, but is older");
    order.admit(in_group(2, 0, 7), at(0));
    assert_eq!(order.take(at(0)), None, "one of the group is in flight");
    order.put_back(in_group(3, 0, 7), at(0));
    assert_eq!(order.take(at(0)), Some(2));
    order.leave(2, Some(7), at(0));
    assert_eq!(order.take(at(0)), Some(3));
    order.leave(3, Some(7), at(0));
    assert_eq!(order.take(at(0)), Some(5));
}

#[test]
fn moving_inside_a_group_changes_when_its_head_is_due_and_never_the_order() {
    let mut order = order_of(&[in_group(1, 900, 7), in_group(2, 0, 7)], 0);
    assert!(order.reschedule(&in_group(2, 0, 7), at(5), at(0)));
    assert_eq!(
        order.take(at(5)),
        None,
        "it waits behind the head all the same"
    );
    assert!(order.reschedule(&in_group(1, 900, 7), at(10), at(5)));
    assert_eq!((order.take(at(9)), order.next_due()), (None, Some(at(10))));
    assert_eq!(order.take(at(10)), Some(1));
    order.leave(1, Some(7), at(10));
    assert_eq!(order.take(at(10)), Some(2));
}

/// A trace of the first removal must not be taken for the second.
#[test]
fn what_is_taken_out_and_comes_back_twice_is_delivered_once() {
    let mut order = order_of(&[place(1, 0), place(2, 0), place(3, 0)], 0);
    for _ in 0..3 {
        assert!(order.remove(&place(2, 0)));
        assert!(!order.remove(&place(2, 0)), "it is out already");
        order.admit(place(2, 0), at(0));
    }
    assert!(order.remove(&place(2, 0)));
    assert_eq!(order.ready(), 2);
    order.admit(place(2, 0), at(0));
    assert_eq!(take_all(&mut order, 0), [1, 2, 3]);
    assert_eq!(order.ready(), 0);
}

/// Expired messages behind one that waits for ever must not add up.
#[test]
fn a_lane_forgets_what_was_struck_out() {
    let mut order = order_of(&[place(0, 0)], 0);
    for sequence in 1..100_000 {
        order.admit(place(sequence, sequence), at(sequence));
        if sequence > 2 {
            assert!(order.remove(&place(sequence - 1, sequence - 1)));
        }
    }
    let lane = order.turns[4].plain();
    lane.check_invariants();
    assert_eq!(order.ready(), 3);
    let cost = format!("{lane:?}").matches("Entry").count();
    assert!(cost < 200, "{cost} entries are kept for 3 messages");
}
