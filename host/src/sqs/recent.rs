//! What was purged or deleted a moment ago, for those who want the waiting periods of AWS.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gristmill_queue::{QueueName, Timestamp};

/// How long the same must not be done again.
const PERIOD: Duration = Duration::from_secs(60);
/// How many names are remembered; of more, those that are done waiting go, and then any.
const MOST: usize = 10_000;

/// Names, and when they were purged or deleted.
#[derive(Default)]
pub struct Recent {
    purged: Mutex<HashMap<QueueName, Timestamp>>,
    deleted: Mutex<HashMap<QueueName, Timestamp>>,
}

impl Recent {
    /// Notes a purge. Says whether it is too early for one.
    pub fn purge(&self, name: &QueueName, now: Timestamp) -> bool {
        if is_recent(&self.purged, name, now) {
            return true;
        }
        note(&self.purged, name, now);
        false
    }

    /// Notes that a queue is deleted.
    pub fn delete(&self, name: &QueueName, now: Timestamp) {
        note(&self.deleted, name, now);
    }

    /// Whether a queue of that name was deleted a moment ago.
    pub fn was_deleted(&self, name: &QueueName, now: Timestamp) -> bool {
        is_recent(&self.deleted, name, now)
    }
}

fn is_recent(
    times: &Mutex<HashMap<QueueName, Timestamp>>,
    name: &QueueName,
    now: Timestamp,
) -> bool {
    let times = times.lock().unwrap_or_else(PoisonError::into_inner);
    times
        .get(name)
        .is_some_and(|&time| now < time.after(PERIOD))
}

fn note(times: &Mutex<HashMap<QueueName, Timestamp>>, name: &QueueName, now: Timestamp) {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    if times.len() >= MOST {
        times.retain(|_, time| now < time.after(PERIOD));
    }
    if times.len() >= MOST {
        times.clear();
    }
    times.insert(name.clone(), now);
}
