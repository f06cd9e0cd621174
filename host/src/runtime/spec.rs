//! What the configuration says about a handler: what it may do, and how much of it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::QueueName;
use gristmill_queue::effects::{Destinations, EffectLimits};

use super::form::Form;

/// A handler as the configuration describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerSpec {
    /// The name it goes by: the file's name without its ending. Its state is kept under this name.
    pub name: String,
    /// The module.
    pub path: PathBuf,
    /// What it may do.
    pub grants: Grants,
    /// How much of it.
    pub limits: HandlerLimits,
    /// The least guarantee that its imports have to allow.
    pub require: GuaranteeClass,
    /// The queues that give it batches: it has to export `batch-handler` if there is one.
    pub batches: Vec<QueueName>,
    /// Its form, if its exports are not to decide.
    pub form: Option<Form>,
    /// What holds if it is a program.
    pub command: CommandRules,
    /// If given, only a module with this SHA-256 is run.
    pub sha256: Option<[u8; 32]>,
}

/// What a handler may do; nothing by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants {
    /// The queues it may send to, each with the most bytes of a body that it takes. Empty: it may
    /// not import `gristmill:queue/producer`, unless it may reply.
    pub send_to: Arc<Destinations>,
    /// Whether it may answer to the `reply-to` of its messages.
    pub reply: bool,
    /// Whether it has a state.
    pub state: bool,
    /// Its secrets, by name. Empty: it may not import `gristmill:queue/secrets`.
    pub secrets: BTreeMap<String, Secret>,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// What `wasi:config/store` tells it.
    pub config: BTreeMap<String, String>,
}

/// What the end and the output of a program mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandRules {
    /// What a failure means that says no more than that it is one.
    pub on_failure: OnFailure,
    /// Where the lines go that it writes to stdout; to the log if nowhere. It may send there.
    pub stdout_to: Option<QueueName>,
}

/// What becomes of the message of a program that fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is delivered again.
    #[default]
    Retry,
    /// It goes to the dead store.
    Reject,
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value into keeping.
    #[must_use]
    pub fn new(value: String) -> Self {
        Secret(value)
    }

    /// The value, for the handler it was granted to.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How much a handler may use.
#[derive(Clone, Debug, PartialEq)]
pub struct HandlerLimits {
    /// How many of its messages may be in flight at once, of all its queues together; if not given,
    /// as many as these have. Kept by the queues, not by the sandbox.
    pub concurrency: Option<NonZeroU32>,
    /// Wall-clock time of one delivery, host calls included, from entering the guest.
    pub timeout: Duration,
    /// The most wall-clock time of one delivery, extensions included; at least `timeout`.
    pub max_timeout: Duration,
    /// CPU time of one delivery.
    pub cpu_time: Duration,
    /// Bytes of each linear memory.
    pub memory: u64,
    /// Elements of each table.
    pub table_elements: u64,
    /// Bytes of stdout, stderr and log lines of one delivery; the rest is thrown away.
    pub output: usize,
    /// How much one delivery may send and store.
    pub effects: EffectLimits,
    /// How many deliveries an instance serves.
    pub max_calls: MaxCalls,
}

/// How many deliveries an instance serves before it is thrown away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxCalls {
    /// One, unless a fresh instance costs so much that the host decides to reuse instances, and says so.
    Auto,
    /// So many; 1 is a fresh instance for every delivery.
    Fixed(u32),
}

/// What holds when an attempt is cut off at any moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum GuaranteeClass {
    /// The handler can reach the outside: what it did there may happen again.
    #[default]
    AtLeastOnce,
    /// No way to the outside: an attempt that is cut off leaves no trace.
    Atomic,
}

impl GuaranteeClass {
    /// The name it goes by.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            GuaranteeClass::AtLeastOnce => "at-least-once",
            GuaranteeClass::Atomic => "atomic",
        }
    }
}

impl Default for HandlerLimits {
    fn default() -> Self {
        HandlerLimits {
            concurrency: None,
            timeout: Duration::from_secs(30),
            max_timeout: Duration::from_secs(15 * 60),
            cpu_time: Duration::from_secs(10),
            memory: 64 * 1024 * 1024,
            table_elements: 100_000,
            output: 64 * 1024,
            effects: EffectLimits::default(),
            max_calls: MaxCalls::Auto,
        }
    }
}
