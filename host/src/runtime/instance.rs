//! One sandbox: the store's content, its limits, and the warm instances of a handler.
//!
//! Everything about a delivery lives in [`Call`], which is put in before the guest is entered and
//! taken out after, so that a reused instance cannot see a delivery that is over.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use gristmill_queue::{BlobReader, Message, Transaction};
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;

use super::clock::Clock;
use super::denied::Denied;
use super::engine::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use super::exports::Exports;
use super::form::Form;
use super::forms::command;
use super::forms::http::Exchange;
use super::forms::preview1::Started;
use super::forms::streams::Streams;
use super::log_budget::LogBudget;
use super::output::{Output, Source, Stream};
use super::spec::{HandlerSpec, Secret};
use super::{EndingFlag, Progress};

/// Handles to resources of the host (streams, pollables, …) that a guest may hold.
const MAX_RESOURCES: usize = 1000;
/// Random bytes that a guest may ask for at once.
const MAX_RANDOM: u64 = 64 * 1024;
/// A warm instance with more memory than this is thrown away rather than kept.
const MAX_WARM_MEMORY: u64 = 64 * 1024 * 1024;
/// The most memory of all warm instances of the host together.
const MAX_WARM_MEMORY_IN_ALL: u64 = 1024 * 1024 * 1024;

/// What all instances of a handler version share.
pub(super) struct Shared {
    pub(super) spec: HandlerSpec,
    pub(super) form: Form,
    pub(super) handler: Arc<str>,
    pub(super) config: WasiConfigVariables,
    secrets: Arc<[Secret]>,
    log_budget: Arc<LogBudget>,
}

impl Shared {
    pub(super) fn new(spec: HandlerSpec, form: Form) -> Self {
        let config = spec.grants.config.iter();
        Shared {
            handler: spec.name.as_str().into(),
            config: config.map(|(k, v)| (k.clone(), v.clone())).collect(),
            secrets: spec.grants.secrets.values().cloned().collect(),
            log_budget: Arc::new(LogBudget::new()),
            form,
            spec,
        }
    }

    /// What is done with the streams of a program, beside logging them.
    fn streams(&self) -> Option<Streams> {
        let to_queue = self.spec.command.stdout_to.is_some();
        let most = to_queue.then_some(self.spec.limits.effects.max_send_bytes);
        (self.form == Form::Command).then(|| Streams::new(most))
    }
}

/// The delivery that a guest is working on.
pub(super) struct Call {
    pub(super) messages: Messages,
    /// Which attempt it is; of several messages, of the first.
    pub(super) attempt: u32,
    pub(super) max_attempts: Option<u32>,
    pub(super) previous_failure: Option<String>,
    pub(super) transaction: Transaction,
    pub(super) ending: EndingFlag,
    pub(super) progress: Option<Progress>,
    /// Its large body, if the guest reads it by itself.
    pub(super) large: Option<Arc<dyn BlobReader>>,
    /// That body turned out to be damaged.
    pub(super) damaged: bool,
}

/// The messages of a delivery. One message needs no list.
pub(super) enum Messages {
    One(Arc<Message>),
    Batch(Vec<Arc<Message>>),
}

impl Messages {
    /// All of them.
    pub(super) fn all(&self) -> &[Arc<Message>] {
        match self {
            Messages::One(message) => std::slice::from_ref(message),
            Messages::Batch(messages) => messages,
        }
    }

    /// The only one, if there is but one.
    pub(super) fn only(&self) -> Option<&Message> {
        match self.all() {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// What a store holds.
pub(super) struct Sandbox {
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Arc<Clock>,
    pub(super) output: Output,
    pub(super) limiter: Limiter,
    /// In a box, because it is large and goes through many hands.
    call: Option<Box<Call>>,
    wasi: Option<WasiCtx>,
    /// Of a core module. In a box, because other guests carry the room for it around.
    started: Option<Box<Started>>,
    pub(super) table: ResourceTable,
    /// Bytes of what forms keep in the table for the guest.
    pub(super) held: u64,
    /// Of a handler of requests.
    pub(super) exchange: Exchange,
    /// What was asked for in this delivery that no handler has.
    pub(super) denied: Option<Denied>,
}

impl Sandbox {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let limits = &shared.spec.limits;
        Sandbox {
            clock: Arc::new(Clock::new()),
            output: Output::new(
                Arc::clone(&shared.handler),
                Arc::clone(&shared.secrets),
                Arc::clone(&shared.log_budget),
                limits.output,
                shared.streams(),
            ),
            limiter: Limiter::new(limits.memory, limits.table_elements),
            call: None,
            wasi: None,
            started: None,
            table,
            held: 0,
            exchange: Exchange::default(),
            denied: None,
            shared,
        }
    }

    /// Puts a delivery in and starts its time.
    pub(super) fn begin(&mut self, call: Box<Call>) {
        self.output.clear();
        self.limiter.refused = None;
        self.denied = None;
        self.clock.start(&self.shared.spec.limits);
        self.call = Some(call);
    }

    /// Takes the delivery out.
    pub(super) fn end(&mut self) -> Option<Box<Call>> {
        self.output.flush();
        self.call.take()
    }

    /// The delivery in progress.
    ///
    /// # Errors
    /// A trap when there is none: the guest has no business to call the host then.
    pub(super) fn call(&mut self) -> wasmtime::Result<&mut Call> {
        self.call
            .as_deref_mut()
            .ok_or_else(|| wasmtime::Error::msg("called the host outside of a delivery"))
    }

    /// What a core module was started with.
    pub(super) fn started(&mut self) -> &mut Started {
        let (spec, call) = (&self.shared.spec, self.call.as_deref());
        self.started
            .get_or_insert_with(|| Box::new(Started::new(spec, call)))
    }

    fn wasi(shared: &Shared, output: &Output, call: Option<&Call>) -> WasiCtxBuilder {
        let stream = |source| Stream {
            output: output.clone(),
            source,
        };
        let mut builder = WasiCtx::builder();
        if let (Form::Command, Some(call)) = (shared.form, call) {
            command::prepare(&mut builder, &shared.handler, call);
        }
        for (name, value) in &shared.spec.grants.env {
            builder.env(name, value);
        }
        builder
            .stdout(stream(Source::Stdout))
            .stderr(stream(Source::Stderr))
            .max_random_size(MAX_RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        builder
    }
}

impl WasiView for Sandbox {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Made when it is first asked for: a handler that never does anything with WASI saves it.
        let ctx = self.wasi.get_or_insert_with(|| {
            Self::wasi(&self.shared, &self.output, self.call.as_deref()).build()
        });
        WasiCtxView {
            ctx,
            table: &mut self.table,
        }
    }
}

/// Bounds what a guest may hold, and notes what it was refused: a guest that is refused memory
/// traps somewhere else, and nobody would know why.
pub(super) struct Limiter {
    memory: u64,
    table_elements: u64,
    held: u64,
    /// The size in bytes of a memory that was refused, in this delivery.
    pub(super) refused: Option<u64>,
}

impl Limiter {
    fn new(memory: u64, table_elements: u64) -> Self {
        Limiter {
            memory,
            table_elements,
            held: 0,
            refused: None,
        }
    }

    /// Bytes of linear memory. It never shrinks, so this is the peak as well.
    pub(super) fn held(&self) -> u64 {
        self.held
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired as u64 > self.memory || maximum.is_some_and(|maximum| desired > maximum) {
            self.refused = Some(desired as u64);
            return Ok(false);
        }
        self.held += (desired - current) as u64;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!("a memory could not grow: {error}");
        self.refused.get_or_insert(self.memory);
        Ok(())
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired as u64 <= self.table_elements && maximum.is_none_or(|most| desired <= most))
    }

    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

/// An instance that has returned cleanly and may serve again.
pub(super) struct Warm {
    pub(super) store: Store<Sandbox>,
    pub(super) exports: Exports,
    pub(super) calls: u32,
}

/// How many warm instances the host keeps, and how much memory they hold.
#[derive(Default)]
pub(super) struct WarmBudget {
    instances: AtomicU64,
    memory: AtomicU64,
}

impl WarmBudget {
    fn take(&self, memory: u64, most: u32) -> bool {
        let instances = self.instances.fetch_add(1, Relaxed);
        let held = self.memory.fetch_add(memory, Relaxed);
        let granted = instances < u64::from(most) && held + memory <= MAX_WARM_MEMORY_IN_ALL;
        if !granted {
            self.give_back(memory);
        }
        granted
    }

    fn give_back(&self, memory: u64) {
        self.instances.fetch_sub(1, Relaxed);
        self.memory.fetch_sub(memory, Relaxed);
    }

    pub(super) fn instances(&self) -> u64 {
        self.instances.load(Relaxed)
    }
}

/// The warm instances of one handler version, the latest used on top.
pub(super) struct WarmPool {
    stack: Mutex<Vec<Warm>>,
    budget: Arc<WarmBudget>,
    most: u32,
}

impl WarmPool {
    pub(super) fn new(budget: Arc<WarmBudget>, most: u32) -> Self {
        WarmPool {
            stack: Mutex::new(Vec::new()),
            budget,
            most,
        }
    }

    pub(super) fn take(&self) -> Option<Warm> {
        let warm = self.lock().pop()?;
        self.budget.give_back(warm.store.data().limiter.held());
        Some(warm)
    }

    /// Keeps an instance for later, or drops it if it has grown too large or there are too many.
    pub(super) fn keep(&self, warm: Warm) {
        let held = warm.store.data().limiter.held();
        if held <= MAX_WARM_MEMORY && self.budget.take(held, self.most) {
            self.lock().push(warm);
        }
    }

    pub(super) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.lock());
        for warm in &dropped {
            self.budget.give_back(warm.store.data().limiter.held());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Warm>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WarmPool {
    fn drop(&mut self) {
        self.clear();
    }
}
