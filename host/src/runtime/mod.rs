//! The sandbox: wasmtime, and nothing outside this room knows of it.
//!
//! Loads a module into a [`HandlerVersion`] and runs deliveries through it. Knows the core's types
//! only: no store (the guest's effects are a `Transaction` that somebody else commits), no
//! configuration file and no HTTP. So a handler can be run in a test with nothing around it.
//!
//! | file | what it knows |
//! |---|---|
//! | `spec` | what the configuration grants a handler |
//! | `engine` | the settings of wasmtime, the pool, the thread that makes time pass |
//! | `compile` | wasm → machine code, in a child with limits, which is `compile_child` |
//! | `source` | what a file is; `componentize` and `javascript`: what makes a component of it |
//! | `cache` | compiled code on disk |
//! | `load` | everything that is checked before a version may serve; `load_error` says what failed |
//! | `trial` | the last check: does it start, and how long does that take |
//! | `linker` | grants → imports |
//! | `version` | a loaded version: what `load` found out about it; `producers`: what built it |
//! | `denied` | what no handler has, and what is said to one that asks for it |
//! | `instance` | what a store holds, and the warm instances |
//! | `clock` | the time of one delivery |
//! | `call` | one delivery; `batch`: one of several messages; `rehearsal`: one that nobody commits |
//! | `form` | how a handler is called, as its exports say |
//! | `program` | code → what instances are made of, linked by grants |
//! | `exports`, `wire` | what is called, and what a message looks like there |
//! | `forms/` | how those are called that were not written for this host |
//! | `host/` | the interfaces that guests may call |
//! | `output` | what guests print; `log_budget`: how much of it goes to the log |
//! | `failure` | what a guest's end means |

mod batch;
mod bindings;
mod cache;
mod call;
mod clock;
mod compile;
mod compile_child;
mod componentize;
mod denied;
mod engine;
mod exports;
mod failure;
mod form;
mod forms;
mod head_start;
mod host;
mod instance;
#[cfg(feature = "javascript")]
mod javascript;
#[cfg(not(feature = "javascript"))]
#[path = "no_javascript.rs"]
mod javascript;
mod linker;
mod load;
mod load_error;
mod log_budget;
mod output;
mod pool;
mod producers;
mod program;
mod rehearsal;
mod source;
pub mod spec;
#[cfg(test)]
pub(crate) mod tests;
mod trial;
mod version;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gristmill_queue::outcome::{Diagnostics, Usage};
use gristmill_queue::{BlobReader, Effects, Message, Outcome, Transaction};
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::Engine;

pub use batch::{BatchDelivery, BatchReport};
pub(crate) use clock::note_long;
pub use clock::{QUICK, took_long};
use compile::Compiler;
pub use compile::{CompileLimits, CompileMode};
pub use compile_child::compile_child_main;
use engine::Ticker;
pub use form::Form;
use instance::WarmBudget;
pub use load::MAX_MODULE;
pub use load_error::LoadError;
pub use producers::{Format, Producers};
pub use rehearsal::{CallCost, Rehearsal};
use spec::HandlerSpec;
pub use version::{HandlerVersion, Reuse, Sizes};

/// How the sandbox is set up.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// Deliveries in flight at once.
    pub max_instances: u32,
    /// The largest memory limit of any handler, in bytes.
    pub max_memory: u64,
    /// Where compiled code is kept. Made if missing, and nobody else may read or write it: what
    /// lies there is run as it is.
    pub cache_dir: PathBuf,
    /// Where modules are compiled.
    pub compile: CompileMode,
    /// What compiling one module may take.
    pub compile_limits: CompileLimits,
    /// Clears memory between deliveries by asking the kernel which pages were touched. Faster for
    /// large guests, and refused where swap is on, because a page that was swapped out would be
    /// missed and seen by the next delivery.
    pub pagemap_scan: bool,
}

impl RuntimeOptions {
    /// The defaults: 256 deliveries at once, handlers of up to 64 MiB.
    #[must_use]
    pub fn new(cache_dir: PathBuf, compile: CompileMode) -> Self {
        RuntimeOptions {
            max_instances: 256,
            max_memory: 64 * 1024 * 1024,
            cache_dir,
            compile,
            compile_limits: CompileLimits::default(),
            pagemap_scan: false,
        }
    }
}

/// Why the sandbox cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine refuses its settings.
    #[error("the WebAssembly engine does not start: {0}")]
    Engine(String),
    /// The ticker does not start.
    #[error("the thread that limits the handlers' time does not start: {0}")]
    Ticker(std::io::Error),
    /// The cache directory is not usable.
    #[error("the cache of compiled handlers, {path}, is not usable: {problem}")]
    CacheDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// `pagemap_scan` on a machine with swap.
    #[error(
        "pagemap_scan is on, but so is swap: pages that were swapped out would leak from one \
         delivery to the next. Switch swap or pagemap_scan off"
    )]
    PagemapScanWithSwap,
}

/// The sandbox. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Runtime {
    inner: Arc<RuntimeInner>,
}

/// What all versions share.
pub(crate) struct RuntimeInner {
    engine: Engine,
    ticker: Ticker,
    slots: Semaphore,
    max_instances: u32,
    warm: Arc<WarmBudget>,
    compiler: Compiler,
}

impl Runtime {
    /// Sets up the engine, the pool of instances and the cache directory.
    ///
    /// # Errors
    /// When one of them is not to be had.
    pub fn new(options: RuntimeOptions) -> Result<Self, RuntimeError> {
        let engine = engine::engine(&options)?;
        let ticker = Ticker::start(&engine).map_err(RuntimeError::Ticker)?;
        let compiler = Compiler::new(options.cache_dir, options.compile, options.compile_limits)?;
        Ok(Runtime {
            inner: Arc::new(RuntimeInner {
                engine,
                ticker,
                slots: Semaphore::new(options.max_instances as usize),
                max_instances: options.max_instances,
                warm: Arc::default(),
                compiler,
            }),
        })
    }

    /// Loads a module: checks it, compiles it or finds it in the cache, links it with what `spec`
    /// grants, and tries whether it starts.
    ///
    /// Blocks for as long as compiling takes, which may be many seconds: call it on a thread that
    /// may block.
    ///
    /// # Errors
    /// With what is wrong with the module, and what to do about it.
    pub fn load(
        &self,
        spec: &HandlerSpec,
        module: &[u8],
    ) -> Result<Arc<HandlerVersion>, LoadError> {
        load::load(&self.inner, spec, module)
    }

    /// Deliveries that are running or waiting in a host call.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.inner.ticker.running()
    }

    /// The most deliveries at once.
    #[must_use]
    pub fn max_instances(&self) -> u32 {
        self.inner.max_instances
    }

    /// Instances that wait to be used again, of all handlers.
    #[must_use]
    pub fn warm_instances(&self) -> u64 {
        self.inner.warm.instances()
    }
}

impl RuntimeInner {
    async fn slot(&self, wait: Duration) -> Option<SemaphorePermit<'_>> {
        if let Ok(permit) = self.slots.try_acquire() {
            return Some(permit);
        }
        let permit = tokio::time::timeout(wait, self.slots.acquire()).await;
        permit.ok()?.ok()
    }
}

/// Tells a running handler that it should wind up. Set it once; it stays set.
#[derive(Clone, Debug, Default)]
pub struct EndingFlag(Arc<AtomicBool>);

impl EndingFlag {
    /// From now on `delivery.ending` is true.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was set.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A message on its way into a handler.
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// How many there may be.
    pub max_attempts: Option<u32>,
    /// Why the attempt before failed.
    pub previous_failure: Option<String>,
    /// What the handler sends and stores goes in here.
    pub transaction: Transaction,
    /// Whether the handler should wind up.
    pub ending: EndingFlag,
    /// Whether no instance that served before may be used.
    pub fresh: bool,
    /// The message's large body, for a handler that reads it by itself; `message.body` is empty then.
    pub large: Option<Arc<dyn BlobReader>>,
}

/// How a delivery ended.
#[derive(Debug)]
pub struct AttemptReport {
    /// What becomes of the message.
    pub outcome: Outcome,
    /// What to commit with the ack; empty unless the outcome is `Done`.
    pub effects: Effects,
    /// What it used. `cpu` is the time spent on a thread.
    pub usage: Usage,
    /// What it left behind when it failed.
    pub diagnostics: Option<Diagnostics>,
    /// How far it said it had come.
    pub progress: Option<Progress>,
    /// Whether the instance had served before.
    pub reused: bool,
    /// Whether the message's large body turned out to be damaged.
    pub damaged_body: bool,
}

/// How far a handler says that it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// In the handler's words.
    pub note: String,
}
