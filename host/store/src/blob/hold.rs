//! Keeping the files of large bodies while they are copied, though their messages end meanwhile.

use std::sync::{Arc, PoisonError};

use super::Blobs;

/// Who needs files whose messages may end meanwhile.
#[derive(Default)]
pub(super) struct Holds {
    count: usize,
    /// What is to be removed when nobody does any more: names of 8 bytes each.
    ended: Vec<u64>,
}

/// Keeps the files of large bodies where they are.
pub(crate) struct Hold {
    blobs: Arc<Blobs>,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut holds = self
            .blobs
            .holds
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        holds.count -= 1;
        if holds.count > 0 {
            return;
        }
        let ended = std::mem::take(&mut holds.ended);
        drop(holds);
        for name in ended {
            self.blobs.remove(name);
        }
    }
}

impl Blobs {
    /// Keeps the files of messages that end from now on, until it is dropped.
    pub fn hold(self: &Arc<Self>) -> Hold {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.count += 1;
        Hold {
            blobs: Arc::clone(self),
        }
    }

    /// Removes a file whose message is gone, as soon as nobody holds the files. One that cannot be
    /// removed is swept at the next start.
    pub fn unlink(&self, name: u64) {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        if holds.count > 0 {
            holds.ended.push(name);
            return;
        }
        drop(holds);
        self.remove(name);
    }
}
