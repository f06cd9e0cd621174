//! Keys that have no turn for the time being.
//!
//! Why a key is parked, and until when, is the business of the [board](crate::board). What is due of
//! it stays where it is, in lanes that are not in the rotation.

use super::ReadyOrder;
use crate::key::KeyHash;

impl ReadyOrder {
    /// Takes a key out of the rotation: none of its messages is next until it is unparked. Where
    /// messages have no key, that is all of them.
    pub fn park(&mut self, key: Option<KeyHash>) {
        if self.parked.insert(key) {
            let turns = self.turns.iter_mut();
            self.closed += turns.map(|turns| turns.park(key)).sum::<u64>();
        }
    }

    /// Takes a key back into the rotation, after all others.
    pub fn unpark(&mut self, key: Option<KeyHash>) {
        if self.parked.remove(&key) {
            let turns = self.turns.iter_mut();
            self.closed -= turns.map(|turns| turns.unpark(key)).sum::<u64>();
        }
    }

    /// Takes all keys back into the rotation.
    pub fn unpark_all(&mut self) {
        while let Some(key) = self.parked.first().copied() {
            self.unpark(key);
        }
    }

    /// How many messages are due and have their turn in their group, but a parked key.
    #[must_use]
    pub fn closed(&self) -> u64 {
        self.closed
    }

    pub(super) fn is_parked(&self, key: Option<KeyHash>) -> bool {
        !self.parked.is_empty() && self.parked.contains(&key)
    }
}
