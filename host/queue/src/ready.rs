//! The order in which waiting messages are due.
//!
//! One [`ReadyOrder`] per queue, in memory only; it is rebuilt from the store's index. A message
//! that waits costs 16 bytes (ready, in order of arrival) to about 40 (scheduled); a message of a
//! group waits behind its head and is in no order until its turn comes, so that picking the next
//! runnable group is not a scan and an empty group costs nothing. Messages with a key stand in a lane
//! for each key, and keys take turns; see [`turns`].
//!
//! It knows places, not messages: what is in flight, why something leaves, and whether a queue may
//! deliver at all is the business of the [board](crate::board).

use std::collections::{BTreeMap, BTreeSet};

use crate::Timestamp;
use crate::bug::{Bug, is_planted};
use crate::key::KeyHash;
use crate::message::Priority;

mod held;
mod lane;
mod member;
mod parked;
mod skipped;
#[cfg(test)]
mod tests;
mod together;
mod turns;

use held::Held;
pub use member::Next;
use member::{Group, Mark, Member};
use turns::Turns;

/// Where a message stands in its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Under which number the store keeps it.
    pub sequence: u64,
    /// When it is due.
    pub due: Timestamp,
    /// How urgent it is.
    pub priority: Priority,
    /// Its group, hashed. Two groups with one hash are one group: more order than was asked for,
    /// never less.
    pub group: Option<u64>,
    /// Whose turn it waits for; read when it was accepted.
    pub key: Option<KeyHash>,
    /// The order of acceptance, which is the order within a group. Unique within a queue.
    pub ordinal: u64,
}

/// The order in which the waiting messages of one queue are due.
#[derive(Debug, Default)]
pub struct ReadyOrder {
    turns: [Turns; Priority::COUNT],
    scheduled: BTreeSet<(Timestamp, u64, Mark)>,
    groups: BTreeMap<u64, Group>,
    /// Groups that deliver nothing. None of them is among `groups`.
    held: BTreeMap<u64, Held>,
    /// Keys that have no turn for the time being.
    parked: BTreeSet<Option<KeyHash>>,
    ready: u64,
    /// Those of the ready whose key is parked.
    closed: u64,
    /// Behind a head, or in a group that is held.
    behind: u64,
    /// What was taken out of a lane in which another may take its place.
    vacant: Option<Mark>,
}

impl ReadyOrder {
    /// Takes in a message: just accepted, found in the store at start-up, or back from the dead.
    ///
    /// In its group it stands by its ordinal, in whatever order messages are admitted. One that is
    /// older than the head goes before it, unless the head is in flight: then it is next.
    pub fn admit(&mut self, place: Place, now: Timestamp) {
        let Some(hash) = place.group else {
            self.put(Member::of(&place), now);
            return;
        };
        if let Some(held) = self.held.get_mut(&hash) {
            held.admit(&place);
            self.behind += 1;
            return;
        }
        let Some(group) = self.groups.get_mut(&hash) else {
            let group = Group {
                head: Member::of(&place),
                ordinal: place.ordinal,
                behind: BTreeMap::new(),
                also: Vec::new(),
            };
            self.groups.insert(hash, group);
            self.put(Member::of(&place), now);
            return;
        };
        let (head, ordinal) = (group.head, group.ordinal);
        let twin = group.behind.insert(place.ordinal, Member::of(&place));
        debug_assert!(
            twin.is_none() && place.ordinal != ordinal,
            "ordinal {} is given twice in a group",
            place.ordinal
        );
        self.behind += 1;
        if place.ordinal < ordinal && self.withdraw_member(head) {
            self.put_head(hash, head, ordinal, now);
            self.tidy();
        }
    }

    /// Puts back a message that was leased. In a group it is the head still, unless an older one
    /// was admitted meanwhile, or others of the group are in flight still: then it waits for them.
    pub fn put_back(&mut self, place: Place, now: Timestamp) {
        if is_planted(Bug::HeadSkipped) && place.due > now {
            return self.skip_head(place, now);
        }
        match place.group {
            Some(_) if self.put_back_beside(&place) => {}
            Some(hash) if self.groups.contains_key(&hash) => {
                self.put_head(hash, Member::of(&place), place.ordinal, now);
            }
            _ => self.admit(place, now),
        }
    }

    /// Puts the waiting head of a group, or what is older, where it belongs.
    fn put_head(&mut self, hash: u64, head: Member, ordinal: u64, now: Timestamp) {
        let Some(group) = self.groups.get_mut(&hash) else {
            return;
        };
        let older = group
            .behind
            .first_entry()
            .filter(|first| *first.key() < ordinal);
        (group.ordinal, group.head) = match older.map(|first| first.remove_entry()) {
            Some(older) => {
                group.behind.insert(ordinal, head);
                older
            }
            None => (ordinal, head),
        };
        let head = group.head;
        self.put(head, now);
    }

    /// The next message that is due at `now`, which stays where it is.
    pub fn peek(&mut self, now: Timestamp) -> Option<Next> {
        self.promote(now);
        let mut turns = self.turns.iter().rev();
        let (key, sequence) = turns.find_map(Turns::first)?;
        Some(Next { sequence, key })
    }

    /// The next message that is due at `now`, which is then no longer waiting. In its group it
    /// stays the head.
    pub fn take(&mut self, now: Timestamp) -> Option<u64> {
        self.promote(now);
        let mut turns = self.turns.iter_mut().rev();
        let taken = turns.find_map(Turns::pop)?;
        self.ready -= 1;
        Some(taken)
    }

    /// A message has left the queue for good (acknowledged, dead, dropped): the next of its group
    /// has its turn. Says nothing about one that was not the head.
    pub fn leave(&mut self, sequence: u64, group: Option<u64>, now: Timestamp) {
        if let Some(hash) = group {
            self.leave_group(sequence, hash, now);
        }
        self.tidy();
    }

    fn leave_group(&mut self, sequence: u64, hash: u64, now: Timestamp) {
        let Some(entry) = self.groups.get_mut(&hash) else {
            if let Some(held) = self.held.get_mut(&hash) {
                held.land(sequence);
            }
            return;
        };
        if entry.land_beside(sequence) || entry.head.sequence != sequence {
            return;
        }
        let Some((ordinal, next)) = entry.behind.pop_first() else {
            self.groups.remove(&hash);
            return;
        };
        (entry.head, entry.ordinal) = (next, ordinal);
        self.behind -= 1;
        self.put(next, now);
    }

    /// Takes a waiting message out of the middle, and says whether it was there. The caller then
    /// says with [`ReadyOrder::leave`] that it is gone.
    pub fn remove(&mut self, place: &Place) -> bool {
        if let Some(held) = place.group.and_then(|hash| self.held.get_mut(&hash)) {
            let found = held.waiting.remove(&place.ordinal).is_some();
            self.behind -= u64::from(found);
            return found;
        }
        if let Some(group) = place.group.and_then(|hash| self.groups.get_mut(&hash))
            && group.head.sequence != place.sequence
        {
            let found = group.behind.remove(&place.ordinal).is_some();
            self.behind -= u64::from(found);
            return found;
        }
        self.withdraw_member(Member::of(place))
    }

    /// Changes when a waiting message is due, and says whether it was there. In its group it keeps
    /// its place: when the group goes on changes, the order never does.
    pub fn reschedule(&mut self, place: &Place, due: Timestamp, now: Timestamp) -> bool {
        if let Some(group) = place.group.and_then(|hash| self.groups.get_mut(&hash))
            && group.head.sequence != place.sequence
        {
            let behind = group.behind.get_mut(&place.ordinal);
            return behind.map(|member| member.due = due).is_some();
        }
        if let Some(held) = place.group.and_then(|hash| self.held.get_mut(&hash)) {
            let waiting = held.waiting.get_mut(&place.ordinal);
            return waiting.map(|member| member.due = due).is_some();
        }
        let member = Member::of(place);
        if !self.withdraw_member(member) {
            return false;
        }
        if let Some(group) = place.group.and_then(|hash| self.groups.get_mut(&hash)) {
            group.head.due = due;
        }
        self.put(Member { due, ..member }, now);
        self.tidy();
        true
    }

    /// Takes out by name a message that has its turn, and says whether it was there: it is in
    /// flight. In its group it stays the head.
    pub fn withdraw(&mut self, place: &Place) -> bool {
        let found = self.has_turn(place) && self.withdraw_member(Member::of(place));
        self.tidy();
        found
    }

    /// Takes out a message about which only its number is known, and says whether there was a trace
    /// of it. It looks through everything that waits.
    pub fn evict(&mut self, sequence: u64, now: Timestamp) -> bool {
        let mut found = self.evict_unordered(sequence) || self.evict_held(sequence);
        let behind = |group: &Group| {
            let mut behind = group.behind.iter();
            let found = behind.find(|(_, member)| member.sequence == sequence)?;
            Some(*found.0)
        };
        for group in self.groups.values_mut() {
            found |= group.land_beside(sequence);
            if let Some(ordinal) = behind(group) {
                group.behind.remove(&ordinal);
                self.behind -= 1;
                found = true;
            }
        }
        let mut groups = self.groups.iter();
        let headed = groups.find(|(_, group)| group.head.sequence == sequence);
        if let Some(hash) = headed.map(|(hash, _)| *hash) {
            self.leave_group(sequence, hash, now);
            found = true;
        }
        self.tidy();
        found
    }

    fn evict_unordered(&mut self, sequence: u64) -> bool {
        let mut scheduled = self.scheduled.iter();
        if let Some(&entry) = scheduled.find(|(_, waiting, _)| *waiting == sequence) {
            return self.scheduled.remove(&entry);
        }
        for priority in (0..=u8::MAX).map_while(Priority::new) {
            let turns = &mut self.turns[usize::from(priority.level())];
            if let Some(key) = turns.evict(sequence) {
                self.ready -= 1;
                self.closed -= u64::from(self.is_parked(key));
                self.vacant = Some(Mark::new(priority, key));
                return true;
            }
        }
        false
    }

    /// What waits, by sequence: what is ready in order, what is ready but of a parked key, what is
    /// scheduled in order, and what waits behind the heads, group by group.
    pub fn waiting(&self) -> impl Iterator<Item = u64> + '_ {
        let by_priority = || self.turns.iter().rev();
        let ready = by_priority().flat_map(Turns::in_turn);
        let closed =
            by_priority().flat_map(|turns| self.parked.iter().flat_map(move |key| turns.of(*key)));
        let scheduled = self.scheduled.iter().map(|&(_, sequence, _)| sequence);
        let behind = self.groups.values().flat_map(|group| group.behind.values());
        let held = self.held.values().flat_map(|held| held.waiting.values());
        ready
            .chain(closed)
            .chain(scheduled)
            .chain(behind.chain(held).map(|member| member.sequence))
    }

    /// Whether a message has no other of its group before it, and its group is not held.
    #[must_use]
    pub fn has_turn(&self, place: &Place) -> bool {
        let Some(hash) = place.group else {
            return true;
        };
        let group = self.groups.get(&hash);
        group.is_none_or(|group| group.head.sequence == place.sequence)
            && !self.held.contains_key(&hash)
    }

    /// Makes ready what has become due.
    pub fn promote(&mut self, now: Timestamp) {
        while let Some(&(due, sequence, mark)) = self.scheduled.first() {
            if due > now {
                break;
            }
            self.scheduled.pop_first();
            let member = Member {
                sequence,
                due,
                mark,
            };
            self.put(member, now);
        }
    }

    /// When the next scheduled message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.scheduled.first().map(|&(due, ..)| due)
    }

    /// How many messages are due, counting all that wait behind the head of their group or in a
    /// group that is held: what keeps those is their turn, not their time.
    #[must_use]
    pub fn ready(&self) -> u64 {
        self.ready + self.behind
    }

    /// Whether a message could be taken now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready > self.closed
    }

    /// How many messages are scheduled for later.
    #[must_use]
    pub fn scheduled(&self) -> u64 {
        self.scheduled.len() as u64
    }

    fn put(&mut self, member: Member, now: Timestamp) {
        let Member {
            sequence,
            due,
            mark,
        } = member;
        if due > now {
            let fresh = self.scheduled.insert((due, sequence, mark));
            debug_assert!(fresh, "message {sequence} is scheduled twice");
            return;
        }
        let parked = self.is_parked(mark.key());
        self.turns[mark.level()].push(mark.key(), due, sequence, parked);
        self.ready += 1;
        self.closed += u64::from(parked);
    }

    /// Takes a message out of the lanes and the schedule, and says whether it was in them.
    fn withdraw_member(&mut self, member: Member) -> bool {
        let Member {
            sequence,
            due,
            mark,
        } = member;
        if self.scheduled.remove(&(due, sequence, mark)) {
            return true;
        }
        let found = self.turns[mark.level()].remove(mark.key(), due, sequence);
        self.ready -= u64::from(found);
        self.closed -= u64::from(found && self.is_parked(mark.key()));
        self.tidy();
        self.vacant = found.then_some(mark);
        found
    }

    /// Lets a key go of which nothing is left. Not before that is certain, or it would lose its
    /// turn whenever one message takes the place of another.
    fn tidy(&mut self) {
        if let Some(mark) = self.vacant.take() {
            self.turns[mark.level()].tidy(mark.key());
        }
    }
}
