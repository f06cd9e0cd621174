//! Handlers as they are shown.

use std::time::Duration;

use gristmill_queue::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::runtime::HandlerVersion;

/// What a handler is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HandlerStatus {
    /// A version is loaded and takes messages, even if a newer file was refused.
    Serving,
    /// Its first version is being compiled and checked.
    Loading,
    /// Its file is not there.
    Missing,
    /// Its file may not serve, and there is no earlier version.
    Refused,
}

impl HandlerStatus {
    /// The stable code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            HandlerStatus::Serving => "serving",
            HandlerStatus::Loading => "loading",
            HandlerStatus::Missing => "missing",
            HandlerStatus::Refused => "refused",
        }
    }
}

/// A handler, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandlerView {
    /// Its name.
    pub name: String,
    /// Its file, in the folder of handlers.
    pub file: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// What it is doing.
    pub status: HandlerStatus,
    /// Why it is missing, refused, or serves an older version than the file's.
    pub problem: Option<String>,
    /// The version that serves.
    pub version: Option<VersionView>,
    /// What became of its batches, if a queue gives it some.
    pub batches: Option<BatchesView>,
    /// How long its newest file has been compiled and checked by now, if it is at this moment. What
    /// served before serves on.
    pub loading_ms: Option<u64>,
}

/// The batches that a handler got since the start of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BatchesView {
    /// The queues that give it batches.
    pub queues: Vec<String>,
    /// How many batches there were.
    pub calls: u64,
    /// How many messages were in them.
    pub messages: u64,
}

/// A version of a handler, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionView {
    /// SHA-256 of the module, in hexadecimal.
    pub hash: String,
    /// When it was loaded.
    pub loaded_at_ms: u64,
    /// How it is called: `queue`, `messaging`, `http` or `command`.
    pub form: String,
    /// Bytes of the module.
    pub module_bytes: u64,
    /// Bytes of its machine code and tables.
    pub compiled_bytes: u64,
    /// How long compiling took; `None` if the code came from the cache.
    pub compile_ms: Option<u64>,
    /// How long making an instance takes.
    pub instantiation_us: u64,
    /// Deliveries of one instance; 1 is a fresh one for each.
    pub calls_per_instance: u32,
    /// The host chose to reuse instances, because making one takes so long.
    pub reuse_chosen_by_host: bool,
    /// `atomic` or `at-least-once`: what holds when an attempt is cut off.
    pub guarantee: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// Instances that wait to be used again.
    pub warm_instances: usize,
}

impl VersionView {
    /// A version as it is shown.
    #[must_use]
    pub fn of(version: &HandlerVersion, loaded_at: Timestamp) -> Self {
        let whole = |units: u128| u64::try_from(units).unwrap_or(u64::MAX);
        let (reuse, sizes) = (version.reuse(), version.sizes());
        VersionView {
            hash: version.hash().to_owned(),
            loaded_at_ms: loaded_at.unix_ms(),
            form: version.form().as_str().to_owned(),
            module_bytes: sizes.module,
            compiled_bytes: sizes.compiled,
            compile_ms: version.compile_time().map(|time| whole(time.as_millis())),
            instantiation_us: whole(reuse.instantiation.as_micros()),
            calls_per_instance: reuse.calls,
            reuse_chosen_by_host: reuse.chosen_by_host,
            guarantee: version.guarantee().as_str().to_owned(),
            imports: version.imports().to_vec(),
            warm_instances: version.warm_instances(),
        }
    }

    /// How long making an instance takes.
    #[must_use]
    pub fn instantiation(&self) -> Duration {
        Duration::from_micros(self.instantiation_us)
    }
}
