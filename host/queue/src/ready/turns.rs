//! The messages of one priority that are due: whose turn it is.
//!
//! Messages without a key stand in one lane, and where there are no others that is all. The others
//! have a lane for each key; lanes take turns, and a key that comes anew waits for the turns of all
//! that are there. A parked key has no turn, so nothing has to be skipped to find the next one. A key
//! without messages leaves no trace.

use std::collections::{BTreeMap, VecDeque};

use super::lane::Lane;
use crate::Timestamp;
use crate::key::KeyHash;

#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Messages without a key.
    plain: Waiting,
    /// The others; none of them is empty.
    keyed: BTreeMap<KeyHash, Waiting>,
    /// Whose turn is when, of those that have a key.
    rotation: BTreeMap<u64, KeyHash>,
    last_turn: u64,
}

/// The messages of a key.
#[derive(Debug, Default)]
struct Waiting {
    lane: Lane,
    /// None while the key is parked or has no messages.
    turn: Option<u64>,
}

impl Turns {
    pub fn push(&mut self, key: Option<KeyHash>, due: Timestamp, sequence: u64, parked: bool) {
        let waiting = match key {
            None => &mut self.plain,
            Some(key) => self.keyed.entry(key).or_default(),
        };
        waiting.lane.push(due, sequence);
        if waiting.turn.is_none() && !parked {
            self.give_turn(key);
        }
    }

    /// The next message and its key.
    pub fn first(&self) -> Option<(Option<KeyHash>, u64)> {
        let keyed = self.rotation.first_key_value();
        let plain = self.plain.turn;
        let (key, waiting) = match (plain, keyed) {
            (Some(plain), Some((turn, key))) if *turn < plain => (Some(*key), self.keyed.get(key)?),
            (None, Some((_, key))) => (Some(*key), self.keyed.get(key)?),
            (None, None) => return None,
            (Some(_), _) => (None, &self.plain),
        };
        Some((key, waiting.lane.first()?))
    }

    /// Takes out the next message; its key has its next turn after all others.
    pub fn pop(&mut self) -> Option<u64> {
        let (key, _) = self.first()?;
        let waiting = self.of_key_mut(key)?;
        let sequence = waiting.lane.pop();
        self.take_turn(key);
        self.give_turn(key);
        self.tidy(key);
        sequence
    }

    /// Takes a message out of the middle, and says whether it was there. If it was the last of its
    /// key, that keeps its turn until [`Turns::tidy`]: another may take its place.
    pub fn remove(&mut self, key: Option<KeyHash>, due: Timestamp, sequence: u64) -> bool {
        let waiting = self.of_key_mut(key);
        waiting.is_some_and(|waiting| waiting.lane.remove(due, sequence))
    }

    /// Forgets a key without messages.
    pub fn tidy(&mut self, key: Option<KeyHash>) {
        if self.of_key(key).is_some_and(|it| it.lane.is_empty()) {
            self.take_turn(key);
            if let Some(key) = key {
                self.keyed.remove(&key);
            }
        }
    }

    /// Takes out a message of which nothing but the number is known, and says what its key was.
    pub fn evict(&mut self, sequence: u64) -> Option<Option<KeyHash>> {
        let plain = std::iter::once((None, &self.plain));
        let keyed = self.keyed.iter().map(|(key, it)| (Some(*key), it));
        let (key, due) = plain.chain(keyed).find_map(|(key, waiting)| {
            let mut lane = waiting.lane.iter();
            let (due, _) = lane.find(|(_, waiting)| *waiting == sequence)?;
            Some((key, due))
        })?;
        self.remove(key, due, sequence);
        Some(key)
    }

    /// Takes a key's turn away. Says how many messages it has.
    pub fn park(&mut self, key: Option<KeyHash>) -> u64 {
        self.take_turn(key);
        self.len(key)
    }

    /// Gives a key a turn after all others. Says how many messages it has.
    pub fn unpark(&mut self, key: Option<KeyHash>) -> u64 {
        if self.len(key) > 0 {
            self.give_turn(key);
        }
        self.len(key)
    }

    /// What is there and has a turn, in the order in which it is taken if nothing changes.
    pub fn in_turn(&self) -> impl Iterator<Item = u64> + '_ {
        let plain_turn = self.plain.turn.unwrap_or(0);
        let waiting = |(_, key): (&u64, &KeyHash)| self.keyed.get(key);
        let before = self.rotation.range(..plain_turn).filter_map(waiting);
        let after = self.rotation.range(plain_turn..).filter_map(waiting);
        let plain = self.plain.turn.map(|_| &self.plain);
        let mut first = before.chain(plain).chain(after).map(|it| it.lane.iter());
        // Only those that have been asked, so that a look at few does not touch all keys.
        let mut again = VecDeque::new();
        std::iter::from_fn(move || {
            loop {
                let mut lane = first.next().or_else(|| again.pop_front())?;
                if let Some((_, sequence)) = lane.next() {
                    again.push_back(lane);
                    return Some(sequence);
                }
            }
        })
    }

    /// The messages of one key.
    pub fn of(&self, key: Option<KeyHash>) -> impl Iterator<Item = u64> + '_ {
        let lanes = self.of_key(key).into_iter();
        lanes.flat_map(|it| it.lane.iter().map(|(_, sequence)| sequence))
    }

    fn of_key(&self, key: Option<KeyHash>) -> Option<&Waiting> {
        match key {
            None => Some(&self.plain),
            Some(key) => self.keyed.get(&key),
        }
    }

    fn of_key_mut(&mut self, key: Option<KeyHash>) -> Option<&mut Waiting> {
        match key {
            None => Some(&mut self.plain),
            Some(key) => self.keyed.get_mut(&key),
        }
    }

    fn len(&self, key: Option<KeyHash>) -> u64 {
        self.of_key(key).map_or(0, |waiting| waiting.lane.len())
    }

    fn take_turn(&mut self, key: Option<KeyHash>) {
        let turn = self.of_key_mut(key).and_then(|it| it.turn.take());
        if let (Some(turn), Some(_)) = (turn, key) {
            self.rotation.remove(&turn);
        }
    }

    fn give_turn(&mut self, key: Option<KeyHash>) {
        self.last_turn += 1;
        let turn = self.last_turn;
        if let Some(waiting) = self.of_key_mut(key) {
            debug_assert!(waiting.turn.is_none(), "a key has two turns");
            waiting.turn = Some(turn);
        }
        if let Some(key) = key {
            self.rotation.insert(turn, key);
        }
    }

    /// What must hold at all times.
    #[cfg(test)]
    pub fn check_invariants(&self, parked: &std::collections::BTreeSet<Option<KeyHash>>) {
        let check = |key: Option<KeyHash>, waiting: &Waiting| {
            waiting.lane.check_invariants();
            let has_turn = !waiting.lane.is_empty() && !parked.contains(&key);
            assert_eq!(waiting.turn.is_some(), has_turn, "{key:?}");
        };
        check(None, &self.plain);
        for (key, waiting) in &self.keyed {
            check(Some(*key), waiting);
            assert!(!waiting.lane.is_empty(), "an empty key costs nothing");
        }
        let turns = self.keyed.iter().map(|(key, it)| (it.turn, *key));
        let turns = turns.filter_map(|(turn, key)| Some((turn?, key)));
        assert_eq!(self.rotation, turns.collect());
    }

    /// The lane of messages without a key.
    #[cfg(test)]
    pub fn plain(&self) -> &Lane {
        &self.plain.lane
    }
}
