//! Several messages of one group in flight together, as pull consumers may take them.
//!
//! They were taken in order, and the group delivers nothing more until the last of them has landed.
//! One that lands early and stays in the queue waits by its ordinal, so it is before all that was not
//! in flight.

use super::{Group, Member, Next, Place, ReadyOrder};
use crate::Timestamp;

impl Group {
    /// A message is no longer in flight, while others of the group are. Says whether that was so: then
    /// the group stays closed.
    pub(super) fn land_beside(&mut self, sequence: u64) -> bool {
        if self.also.is_empty() {
            return false;
        }
        if self.head.sequence == sequence {
            (self.ordinal, self.head) = self.also.remove(0);
            return true;
        }
        let before = self.also.len();
        self.also.retain(|(_, member)| member.sequence != sequence);
        self.also.len() < before
    }
}

impl ReadyOrder {
    /// The message that comes after those of a group which are in flight, if it is due at `now` and its
    /// key is not parked. It stays where it is; [`ReadyOrder::take_behind`] takes it.
    #[must_use]
    pub fn peek_behind(&self, hash: u64, now: Timestamp) -> Option<Next> {
        let (_, member) = self.groups.get(&hash)?.behind.first_key_value()?;
        let key = member.mark.key();
        let may = member.due <= now && !self.is_parked(key);
        may.then_some(Next {
            sequence: member.sequence,
            key,
        })
    }

    /// Takes the next message of a group whose head is in flight, which is then in flight beside it.
    /// The caller knows that the head is.
    pub fn take_behind(&mut self, hash: u64) -> Option<u64> {
        let group = self.groups.get_mut(&hash)?;
        let (ordinal, member) = group.behind.pop_first()?;
        self.behind -= 1;
        let at = group.also.partition_point(|&(other, _)| other < ordinal);
        group.also.insert(at, (ordinal, member));
        Some(member.sequence)
    }

    /// Takes in a message that was in flight when the host ended, and is still. Call it before any that
    /// waits is admitted.
    pub fn admit_in_flight(&mut self, place: &Place) {
        let Some(hash) = place.group else { return };
        let entry = (place.ordinal, Member::of(place));
        if let Some(held) = self.held.get_mut(&hash) {
            let at = held
                .out
                .partition_point(|&(other, _)| other < place.ordinal);
            held.out.insert(at, entry);
        } else if let Some(group) = self.groups.get_mut(&hash) {
            let at = group
                .also
                .partition_point(|&(other, _)| other < place.ordinal);
            group.also.insert(at, entry);
        } else {
            let group = Group {
                head: entry.1,
                ordinal: entry.0,
                behind: Default::default(),
                also: Vec::new(),
            };
            self.groups.insert(hash, group);
        }
    }

    /// Puts back a message while others of its group are in flight. Says whether that was so.
    pub(super) fn put_back_beside(&mut self, place: &Place) -> bool {
        let Some(group) = place.group.and_then(|hash| self.groups.get_mut(&hash)) else {
            return false;
        };
        let closed = group.land_beside(place.sequence);
        if closed {
            group.behind.insert(place.ordinal, Member::of(place));
            self.behind += 1;
        }
        closed
    }
}
