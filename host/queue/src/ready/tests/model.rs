//! Operations at random against a plain list.

use std::collections::HashSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Admit {
        sequence: u64,
        ordinal: u64,
        delay: u64,
        priority: u8,
        group: Option<u64>,
        key: Option<KeyHash>,
    },
    Park(Option<KeyHash>),
    Unpark(Option<KeyHash>),
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
    let key =
        || prop::option::weighted(0.7, (0u64..3).prop_map(|key| KeyHash::of(&key.to_string())));
    prop_oneof![
        6 => (0u64..40, 0u64..40, delay(), priority, group, key()).prop_map(
            |(sequence, ordinal, delay, priority, group, key)| Op::Admit { sequence, ordinal, delay, priority, group, key }
        ),
        1 => key().prop_map(Op::Park),
        1 => key().prop_map(Op::Unpark),
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
    parked: BTreeSet<Option<KeyHash>>,
    /// Since when each key waits for its turn: since it last had something to take, or had its turn.
    since: BTreeMap<Turn, u64>,
    step: u64,
}

/// Keys take turns within a priority.
type Turn = (Priority, Option<KeyHash>);

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

    fn could_be_taken(&self, place: &Place) -> bool {
        place.due <= at(self.now) && self.has_turn(place) && !self.parked.contains(&place.key)
    }

    /// The messages one of which is next: the oldest of those keys that have waited longest. Keys that
    /// wait since the same step may go in any order.
    fn next(&self) -> Vec<Place> {
        let could = self
            .waiting
            .iter()
            .filter(|place| self.could_be_taken(place));
        let first = could.clone().map(|place| {
            let since = self.since[&(place.priority, place.key)];
            (std::cmp::Reverse(place.priority), since)
        });
        let Some(first) = first.min() else {
            return Vec::new();
        };
        let turns = self
            .since
            .iter()
            .filter(|((priority, _), since)| (std::cmp::Reverse(*priority), **since) == first);
        let oldest = turns.map(|(turn, _)| {
            let of_key = could
                .clone()
                .filter(|place| (place.priority, place.key) == *turn);
            *of_key
                .min_by_key(|place| (place.due, place.sequence))
                .unwrap()
        });
        oldest.collect()
    }

    /// Notes which keys have something to take after a step.
    fn note_turns(&mut self) {
        self.step += 1;
        let could = self
            .waiting
            .iter()
            .filter(|place| self.could_be_taken(place));
        let turns: BTreeSet<Turn> = could.map(|place| (place.priority, place.key)).collect();
        self.since.retain(|turn, _| turns.contains(turn));
        for turn in turns {
            self.since.entry(turn).or_insert(self.step);
        }
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
                key,
            } => {
                if self.known(sequence, ordinal) {
                    return;
                }
                let place = Place {
                    sequence,
                    due: at(self.now + delay),
                    priority: Priority::new(priority).unwrap(),
                    group,
                    key,
                    ordinal,
                };
                order.admit(place, now);
                self.waiting.push(place);
            }
            Op::Park(key) => {
                order.park(key);
                self.parked.insert(key);
            }
            Op::Unpark(key) => {
                order.unpark(key);
                self.parked.remove(&key);
            }
            Op::Take => {
                let expected = self.next();
                let next = order.peek(now);
                assert_eq!(order.take(now), next.map(|next| next.sequence));
                let Some(next) = next else {
                    assert_eq!(expected, []);
                    return;
                };
                let taken = |place: &&Place| place.sequence == next.sequence;
                let place = *expected.iter().find(taken).expect("another is next");
                assert_eq!(place.key, next.key);
                self.waiting.retain(|other| *other != place);
                self.out.push(place);
                self.since.remove(&(place.priority, place.key));
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
        let turns = order.turns.iter();
        turns.for_each(|turns| turns.check_invariants(&order.parked));
        let scheduled = self.scheduled();
        assert_eq!(order.scheduled(), scheduled.len() as u64);
        assert_eq!(
            order.next_due(),
            scheduled.iter().map(|place| place.due).min()
        );
        assert_eq!(order.ready(), (self.waiting.len() - scheduled.len()) as u64);
        let next: Vec<u64> = self.next().iter().map(|place| place.sequence).collect();
        assert_eq!(order.is_ready(), !next.is_empty());
        let waiting: Vec<u64> = order.waiting().collect();
        assert!(!order.is_ready() || next.contains(&waiting[0]));
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
            model.note_turns();
            model.check(&order);
        }
    }
}
