//! A group that goes on while its head backs off: a bug that can be planted, see [`crate::bug`].

use super::{Place, ReadyOrder};
use crate::Timestamp;

impl ReadyOrder {
    /// [`HeadSkipped`](crate::bug::Bug::HeadSkipped).
    pub(super) fn skip_head(&mut self, place: Place, now: Timestamp) {
        if let Some(hash) = place.group {
            self.leave_group(place.sequence, hash, now);
        }
        let last = Place {
            ordinal: u64::MAX - place.ordinal,
            ..place
        };
        self.admit(last, now);
    }
}
