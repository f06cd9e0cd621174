//! The policies that queues are declared with.

use std::time::Duration;

use gristmill_queue::QueuePolicy;
use gristmill_queue::policy::{Dedup, OnExpiry, OnFull, OnGroupFailure};
use gristmill_queue::retry::Jitter;

use super::flow;

/// The most bytes that a queue takes, unless its policy says less.
pub const MAX_BODY: u64 = 256 * 1024;
/// How many policies [`policy`] knows.
pub const POLICIES: u8 = 17;

/// In milliseconds.
pub fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).expect("short")
}

/// One of them.
pub fn policy(number: u8) -> QueuePolicy {
    let mut policy = QueuePolicy::default();
    policy.retry.max_attempts = 3;
    policy.retry.jitter = Jitter::None;
    policy.retry.cap = Duration::from_secs(4);
    policy.concurrency = 2;
    policy.max_body = MAX_BODY;
    policy.pull.allowed = Some(true);
    policy.pull.max_in_flight = 3 + u32::from(number);
    policy.dedup_window = Duration::from_secs(5);
    match number {
        0 => {}
        1 => (policy.concurrency, policy.max_messages) = (1, Some(3)),
        2 => {
            policy.retry.max_attempts = 2;
            policy.on_expiry = OnExpiry::Drop;
            policy.default_ttl = Some(Duration::from_secs(5));
        }
        3 => {
            policy.concurrency = 64;
            policy.max_bytes = Some(60);
            policy.dedup_window = Duration::from_secs(1);
        }
        4 => {
            policy.dead_retention = Some(Duration::from_secs(4));
            policy.retry.max_age = Some(Duration::from_secs(6));
            policy.retry.max_attempts = 9;
        }
        5 => {
            policy.pull.allowed = None;
            (policy.concurrency, policy.max_body) = (3, 20);
            policy.dead_retention = None;
        }
        6 => {
            policy.on_group_failure = OnGroupFailure::Halt;
            policy.dedup = Dedup::Content;
            policy.retry.max_attempts = 2;
        }
        7 => {
            policy.on_group_failure = OnGroupFailure::DeadLetterRest;
            policy.retry.max_attempts = 2;
        }
        8 => {
            policy.on_full = OnFull::DropOldest;
            policy.max_messages = Some(4);
        }
        9 => {
            policy.on_full = OnFull::DropOldest;
            (policy.max_messages, policy.max_bytes) = (Some(8), Some(60));
        }
        15 => policy.dedup = Dedup::Content,
        16 => {
            policy.dedup = Dedup::Content;
            policy.dedup_window = Duration::from_secs(1);
            (policy.on_full, policy.max_messages) = (OnFull::DropOldest, Some(4));
        }
        14 => {
            policy.dead_letter = Some(super::rig::name("c"));
            policy.retry.max_attempts = 2;
        }
        limited => flow::limit(&mut policy, limited),
    }
    policy
}
