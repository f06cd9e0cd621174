//! The rules between the keys that limit a queue's flow: rates, and what goes by key.
//!
//! A part of [`check`](super::check).

use std::time::Duration;

use gristmill_queue::key::KeySource;
use gristmill_queue::policy::KeyPolicy;
use gristmill_queue::rate::Rate;

use super::check::value;
use super::problem::{Place, Problems};
use super::raw::RawQueue;
use super::section::Given;

/// The rate that was typed.
pub fn rate(rate: &Given<(u32, Duration)>, burst: &Given<u32>) -> Option<Rate> {
    value(rate).map(|(count, per)| Rate::new(count, per, value(burst)))
}

/// By what messages take turns, and what is limited for each key.
pub fn key(
    raw: &RawQueue,
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems<'_>,
) -> Option<KeyPolicy> {
    let typed = raw.key.as_ref()?;
    let Some(source) = KeySource::named(typed.get_ref()) else {
        let key = key("key");
        let message = format!(
            "`{key}`: no message can have an attribute {:?}",
            typed.get_ref()
        );
        let cure = format!(
            "name an attribute, or write \"{}\" to go by the group",
            KeySource::GROUP
        );
        problems.error(typed.span(), &key, message, cure);
        return None;
    };
    Some(KeyPolicy {
        source,
        concurrency: value(&raw.concurrency_per_key),
        rate: rate(&raw.rate_per_key, &raw.burst_per_key),
    })
}

/// Notes what was typed for this queue and does nothing without another key. Defaults for all queues
/// are for those that have it.
pub fn note_idle(
    own: &RawQueue,
    merged: &RawQueue,
    key: &dyn Fn(&str) -> String,
    problems: &mut Problems<'_>,
) {
    fn span<T>(given: &Given<T>) -> Option<Place> {
        given.as_ref().map(toml::Spanned::span)
    }
    let has_key = merged.key.is_some();
    let has_batches = merged.batch_size.is_some();
    let table = [
        ("burst", span(&own.burst), "rate", merged.rate.is_some()),
        (
            "batch_size",
            span(&own.batch_size),
            "handler",
            merged.handler.is_some(),
        ),
        (
            "build",
            span(&own.build),
            "handler",
            merged.handler.is_some(),
        ),
        ("watch", span(&own.watch), "build", merged.build.is_some()),
        (
            "batch_wait",
            span(&own.batch_wait),
            "batch_size",
            has_batches,
        ),
        (
            "batch_bytes",
            span(&own.batch_bytes),
            "batch_size",
            has_batches,
        ),
        (
            "concurrency_per_key",
            span(&own.concurrency_per_key),
            "key",
            has_key,
        ),
        ("rate_per_key", span(&own.rate_per_key), "key", has_key),
        (
            "burst_per_key",
            span(&own.burst_per_key),
            "rate_per_key",
            merged.rate_per_key.is_some(),
        ),
    ];
    for (name, place, needed, given) in table {
        let Some(place) = place.filter(|_| !given && !problems.blame(&[key(needed)])) else {
            continue;
        };
        let example = match needed {
            "key" => "\"tenant\"",
            "handler" => "\"orders.wasm\"",
            "batch_size" => "16",
            "build" => "\"cargo wasm\"",
            _ => "\"5/s\"",
        };
        let name = key(name);
        let message = format!("`{name}` does nothing without `{needed}`");
        let cure = format!("write {needed} = {example}, or remove this");
        problems.error(place, &name, message, cure);
    }
}
