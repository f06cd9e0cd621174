//! What was typed about a queue.

use std::time::Duration;

use bytesize::ByteSize;
use gristmill_queue::policy::{Dedup, OnExpiry, OnFull, OnGroupFailure};
use gristmill_queue::retry::Jitter;
use toml::Spanned;
use toml::de::DeValue;

use super::only_keys_of;
use crate::config::defaults;
use crate::config::keys::Table;
use crate::config::problem::Problems;
use crate::config::section::{Given, Section};
use crate::config::value;

/// `[queue.NAME]`
#[derive(Clone, Default)]
pub struct RawQueue {
    pub handler: Given<String>,
    pub build: Given<String>,
    pub watch: Given<Vec<Spanned<String>>>,
    pub concurrency: Given<u32>,
    pub pull: Given<bool>,
    pub visibility_timeout: Given<Duration>,
    pub max_pulled: Given<u32>,
    pub batch_size: Given<u32>,
    pub batch_wait: Given<Duration>,
    pub batch_bytes: Given<ByteSize>,
    pub rate: Given<(u32, Duration)>,
    pub burst: Given<u32>,
    pub key: Given<String>,
    pub concurrency_per_key: Given<u32>,
    pub rate_per_key: Given<(u32, Duration)>,
    pub burst_per_key: Given<u32>,
    pub max_attempts: Given<u32>,
    pub backoff: RawBackoff,
    pub max_age: Given<Duration>,
    pub delay: Given<Duration>,
    pub ttl: Given<Duration>,
    pub on_expiry: Given<OnExpiry>,
    pub on_group_failure: Given<OnGroupFailure>,
    pub max_messages: Given<u64>,
    pub max_bytes: Given<ByteSize>,
    pub on_full: Given<OnFull>,
    pub max_message_size: Given<ByteSize>,
    /// `None` within is for ever.
    pub dead_retention: Given<Option<Duration>>,
    pub dead_letter: Given<String>,
    pub dedup: Given<Dedup>,
    pub dedup_window: Given<Duration>,
}

impl RawQueue {
    /// Reads the table of a queue.
    pub fn read(queue: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        const ON_EXPIRY: [(&str, OnExpiry); 2] = [
            ("dead-letter", OnExpiry::DeadLetter),
            ("drop", OnExpiry::Drop),
        ];
        const ON_FULL: [(&str, OnFull); 2] = [
            ("reject", OnFull::Reject),
            ("drop-oldest", OnFull::DropOldest),
        ];
        const ON_GROUP_FAILURE: [(&str, OnGroupFailure); 3] = [
            ("skip", OnGroupFailure::Skip),
            ("halt", OnGroupFailure::Halt),
            ("dead-letter-rest", OnGroupFailure::DeadLetterRest),
        ];
        const DEDUP: [(&str, Dedup); 3] = [
            ("id", Dedup::Id),
            ("content", Dedup::Content),
            ("derived", Dedup::Derived),
        ];
        only_keys_of(Table::Queue, queue, &[], problems);
        let watch = queue.list("watch", problems);
        if let Some(paths) = &watch {
            queue.note_twice("watch", paths.get_ref(), problems);
        }
        RawQueue {
            handler: queue.text("handler", problems),
            build: queue.text("build", problems),
            watch,
            concurrency: queue.integer("concurrency", &defaults::CONCURRENCY.bounds, problems),
            pull: queue.flag("pull", problems),
            visibility_timeout: queue.duration(
                "visibility_timeout",
                &defaults::VISIBILITY_TIMEOUT.bounds,
                problems,
            ),
            max_pulled: queue.integer("max_pulled", &defaults::MAX_PULLED.bounds, problems),
            batch_size: queue.integer("batch_size", &defaults::BATCH_SIZE, problems),
            batch_wait: queue.duration("batch_wait", &defaults::BATCH_WAIT.bounds, problems),
            batch_bytes: queue.size("batch_bytes", &defaults::BATCH_BYTES.bounds, problems),
            rate: queue.rate("rate", &defaults::RATE, problems),
            burst: queue.integer("burst", &defaults::BURST, problems),
            key: queue.text("key", problems),
            concurrency_per_key: queue.integer(
                "concurrency_per_key",
                &defaults::CONCURRENCY_PER_KEY,
                problems,
            ),
            rate_per_key: queue.rate("rate_per_key", &defaults::RATE, problems),
            burst_per_key: queue.integer("burst_per_key", &defaults::BURST, problems),
            max_attempts: queue.integer("max_attempts", &defaults::MAX_ATTEMPTS.bounds, problems),
            backoff: RawBackoff::read(queue, problems),
            max_age: queue.duration("max_age", &defaults::MAX_AGE, problems),
            delay: queue.duration("delay", &defaults::DELAY.bounds, problems),
            ttl: queue.duration("ttl", &defaults::TTL, problems),
            on_expiry: queue.choice("on_expiry", &ON_EXPIRY, problems),
            on_group_failure: queue.choice("on_group_failure", &ON_GROUP_FAILURE, problems),
            max_messages: queue.integer("max_messages", &defaults::MAX_MESSAGES, problems),
            max_bytes: queue.size("max_bytes", &defaults::MAX_BYTES, problems),
            on_full: queue.choice("on_full", &ON_FULL, problems),
            max_message_size: queue.size(
                "max_message_size",
                &defaults::MAX_MESSAGE_SIZE.bounds,
                problems,
            ),
            dead_retention: read_retention(queue, problems),
            dead_letter: queue.text("dead_letter", problems),
            dedup: queue.choice("dedup", &DEDUP, problems),
            dedup_window: queue.duration("dedup_window", &defaults::DEDUP_WINDOW.bounds, problems),
        }
    }

    /// What was typed here, or else there.
    pub fn or(self, other: &RawQueue) -> RawQueue {
        let other = other.clone();
        RawQueue {
            handler: self.handler,
            build: self.build,
            watch: self.watch,
            concurrency: self.concurrency.or(other.concurrency),
            pull: self.pull.or(other.pull),
            visibility_timeout: self.visibility_timeout.or(other.visibility_timeout),
            max_pulled: self.max_pulled.or(other.max_pulled),
            batch_size: self.batch_size.or(other.batch_size),
            batch_wait: self.batch_wait.or(other.batch_wait),
            batch_bytes: self.batch_bytes.or(other.batch_bytes),
            rate: self.rate.or(other.rate),
            burst: self.burst.or(other.burst),
            key: self.key.or(other.key),
            concurrency_per_key: self.concurrency_per_key.or(other.concurrency_per_key),
            rate_per_key: self.rate_per_key.or(other.rate_per_key),
            burst_per_key: self.burst_per_key.or(other.burst_per_key),
            max_attempts: self.max_attempts.or(other.max_attempts),
            backoff: self.backoff.or(other.backoff),
            max_age: self.max_age.or(other.max_age),
            delay: self.delay.or(other.delay),
            ttl: self.ttl.or(other.ttl),
            on_expiry: self.on_expiry.or(other.on_expiry),
            on_group_failure: self.on_group_failure.or(other.on_group_failure),
            max_messages: self.max_messages.or(other.max_messages),
            max_bytes: self.max_bytes.or(other.max_bytes),
            on_full: self.on_full.or(other.on_full),
            max_message_size: self.max_message_size.or(other.max_message_size),
            dead_retention: self.dead_retention.or(other.dead_retention),
            dead_letter: self.dead_letter.or(other.dead_letter),
            dedup: self.dedup.or(other.dedup),
            dedup_window: self.dedup_window.or(other.dedup_window),
        }
    }
}

/// `dead_retention`: a duration, or for ever.
fn read_retention(queue: &Section<'_, '_>, problems: &mut Problems<'_>) -> Given<Option<Duration>> {
    const NAME: &str = "dead_retention";
    let value = queue.raw(NAME)?;
    let forever = match value.get_ref() {
        DeValue::String(text) => {
            text == "forever" || value::duration(text).is_some_and(|d| d.is_zero())
        }
        DeValue::Integer(number) => number.as_str() == "0",
        _ => false,
    };
    if forever {
        return Some(Spanned::new(value.span(), None));
    }
    let length = queue.duration(NAME, &defaults::DEAD_RETENTION.bounds, problems)?;
    Some(Spanned::new(length.span(), Some(length.into_inner())))
}

/// `backoff` of a queue
#[derive(Clone, Default)]
pub struct RawBackoff {
    pub base: Given<Duration>,
    pub factor: Given<f64>,
    pub cap: Given<Duration>,
    pub jitter: Given<Jitter>,
}

impl RawBackoff {
    fn read(queue: &Section<'_, '_>, problems: &mut Problems<'_>) -> Self {
        const NAME: &str = "backoff";
        const JITTER: [(&str, Jitter); 3] = [
            ("equal", Jitter::Equal),
            ("full", Jitter::Full),
            ("none", Jitter::None),
        ];
        let base = &defaults::BACKOFF_BASE.bounds;
        match queue.raw(NAME).map(Spanned::get_ref) {
            None => RawBackoff::default(),
            Some(DeValue::Table(_)) => {
                let Some(backoff) = queue.table(NAME, problems) else {
                    return RawBackoff::default();
                };
                only_keys_of(Table::Backoff, &backoff, &[], problems);
                RawBackoff {
                    base: backoff.duration("base", base, problems),
                    factor: backoff.number("factor", &defaults::BACKOFF_FACTOR.bounds, problems),
                    cap: backoff.duration("cap", &defaults::BACKOFF_CAP.bounds, problems),
                    jitter: backoff.choice("jitter", &JITTER, problems),
                }
            }
            Some(_) => RawBackoff {
                base: queue.duration(NAME, base, problems),
                ..RawBackoff::default()
            },
        }
    }

    fn or(self, other: RawBackoff) -> RawBackoff {
        RawBackoff {
            base: self.base.or(other.base),
            factor: self.factor.or(other.factor),
            cap: self.cap.or(other.cap),
            jitter: self.jitter.or(other.jitter),
        }
    }
}
