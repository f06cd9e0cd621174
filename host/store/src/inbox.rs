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

struct Waiting {
    ops: std::collections::VecDeque<Op>,
    bytes: usize,
    asleep: bool,
    closed: bool,
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
    /// An empty one.
    pub fn new() -> Self {
        let waiting = Waiting {
            ops: std::collections::VecDeque::new(),
            bytes: 0,
            asleep: false,
            closed: false,
        };
        Inbox {
            waiting: Mutex::new(waiting),
            wake: Condvar::new(),
        }
    }

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

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn send() -> Op {
        Op::Send {
            batch: Vec::new(),
            staged: Vec::new(),
            reply: oneshot::channel().0,
        }
    }

    fn leave() -> Op {
        Op::LeaveReceive { number: 1 }
    }

    fn full() -> Inbox {
        let inbox = Inbox::new();
        for _ in 0..MAX_WAITING {
            assert!(inbox.push(send()).is_ok());
        }
        inbox
    }

    #[test]
    fn what_is_more_than_may_wait_is_refused() {
        let refused = full().push(send());
        assert!(matches!(
            refused,
            Err(Refused::Full {
                waiting: MAX_WAITING
            })
        ));
    }

    #[test]
    fn what_makes_room_is_never_refused() {
        let inbox = full();
        for _ in 0..1_000 {
            assert!(inbox.push(leave()).is_ok());
        }
        assert_eq!(inbox.take(Some(Duration::ZERO)).len(), MAX_GROUP);
    }

    #[test]
    fn there_is_room_again_when_the_writer_has_taken_what_waited() {
        let inbox = full();
        assert_eq!(inbox.take(Some(Duration::ZERO)).len(), MAX_GROUP);
        assert!(inbox.push(send()).is_ok());
    }
}
