//! What waits for the writer.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::ops::Op;
use crate::pace::Pace;
use crate::turned_away::TurnedAway;

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
    turned_away: TurnedAway,
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
            turned_away: TurnedAway::default(),
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
            waiting.turned_away.add();
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
        let now = Instant::now();
        if let Some((begun, count)) = waiting.taken.take() {
            waiting
                .pace
                .learn(count, now.saturating_duration_since(begun));
            waiting.most = waiting.pace.most().min(MAX_WAITING);
        }
        let turned_away = waiting.turned_away.take_untold(now);
        if let Some(count) = turned_away {
            drop(waiting);
            tracing::warn!(
                count,
                "sends and receives were turned away: too much waits for the store, or it would take them longer than host.max_wait"
            );
            waiting = self.lock();
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

    /// How many sends and receives were refused since the start.
    pub fn turned_away(&self) -> u64 {
        self.lock().turned_away.all()
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

    /// With what is assumed of the writer before anything is known, a hundred operations take so long.
    const LIMIT: Duration = Duration::from_millis(1);

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
        let inbox = Inbox::new(LIMIT);
        for _ in 0..100 {
            assert!(inbox.push(send()).is_ok());
        }
        inbox
    }

    #[test]
    fn what_would_wait_too_long_is_refused_and_counted() {
        let inbox = full();
        for refused in 1..=3 {
            let answer = inbox.push(send());
            assert!(matches!(answer, Err(Refused::Full { waiting: 100 })));
            assert_eq!(inbox.turned_away(), refused);
        }
    }

    #[test]
    fn what_makes_room_is_never_refused() {
        let inbox = full();
        for _ in 0..1_000 {
            assert!(inbox.push(leave()).is_ok());
        }
        assert_eq!(inbox.turned_away(), 0);
        assert_eq!(inbox.take(Some(Duration::ZERO)).len(), MAX_GROUP);
    }

    #[test]
    fn there_is_room_again_when_the_writer_has_taken_what_waited() {
        let inbox = full();
        assert!(inbox.push(send()).is_err());
        assert_eq!(inbox.take(Some(Duration::ZERO)).len(), 100);
        assert!(inbox.push(send()).is_ok());
    }

    #[test]
    fn no_limit_lets_more_wait_than_memory_is_meant_for() {
        let inbox = Inbox::new(Duration::from_secs(60));
        for _ in 0..MAX_WAITING {
            assert!(inbox.push(send()).is_ok());
        }
        assert!(inbox.push(send()).is_err());
    }
}
