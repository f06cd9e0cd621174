//! Groups that deliver nothing until they are let go.
//!
//! Why a group is held, and until when, is the business of the [board](crate::board). One that is
//! held stands in no lane and no schedule, so it costs the others nothing; what waits in it waits
//! by ordinal, and what of it was in flight may end as it likes.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{Group, Member, Place, ReadyOrder};
use crate::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Held {
    /// All that waits, by ordinal.
    pub waiting: BTreeMap<u64, Member>,
    /// What was in flight when the group was held, and is still, by ordinal.
    pub out: Vec<(u64, Member)>,
}

impl Held {
    /// One more waits: it is new, or was in flight.
    pub fn admit(&mut self, place: &Place) {
        self.land(place.sequence);
        let twin = self.waiting.insert(place.ordinal, Member::of(place));
        debug_assert!(
            twin.is_none(),
            "ordinal {} is given twice in a group",
            place.ordinal
        );
    }

    /// A message is no longer in flight.
    pub fn land(&mut self, sequence: u64) {
        self.out.retain(|(_, out)| out.sequence != sequence);
    }
}

impl ReadyOrder {
    /// Delivers nothing of a group until [`ReadyOrder::let_go`], be there anything of it now or not.
    pub fn hold(&mut self, hash: u64) {
        if self.held.contains_key(&hash) {
            return;
        }
        let mut held = Held::default();
        if let Some(group) = self.groups.remove(&hash) {
            held.waiting = group.behind;
            if self.withdraw_member(group.head) {
                held.waiting.insert(group.ordinal, group.head);
                self.behind += 1;
            } else {
                held.out = group.also;
                held.out.push((group.ordinal, group.head));
                held.out.sort_unstable_by_key(|&(ordinal, _)| ordinal);
            }
        }
        self.held.insert(hash, held);
        self.tidy();
    }

    /// Delivers a group again, from its oldest message on. Says whether it was held.
    pub fn let_go(&mut self, hash: u64, now: Timestamp) -> bool {
        let Some(Held { mut waiting, out }) = self.held.remove(&hash) else {
            return false;
        };
        let flies = !out.is_empty();
        let mut out = out.into_iter();
        let head = out.next().or_else(|| {
            let first = waiting.pop_first()?;
            self.behind -= 1;
            Some(first)
        });
        let Some((ordinal, head)) = head else {
            return true;
        };
        let group = Group {
            head,
            ordinal,
            behind: waiting,
            also: out.collect(),
        };
        self.groups.insert(hash, group);
        if !flies {
            self.put(head, now);
        }
        true
    }

    /// What waits in a group that is held, after and before these ordinals, oldest first.
    pub fn held_between(
        &self,
        hash: u64,
        after: u64,
        before: u64,
    ) -> impl Iterator<Item = u64> + '_ {
        let held = self.held.get(&hash).filter(|_| after < before);
        let range = (Bound::Excluded(after), Bound::Excluded(before));
        held.into_iter()
            .flat_map(move |held| held.waiting.range(range))
            .map(|(_, member)| member.sequence)
    }

    /// How many messages wait in a group that is held.
    #[must_use]
    pub fn held_count(&self, hash: u64) -> u64 {
        let held = self.held.get(&hash);
        held.map_or(0, |held| held.waiting.len() as u64)
    }

    pub(super) fn evict_held(&mut self, sequence: u64) -> bool {
        for held in self.held.values_mut() {
            held.land(sequence);
            let mut waiting = held.waiting.iter();
            let found = waiting.find(|(_, member)| member.sequence == sequence);
            if let Some(ordinal) = found.map(|(ordinal, _)| *ordinal) {
                held.waiting.remove(&ordinal);
                self.behind -= 1;
                return true;
            }
        }
        false
    }
}
