//! A loaded version of a handler.

use std::sync::Arc;
use std::time::Duration;

use super::RuntimeInner;
use super::exports::Program;
use super::form::Form;
use super::instance::{Shared, WarmPool};
use super::spec::{GuaranteeClass, HandlerSpec};

/// One version of a handler: a module that has passed every check under one configuration.
///
/// Deliveries keep the version they began with alive. Drop it, and its warm instances and its code
/// are gone when the last delivery is.
pub struct HandlerVersion {
    pub(super) runtime: Arc<RuntimeInner>,
    pub(super) shared: Arc<Shared>,
    pub(super) program: Program,
    pub(super) warm: WarmPool,
    pub(super) reuse: Reuse,
    pub(super) facts: Facts,
}

/// What loading found out.
pub(super) struct Facts {
    pub(super) hash: String,
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
    pub(super) guarantee: GuaranteeClass,
    pub(super) sizes: Sizes,
    pub(super) compile_time: Option<Duration>,
}

/// How often an instance is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Deliveries of one instance; 1 is a fresh one for each.
    pub calls: u32,
    /// Whether the host chose to reuse, because making an instance takes so long.
    pub chosen_by_host: bool,
    /// How long it takes to make an instance and throw it away, as measured when loading.
    pub instantiation: Duration,
}

/// How large a version is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// The module as it was given.
    pub module: u64,
    /// Its machine code and tables.
    pub compiled: u64,
    /// The memory that a new instance holds.
    pub initial_memory: u64,
}

impl HandlerVersion {
    /// The handler's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.handler
    }

    /// The SHA-256 of the module, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.facts.hash
    }

    /// How it is called.
    #[must_use]
    pub fn form(&self) -> Form {
        self.shared.form
    }

    /// What it imports: its request for permission.
    #[must_use]
    pub fn imports(&self) -> &[String] {
        &self.facts.imports
    }

    /// Whether it reads large bodies by itself, piece by piece. Those of other forms are given every
    /// body whole, as their form has it.
    #[must_use]
    pub fn reads_bodies(&self) -> bool {
        let mut imports = self.facts.imports.iter();
        self.form() == Form::Queue
            && imports.any(|import| import.split('@').next() == Some("gristmill:queue/body"))
    }

    /// What it exports.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.facts.exports
    }

    /// Whether it can be given batches.
    #[must_use]
    pub fn takes_batches(&self) -> bool {
        self.program.takes_batches()
    }

    /// What holds when one of its attempts is cut off.
    #[must_use]
    pub fn guarantee(&self) -> GuaranteeClass {
        self.facts.guarantee
    }

    /// How often an instance is used.
    #[must_use]
    pub fn reuse(&self) -> Reuse {
        self.reuse
    }

    /// The configuration under which it was loaded.
    #[must_use]
    pub fn spec(&self) -> &HandlerSpec {
        &self.shared.spec
    }

    /// How large it is.
    #[must_use]
    pub fn sizes(&self) -> Sizes {
        self.facts.sizes
    }

    /// How long compiling took; `None` if the code came from the cache.
    #[must_use]
    pub fn compile_time(&self) -> Option<Duration> {
        self.facts.compile_time
    }

    /// Instances that wait to be used again.
    #[must_use]
    pub fn warm_instances(&self) -> usize {
        self.warm.len()
    }

    /// Throws away the instances that wait to be used again, for instance because the version was
    /// replaced and is only kept to go back to.
    pub fn discard_warm_instances(&self) {
        self.warm.clear();
    }
}

impl std::fmt::Debug for HandlerVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandlerVersion")
            .field("name", &self.name())
            .field("hash", &self.hash())
            .field("reuse", &self.reuse)
            .finish_non_exhaustive()
    }
}
