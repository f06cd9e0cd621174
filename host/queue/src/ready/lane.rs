//! The messages of one priority that are due, oldest first.
//!
//! Nearly all of them arrive in order, so they stand in a plain ring of 16 bytes each. What comes
//! out of order (a retry, a redrive) stands in a tree beside it. What is taken out of the middle of
//! the ring is struck out where it stands, so that it may come back at once without being mistaken
//! for its own trace.

use std::collections::{BTreeSet, VecDeque};

use crate::Timestamp;

/// Struck out entries in a ring that are not worth clearing away.
const TOLERATED_GAPS: usize = 64;

/// Sequence numbers have 62 bits; the top one says that the entry is struck out.
const STRUCK: u64 = 1 << 63;

const _: () = assert!(crate::id::MAX_SEQUENCE < STRUCK);

#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Arrived in order. Keys are strictly ascending; neither end is struck out.
    ring: VecDeque<Entry>,
    gaps: usize,
    /// Arrived out of order.
    late: BTreeSet<(Timestamp, u64)>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    due: Timestamp,
    marked: u64,
}

impl Entry {
    fn key(&self) -> (Timestamp, u64) {
        (self.due, self.marked & !STRUCK)
    }

    fn is_struck(&self) -> bool {
        self.marked & STRUCK != 0
    }
}

impl Lane {
    pub fn push(&mut self, due: Timestamp, sequence: u64) {
        let key = (due, sequence);
        if self.ring.back().is_none_or(|last| last.key() < key) {
            let marked = sequence;
            self.ring.push_back(Entry { due, marked });
        } else {
            let fresh = self.late.insert(key);
            debug_assert!(fresh, "message {sequence} is ready twice");
        }
    }

    pub fn len(&self) -> u64 {
        (self.ring.len() - self.gaps + self.late.len()) as u64
    }

    pub fn is_empty(&self) -> bool {
        self.ring.is_empty() && self.late.is_empty()
    }

    pub fn first(&self) -> Option<u64> {
        let ring = self.ring.front().map(Entry::key);
        let late = self.late.first().copied();
        let (_, sequence) = match (ring, late) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(sequence)
    }

    pub fn pop(&mut self) -> Option<u64> {
        let sequence = self.first()?;
        if self
            .ring
            .front()
            .is_some_and(|front| front.marked == sequence)
        {
            self.ring.pop_front();
            self.tidy();
        } else {
            self.late.pop_first();
        }
        Some(sequence)
    }

    /// Takes an entry out, and says whether it was there.
    pub fn remove(&mut self, due: Timestamp, sequence: u64) -> bool {
        if self.late.remove(&(due, sequence)) {
            return true;
        }
        let Ok(index) = self.ring.binary_search_by_key(&(due, sequence), Entry::key) else {
            return false;
        };
        let entry = &mut self.ring[index];
        if entry.is_struck() {
            return false;
        }
        entry.marked |= STRUCK;
        self.gaps += 1;
        self.tidy();
        true
    }

    /// Keeps both ends live and most of the ring too: what is struck out behind a message that
    /// waits for ever must not add up.
    fn tidy(&mut self) {
        while self.ring.front().is_some_and(Entry::is_struck) {
            self.ring.pop_front();
            self.gaps -= 1;
        }
        while self.ring.back().is_some_and(Entry::is_struck) {
            self.ring.pop_back();
            self.gaps -= 1;
        }
        if self.gaps > TOLERATED_GAPS && self.gaps * 2 > self.ring.len() {
            self.ring.retain(|entry| !entry.is_struck());
            self.gaps = 0;
        }
        if self.ring.is_empty() {
            // A backlog that is worked off gives its memory back.
            self.ring.shrink_to(TOLERATED_GAPS);
        }
    }

    /// What is in the lane, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, u64)> + '_ {
        let live = self.ring.iter().filter(|entry| !entry.is_struck());
        let mut ring = live.map(Entry::key).peekable();
        let mut late = self.late.iter().copied().peekable();
        std::iter::from_fn(move || match (ring.peek(), late.peek()) {
            (Some(a), Some(b)) if b < a => late.next(),
            (Some(_), _) => ring.next(),
            (None, _) => late.next(),
        })
    }

    /// What a lane must be at all times.
    #[cfg(test)]
    pub fn check_invariants(&self) {
        let keys: Vec<_> = self.ring.iter().map(Entry::key).collect();
        assert!(
            keys.is_sorted_by(|a, b| a < b),
            "the ring is out of order: {keys:?}"
        );
        let struck = self.ring.iter().filter(|entry| entry.is_struck());
        assert_eq!(struck.count(), self.gaps);
        assert!(self.gaps <= TOLERATED_GAPS || self.gaps * 2 <= self.ring.len());
        for end in [self.ring.front(), self.ring.back()] {
            assert!(end.is_none_or(|end| !end.is_struck()));
        }
    }
}
