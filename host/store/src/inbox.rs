//! What waits for the writer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::ops::Op;

/// The most operations that may wait before sends and receives are refused.
pub(crate) const MAX_WAITING: usize = 10_000;
/// The most bytes of bodies that may wait before they are refused.
pub(crate) const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// The most operations of one group.
const MAX_GROUP: usize = 1024;
/// The most bytes of bodies of one group, beyond its first operation.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

#[derive(Default)]
struct Waiting {
    ops: std::collections::VecDeque<Op>,
    bytes: usize,
    asleep: bool,
    closed: bool,
}

/// What waits for the writer: filled by many, emptied by one.
#[derive(Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

/// Why an operation was not taken.
pub(crate) enum Refused {
    Full { waiting: usize },
    Closed,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an operation to the writer. Sends and receives are refused when too much waits; settling
    /// never is, since it frees space.
    pub fn push(&self, op: Op) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Refused::Closed);
        }
        let bytes = op.bytes();
        let refusable = matches!(op, Op::Send { .. } | Op::Request { .. } | Op::Receive(_));
        if refusable
            && (waiting.ops.len() >= MAX_WAITING || waiting.bytes + bytes > MAX_WAITING_BYTES)
        {
            return Err(Refused::Full {
                waiting: waiting.ops.len(),
            });
        }
        waiting.bytes += bytes;
        waiting.ops.push_back(op);
        let wake = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Takes the next group; waits for it, but not longer than `patience`.
    pub fn take(&self, patience: Option<Duration>) -> Vec<Op> {
        let mut waiting = self.lock();
        if waiting.ops.is_empty() && patience != Some(Duration::ZERO) {
            waiting.asleep = true;
            waiting = match patience {
                Some(patience) => {
                    let woken = self.wake.wait_timeout(waiting, patience);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self
                    .wake
                    .wait(waiting)
                    .unwrap_or_else(PoisonError::into_inner),
            };
            waiting.asleep = false;
        }
        let (mut count, mut bytes) = (0, 0);
        while count < waiting.ops.len()
            && count < MAX_GROUP
            && (count == 0 || bytes < MAX_GROUP_BYTES)
        {
            bytes += waiting.ops[count].bytes();
            count += 1;
        }
        waiting.bytes -= waiting.ops.iter().take(count).map(Op::bytes).sum::<usize>();
        waiting.ops.drain(..count).collect()
    }

    /// Takes nothing more in. What waits is dropped, and with it its askers' hope of an answer.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.ops.clear();
        waiting.bytes = 0;
    }
}
