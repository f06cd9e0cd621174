//! Operations at random against a plain list, and the cases by hand.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

mod held;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn place(sequence: u64, due: u64) -> Place {
    Place {
        sequence,
        due: at(due),
        priority: Priority::DEFAULT,
        group: None,
        ordinal: sequence,
    }
}

fn in_group(sequence: u64, due: u64, group: u64) -> Place {
    Place {
        group: Some(group),
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
    let lane = &order.lanes[4];
    lane.check_invariants();
    assert_eq!(order.ready(), 3);
    let cost = format!("{lane:?}").matches("Entry").count();
    assert!(cost < 200, "{cost} entries are kept for 3 messages");
}

#[derive(Clone, Debug)]
enum Op {
    Admit {
        sequence: u64,
        ordinal: u64,
        delay: u64,
        priority: u8,
        group: Option<u64>,
    },
    Take,
    PutBack(Index, u64),
    Leave(Index),
    Remove(Index),
    Withdraw(Index),
    Evict(Index),
    Move(Index, u64),
    Hold(u64),
    LetGo(u64),
    Wait(u64),
}

fn ops() -> impl Strategy<Value = Op> {
    let delay = || prop_oneof![3 => Just(0u64), 2 => 0u64..4, 1 => 0u64..50];
    let group = prop_oneof![2 => Just(None), 3 => (0u64..3).prop_map(Some)];
    let priority = prop_oneof![3 => Just(4u8), 1 => 0u8..10];
    prop_oneof![
        6 => (0u64..40, 0u64..40, delay(), priority, group).prop_map(
            |(sequence, ordinal, delay, priority, group)| Op::Admit { sequence, ordinal, delay, priority, group }
        ),
        4 => Just(Op::Take),
        2 => (any::<Index>(), delay()).prop_map(|(i, delay)| Op::PutBack(i, delay)),
        2 => any::<Index>().prop_map(Op::Leave),
        2 => any::<Index>().prop_map(Op::Remove),
        1 => any::<Index>().prop_map(Op::Withdraw),
        1 => any::<Index>().prop_map(Op::Evict),
        3 => (any::<Index>(), delay()).prop_map(|(i, delay)| Op::Move(i, delay)),
        1 => (0u64..3).prop_map(Op::Hold),
        2 => (0u64..3).prop_map(Op::LetGo),
        2 => (0u64..10).prop_map(Op::Wait),
    ]
}

/// The plain list: everything is found by looking at all of it.
#[derive(Default)]
struct Model {
    waiting: Vec<Place>,
    out: Vec<Place>,
    held: HashSet<u64>,
    now: u64,
}

impl Model {
    /// In a group the one in flight has its turn, or else the oldest; in one that is held, none.
    fn has_turn(&self, place: &Place) -> bool {
        let Some(group) = place.group else {
            return true;
        };
        !self.held.contains(&group)
            && !self.out.iter().any(|other| other.group == place.group)
            && !self
                .waiting
                .iter()
                .any(|other| other.group == place.group && other.ordinal < place.ordinal)
    }

    fn scheduled(&self) -> Vec<&Place> {
        let later = |place: &&Place| place.due > at(self.now) && self.has_turn(place);
        self.waiting.iter().filter(later).collect()
    }

    fn next(&self) -> Option<Place> {
        self.waiting
            .iter()
            .filter(|place| place.due <= at(self.now) && self.has_turn(place))
            .min_by_key(|place| (std::cmp::Reverse(place.priority), place.due, place.sequence))
            .copied()
    }

    fn pick(list: &mut Vec<Place>, index: Index) -> Option<Place> {
        (!list.is_empty()).then(|| list.swap_remove(index.index(list.len())))
    }

    fn known(&self, sequence: u64, ordinal: u64) -> bool {
        let mut all = self.waiting.iter().chain(&self.out);
        all.any(|place| place.sequence == sequence || place.ordinal == ordinal)
    }

    fn apply(&mut self, op: &Op, order: &mut ReadyOrder) {
        let now = at(self.now);
        match *op {
            Op::Admit {
                sequence,
                ordinal,
                delay,
                priority,
                group,
            } => {
                if self.known(sequence, ordinal) {
                    return;
                }
                let place = Place {
                    sequence,
                    due: at(self.now + delay),
                    priority: Priority::new(priority).unwrap(),
                    group,
                    ordinal,
                };
                order.admit(place, now);
                self.waiting.push(place);
            }
            Op::Take => {
                let expected = self.next();
                let sequence = expected.map(|place| place.sequence);
                assert_eq!(order.peek(now), sequence);
                assert_eq!(order.take(now), sequence);
                self.waiting.retain(|place| Some(*place) != expected);
                self.out.extend(expected);
            }
            Op::PutBack(index, delay) => {
                if let Some(mut place) = Self::pick(&mut self.out, index) {
                    place.due = at(self.now + delay);
                    order.put_back(place, now);
                    self.waiting.push(place);
                }
            }
            Op::Leave(index) => {
                if let Some(place) = Self::pick(&mut self.out, index) {
                    order.leave(place.sequence, place.group, now);
                }
            }
            Op::Remove(index) => {
                if let Some(place) = Self::pick(&mut self.waiting, index) {
                    assert!(order.remove(&place));
                    order.leave(place.sequence, place.group, now);
                }
            }
            Op::Withdraw(index) => {
                if let Some(place) = Self::pick(&mut self.waiting, index) {
                    self.waiting.push(place);
                    let turn = self.has_turn(&place);
                    assert_eq!(order.has_turn(&place), turn);
                    assert_eq!(order.withdraw(&place), turn);
                    if turn {
                        self.waiting.pop();
                        self.out.push(place);
                    }
                }
            }
            Op::Evict(index) => {
                if let Some(place) = Self::pick(&mut self.waiting, index) {
                    assert!(order.evict(place.sequence, now));
                    assert!(!order.evict(place.sequence, now));
                }
            }
            Op::Move(index, delay) => {
                if let Some(mut place) = Self::pick(&mut self.waiting, index) {
                    let due = at(self.now + delay);
                    assert!(order.reschedule(&place, due, now));
                    place.due = due;
                    self.waiting.push(place);
                }
                for place in &self.out {
                    assert!(!order.reschedule(place, now, now), "it does not wait");
                }
            }
            Op::Hold(group) => {
                order.hold(group);
                self.held.insert(group);
            }
            Op::LetGo(group) => {
                assert_eq!(order.let_go(group, now), self.held.remove(&group));
            }
            Op::Wait(ms) => {
                self.now += ms;
                order.promote(at(self.now));
            }
        }
    }

    fn check(&self, order: &ReadyOrder) {
        order.lanes.iter().for_each(Lane::check_invariants);
        let scheduled = self.scheduled();
        assert_eq!(order.scheduled(), scheduled.len() as u64);
        assert_eq!(
            order.next_due(),
            scheduled.iter().map(|place| place.due).min()
        );
        assert_eq!(order.ready(), (self.waiting.len() - scheduled.len()) as u64);
        assert_eq!(order.is_ready(), self.next().is_some());
        let waiting: Vec<u64> = order.waiting().collect();
        assert_eq!(
            waiting.first().copied().filter(|_| order.is_ready()),
            self.next().map(|place| place.sequence)
        );
        assert_eq!(waiting.len(), self.waiting.len());
        let expected: HashSet<u64> = self.waiting.iter().map(|place| place.sequence).collect();
        assert_eq!(waiting.into_iter().collect::<HashSet<_>>(), expected);
        let groups: HashSet<_> = self
            .waiting
            .iter()
            .chain(&self.out)
            .filter_map(|place| place.group)
            .filter(|group| !self.held.contains(group))
            .collect();
        assert_eq!(
            order.groups.len(),
            groups.len(),
            "an empty group costs nothing"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn it_does_what_a_sorted_list_would(ops in proptest::collection::vec(ops(), 0..80)) {
        let (mut model, mut order) = (Model::default(), ReadyOrder::default());
        for op in &ops {
            model.apply(op, &mut order);
            model.check(&order);
        }
    }
}
