//! A delivery that nobody commits: what would a handler do with this message?
//!
//! It has an empty state, may send to any queue, and its effects are handed out and forgotten. The
//! handler's limits hold.

use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::effects::{StateReader, StateUnavailable, StateValue};
use gristmill_queue::{Envelope, IdSource, Message, QueueName, Timestamp, Transaction};

use super::{AttemptReport, Delivery, EndingFlag, HandlerVersion};

/// A message for a handler that is tried out.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The queue it seems to come from.
    pub queue: QueueName,
    /// What its sender says about it.
    pub envelope: Envelope,
    /// Its body.
    pub body: bytes::Bytes,
    /// What time it is.
    pub now: Timestamp,
}

/// What calls cost, as measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallCost {
    /// The median wall-clock time of a call.
    pub wall: Duration,
    /// Of how many.
    pub calls: usize,
}

/// A state with nothing in it.
pub(super) struct Nothing;

impl StateReader for Nothing {
    fn get(&self, _key: &str) -> Result<Option<StateValue>, StateUnavailable> {
        Ok(None)
    }

    fn list(
        &self,
        _prefix: &str,
        _after: Option<&str>,
        _limit: usize,
    ) -> Result<Vec<String>, StateUnavailable> {
        Ok(Vec::new())
    }
}

impl Rehearsal {
    /// Hands the message to a fresh instance, or to one that has served before if there is one.
    ///
    /// Has to be polled within a tokio runtime whose timer is enabled.
    pub async fn run(&self, version: &Arc<HandlerVersion>, fresh: bool) -> AttemptReport {
        let ids = Arc::new(IdSource::new(0, 0));
        let message = Message {
            id: ids.mint(self.now),
            queue: self.queue.clone(),
            enqueued_at: self.now,
            expires_at: None,
            envelope: self.envelope.clone(),
            body: self.body.clone(),
            blob: None,
        };
        let spec = version.spec();
        let transaction = Transaction::new(
            Arc::new(Nothing),
            ids,
            Arc::clone(&spec.grants.send_to),
            spec.limits.effects,
            self.now,
        );
        version
            .run(Delivery {
                message: Arc::new(message),
                attempt: 1,
                max_attempts: None,
                previous_failure: None,
                transaction: transaction.anywhere(),
                ending: EndingFlag::default(),
                fresh,
                large: None,
            })
            .await
    }

    /// Calls again and again, until `most` calls or `patience` are used up, and says what a call costs.
    /// Of reused instances only the calls that found one count; `None` if none did.
    pub async fn cost(
        &self,
        version: &Arc<HandlerVersion>,
        fresh: bool,
        most: usize,
        patience: Duration,
    ) -> Option<CallCost> {
        let began = std::time::Instant::now();
        let mut times = Vec::with_capacity(most);
        for _ in 0..most {
            let report = self.run(version, fresh).await;
            if report.reused != fresh {
                times.push(report.usage.wall);
            }
            if began.elapsed() > patience {
                break;
            }
        }
        times.sort_unstable();
        let wall = *times.get(times.len() / 2)?;
        let calls = times.len();
        Some(CallCost { wall, calls })
    }
}
