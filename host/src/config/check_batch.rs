//! The rules between the keys of batches: of the queue, and of the handler that gets them.
//!
//! A part of [`check`](super::check).

use std::collections::BTreeMap;

use super::check::or_default;
use super::defaults;
use super::problem::{Place, Problems};
use super::raw::RawQueue;
use super::value::Show;
use crate::dispatch::BatchLimits;
use crate::runtime::spec::HandlerSpec;

/// A queue's batches, and where the file says how large they are.
pub struct Batches {
    pub limits: BatchLimits,
    pub handler: String,
    /// The key, in full.
    pub key: String,
    pub place: Place,
}

/// How batches of a queue are gathered.
pub fn limits(
    raw: &RawQueue,
    concurrency: u32,
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems<'_>,
) -> Option<BatchLimits> {
    let given = raw.batch_size.as_ref()?;
    let size = *given.get_ref();
    if size > concurrency {
        let key = key("batch_size");
        let message = format!(
            "`{key}` cannot be reached: at most {concurrency} messages of the queue are in flight"
        );
        let cure = "raise `concurrency`, or lower this".to_owned();
        problems.warning(given.span(), &key, message, cure);
    }
    Some(BatchLimits {
        size: size as usize,
        wait: or_default(&raw.batch_wait, &defaults::BATCH_WAIT),
        bytes: or_default(&raw.batch_bytes, &defaults::BATCH_BYTES).as_u64(),
    })
}

/// What has to be held against the handler, when it is known.
pub fn batches(
    raw: &RawQueue,
    limits: Option<BatchLimits>,
    handler: Option<&String>,
    key: &dyn Fn(&str) -> String,
) -> Option<Batches> {
    let size = raw.batch_size.as_ref()?;
    let bytes = raw.batch_bytes.as_ref().map(toml::Spanned::span);
    Some(Batches {
        limits: limits?,
        handler: handler?.clone(),
        key: key("batch_bytes"),
        place: bytes.unwrap_or_else(|| size.span()),
    })
}

/// Notes batches that would not fit into the memory of their handler.
pub fn check_memory(
    batches: &[Batches],
    handlers: &BTreeMap<String, HandlerSpec>,
    problems: &mut Problems<'_>,
) {
    for batch in batches {
        let Some(spec) = handlers.get(&batch.handler) else {
            continue;
        };
        let memory = spec.limits.memory;
        if batch.limits.bytes <= memory / 2 {
            continue;
        }
        let message = format!(
            "`{}`, {}, is more than half of the memory of [handler.{}], {}: a batch would not fit",
            batch.key,
            bytesize::ByteSize::b(batch.limits.bytes).show(),
            batch.handler,
            bytesize::ByteSize::b(memory).show(),
        );
        let cure = "lower it, or raise `memory`".to_owned();
        problems.error(batch.place.clone(), &batch.key, message, cure);
    }
}
