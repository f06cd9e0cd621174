//! Pull consumers: what they may be given, what ends their leases, and that a restart does not. Written
//! from the contract, not from the code.

use std::time::Duration;

use gristmill_queue::retry::Jitter;
use gristmill_queue::{Fence, Reason};
use gristmill_store::{AdminError, GroupOrder, PullError, Pulled, Receive, ReceiveError, Received};

use super::check::check_message;
use super::pulling::Pulling;
use super::reference::{Ended, Message, Reference, ms};
use super::rig::name;
use super::script::QUEUES;
use super::world::{Answer, Asked, World, poll_once};

/// What a pull consumer holds.
#[derive(Clone, Copy, Debug)]
pub struct Lease {
    pub fence: Fence,
    pub ends: u64,
}

/// What somebody asked for.
pub struct AskedReceive {
    receive: Receive,
    answer: Answer<Result<Vec<Received>, ReceiveError>>,
}

/// What somebody said of a lease.
pub struct AskedSettle {
    fence: Fence,
    pulled: Pulled,
    answer: Answer<Result<Vec<Result<(), PullError>>, AdminError>>,
}

impl Reference {
    fn pulled_of(&self, queue: &str) -> usize {
        self.of_queue(queue).filter(|m| m.pulled.is_some()).count()
    }

    /// By all gates but its turn.
    fn may_pull(&self, name: &str) -> bool {
        let queue = &self.queues[name];
        let allowed = queue.policy.pull.allowed.unwrap_or(queue.slots == 0);
        let most = queue.policy.pull.max_in_flight as usize;
        queue.declared
            && allowed
            && !queue.paused
            && self.pulled_of(name) < most
            && queue.flow.has_token()
    }

    /// The messages one of which is received next; all of the last one's group that is in flight may be of
    /// the same receive, which goes on with it then.
    fn next_pulled(&self, queue: &str, group: Option<&String>) -> (Vec<u64>, bool) {
        if !self.may_pull(queue) {
            return (Vec::new(), false);
        }
        let held = |group: &String| {
            let key = (queue.to_owned(), group.clone());
            self.halted.contains_key(&key) || self.doomed.contains_key(&key)
        };
        if let Some(group) = group.filter(|group| !held(group)) {
            let waits = |m: &&Message| m.group.as_ref() == Some(group) && !m.in_flight;
            let first = self.of_queue(queue).filter(waits).min_by_key(|m| m.order);
            let first = first.filter(|m| m.due <= self.now && self.key_is_open(m));
            if let Some(first) = first {
                return (vec![first.id.sequence()], true);
            }
        }
        let next = self.in_turn_for(queue, |_| true);
        (next.iter().map(|m| m.id.sequence()).collect(), false)
    }

    /// A message is leased to a pull consumer. Says which attempt it is.
    fn start_pulled(&mut self, sequence: u64, lease: Lease, behind: bool) -> u32 {
        let message = self.messages.get_mut(&sequence).expect("it waits");
        let queue = self.queues.get_mut(&message.queue).expect("it has one");
        queue.flow.start_pulled(message, behind);
        (message.in_flight, message.pulled) = (true, Some(lease));
        (message.conflicts, message.wants_fresh) = (0, false);
        let attempt = message.counts.attempts + 1 - u32::from(message.suspect);
        self.note_turns();
        attempt
    }

    /// The leases whose time is up end, and their attempts have failed.
    pub fn lapse(&mut self) {
        loop {
            let held = self.messages.values().filter_map(|m| {
                let lease = m.pulled.filter(|lease| lease.ends <= self.now)?;
                Some((lease.ends, m.id.sequence()))
            });
            let Some((_, sequence)) = held.min() else {
                return;
            };
            let ended = Ended::Failed {
                reason: Reason::LeaseExpired,
                error: String::new(),
                delay: Some(0),
            };
            self.end(sequence, &ended);
            self.note_turns();
            self.tally.note("leases that end");
        }
    }

    fn holds(&self, fence: Fence) -> bool {
        let message = self.messages.get(&fence.sequence);
        let lease = message.and_then(|message| message.pulled);
        lease.is_some_and(|lease| lease.fence == fence)
    }
}

impl World {
    pub fn ask_receive(
        &self,
        queue: usize,
        max: u32,
        batch: bool,
        visibility: Option<u64>,
    ) -> Asked {
        let receive = Receive {
            queue: name(QUEUES[queue]),
            max,
            wait: Duration::ZERO,
            visibility: visibility.map(Duration::from_millis),
            order: if batch {
                GroupOrder::Batch
            } else {
                GroupOrder::One
            },
        };
        let (store, means) = (self.rig.store.clone(), receive.clone());
        let answer = poll_once(async move { store.receive(means).await });
        Asked::Receive(AskedReceive { receive, answer })
    }

    pub fn judge_receive(&mut self, asked: AskedReceive) {
        let AskedReceive { receive, answer } = asked;
        let queue = receive.queue.as_str();
        let known = &self.reference.queues[queue];
        let allowed = known.policy.pull.allowed.unwrap_or(known.slots == 0);
        let received = match self.rig.wait(answer) {
            Err(ReceiveError::UnknownQueue(_)) => return assert!(!known.declared),
            Err(ReceiveError::NotPull(_)) => return assert!(known.declared && !allowed),
            other => other.unwrap(),
        };
        assert!(
            known.declared && allowed,
            "{queue} is not for pull consumers"
        );
        let visibility = receive.visibility.unwrap_or(known.policy.pull.visibility);
        let ends = self.reference.now + ms(visibility);
        let mut group: Option<String> = None;
        for one in &received {
            let last = group
                .as_ref()
                .filter(|_| receive.order == GroupOrder::Batch);
            let (next, behind) = self.reference.next_pulled(queue, last);
            let sequence = one.sequence;
            assert!(
                next.contains(&sequence),
                "{sequence} is received, but next are {next:?}: {:?}",
                self.reference.messages.get(&sequence)
            );
            let fence = one.fence;
            assert!(!self.pulls.iter().any(|(_, other)| *other == fence));
            self.pulls.push((queue.to_owned(), fence));
            let lease = Lease { fence, ends };
            let attempt = self.reference.start_pulled(sequence, lease, behind);
            let message = &self.reference.messages[&sequence];
            check_message(message, &one.message, &self.rig.store);
            assert_eq!(one.attempt, attempt, "attempt of {sequence}");
            assert_eq!(one.lease_ends.unix_ms(), ends);
            assert_eq!(one.enqueued_at.unix_ms(), message.since);
            group.clone_from(&message.group);
            self.reference.tally.note("messages received");
            if behind {
                self.reference
                    .tally
                    .note("messages received with their group");
            }
        }
        if received.len() < receive.max as usize {
            let last = group
                .as_ref()
                .filter(|_| receive.order == GroupOrder::Batch);
            let (left, _) = self.reference.next_pulled(queue, last);
            assert!(left.is_empty(), "{left:?} should have been received");
        }
    }

    /// One of the leases that are held, or, if it is to be stale, one that ever was.
    pub fn ask_pulled(&self, n: usize, pulling: &Pulling, stale: bool) -> Asked {
        let pulls = self.pulls.iter();
        let meant: Vec<_> = pulls
            .filter(|(_, fence)| stale || self.reference.holds(*fence))
            .collect();
        let Some((queue, fence)) = meant.get(n % meant.len().max(1)) else {
            return Asked::Nothing;
        };
        let error = "failure four".to_owned();
        // A queue that is not declared any more has the default policy, whose back-off is drawn.
        let draws = self.reference.queues[queue].policy.retry.jitter != Jitter::None;
        let pulled = match *pulling {
            Pulling::Ack => Pulled::Ack,
            Pulling::Retry(delay) => Pulled::Retry {
                delay: delay.or(draws.then_some(0)).map(Duration::from_millis),
                error,
            },
            Pulling::Reject => Pulled::Reject { error },
            Pulling::Release => Pulled::Release,
            Pulling::Extend(ms) => Pulled::Extend {
                visibility: Duration::from_millis(ms),
            },
        };
        let (store, queue, fence) = (self.rig.store.clone(), name(queue), *fence);
        let verdicts = vec![(fence, pulled.clone())];
        let answer = poll_once(async move { store.settle_pulled(queue, verdicts).await });
        Asked::Pulled(AskedSettle {
            fence,
            pulled,
            answer,
        })
    }

    pub fn judge_pulled(&mut self, asked: AskedSettle) {
        let AskedSettle {
            fence,
            pulled,
            answer,
        } = asked;
        let settled = self.rig.wait(answer).unwrap();
        if !self.reference.holds(fence) {
            assert_eq!(settled, [Err(PullError::LeaseLost)], "{fence:?}");
            return;
        }
        assert_eq!(settled, [Ok(())], "{fence:?}");
        let sequence = fence.sequence;
        let ended = match pulled {
            Pulled::Ack => Ended::Done,
            Pulled::Retry { delay, error } => Ended::Failed {
                reason: Reason::Retry,
                error,
                delay: delay.map(ms),
            },
            Pulled::Reject { error } => Ended::Rejected(error),
            Pulled::Release => Ended::Back {
                wait: 0,
                conflict: false,
                shows: false,
                reused: false,
            },
            Pulled::Extend { visibility } => {
                let ends = self.reference.now + ms(visibility);
                let message = self.reference.messages.get_mut(&sequence).unwrap();
                message.pulled = Some(Lease { fence, ends });
                return;
            }
        };
        self.reference.end(sequence, &ended);
        self.reference.note_turns();
    }
}
