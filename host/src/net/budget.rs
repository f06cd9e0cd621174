//! How much of what was sent is held in memory at once, by all requests together.
//!
//! A request takes its share before it reads, and is refused if that would be too much: so the memory
//! of a host is bounded however many send at once.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The most bytes of bodies of requests that are held at once.
pub const MAX_HELD: usize = 128 * 1024 * 1024;
/// What is counted in: no share is smaller.
const UNIT: usize = 1024;

/// What there is for all. Clones are one.
#[derive(Clone)]
pub struct Budget(Arc<Semaphore>);

/// What one request holds of it; given back when it is dropped. Clones are one.
#[derive(Clone)]
pub struct Share {
    budget: Budget,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    permits: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

/// More is held already than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host holds as much of other requests in memory as it may: try again shortly")]
pub struct Spent;

impl Budget {
    /// A budget of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Budget(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Nothing of it yet.
    #[must_use]
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            held: Arc::default(),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Budget::new(MAX_HELD)
    }
}

impl Share {
    /// Takes as much as is needed to hold so many bytes in all.
    ///
    /// # Errors
    /// When that is not left.
    pub fn hold(&self, bytes: usize) -> Result<(), Spent> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, after) = (held.bytes.div_ceil(UNIT), bytes.div_ceil(UNIT));
        if after <= before {
            return Ok(());
        }
        let more = u32::try_from(after - before).map_err(|_| Spent)?;
        let taken = Arc::clone(&self.budget.0).try_acquire_many_owned(more);
        let taken = taken.map_err(|_| Spent)?;
        match &mut held.permits {
            Some(permits) => permits.merge(taken),
            none => *none = Some(taken),
        }
        held.bytes = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_held_than_there_may_be_and_all_is_given_back() {
        let budget = Budget::new(10 * UNIT);
        let (one, two) = (budget.share(), budget.share());
        one.hold(1).unwrap();
        one.hold(UNIT).unwrap();
        two.hold(9 * UNIT).unwrap();
        assert_eq!(one.hold(UNIT + 1), Err(Spent));
        // Less than is held already is nothing new.
        two.hold(1).unwrap();
        drop(two);
        one.hold(10 * UNIT).unwrap();
        drop(one);
        assert_eq!(budget.0.available_permits(), 10);
    }
}
