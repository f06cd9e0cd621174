//! What waits for the writer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ops::Op;
use crate::pace::Pace;

/// The most operations that may wait before sends and receives are refused, however fast the writer is.
pub(crate) const MAX_WAITING: usize = 10_000;
/// The most bytes of bodies that may wait before they are refused.
pub(crate) const MAX_WAITING_BYTES: usize = 64 * 1024 * 1024;
/// The most operations of one group.
const MAX_GROUP: usize = 1024;
/// The most bytes of bodies of one group, beyond its first operation.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;

struct Waiting {
    ops: std::collections::VecDeque<Op>,
    bytes: usize,
    asleep: bool,
    closed: bool,
    pace: Pace,
    /// How many of those that may be refused may wait by now.
    most: usize,
    /// When the last group was taken, and how many were in it.
    taken: Option<(Instant, usize)>,
}

/// What waits for the writer: filled by many, emptied by one.
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
    /// An empty one, in which nothing that may be refused should wait longer than that.
    pub fn new(limit: Duration) -> Self {
        let pace = Pace::new(limit);
        let waiting = Waiting {
            ops: std::collections::VecDeque::new(),
            bytes: 0,
            asleep: false,
            closed: false,
            most: pace.most().min(MAX_WAITING),
            pace,
            taken: None,
        };
        Inbox {
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands an operation to the writer. Sends and receives are refused when too much waits, or so much that
    /// they would wait too long; settling never is, since it frees space.
    pub fn push(&self, op: Op) -> Result<(), Refused> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(Refused::Closed);
        }
        let bytes = op.bytes();
        let refusable = matches!(op, Op::Send { .. } | Op::Request { .. } | Op::Receive(_));
        if refusable
            && (waiting.ops.len() >= waiting.most || waiting.bytes + bytes > MAX_WAITING_BYTES)
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
        if let Some((begun, count)) = waiting.taken.take() {
            waiting.pace.learn(count, begun.elapsed());
            waiting.most = waiting.pace.most().min(MAX_WAITING);
        }
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
        waiting.taken = (count > 0).then(|| (Instant::now(), count));
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
