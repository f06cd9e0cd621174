//! The engine: how guests are compiled and where they live, and the thread that makes time pass.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

use wasmtime::{Config, Engine, EngineWeak, InstanceAllocationStrategy, WasmBacktraceDetails};

use super::clock::TICK;
use super::{RuntimeError, RuntimeOptions, pool};

/// Linear memories of one component.
pub(super) const MAX_MEMORIES: u32 = 32;
/// Tables of one component.
pub(super) const MAX_TABLES: u32 = 64;
/// Core instances of one component: Rust has 3, Python about 20.
pub(super) const MAX_CORE_INSTANCES: u32 = 200;
/// The most memory limit that a handler can be given: wasm32 ends there.
pub(super) const MAX_MEMORY_LIMIT: u64 = 4 * 1024 * 1024 * 1024;

const MIB: usize = 1024 * 1024;
/// Stack of a guest. What is left of the fiber's stack is for the host functions that it calls.
const WASM_STACK: usize = MIB;
const FIBER_STACK: usize = 2 * MIB;
/// Frames of a backtrace, of which a panicking language takes a dozen for itself.
const MAX_BACKTRACE: usize = 40;
/// JavaScript and Python components start from images of 12 to 18 MB.
const DENSE_IMAGE: u64 = 64 * 1024 * 1024;
/// The ticker goes to sleep after so many ticks without a guest.
const IDLE_TICKS: u32 = 100;

/// All that decides about compiled code; the child that compiles uses the same.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        // 64-bit memories lose the guard pages. Threads, whose memory would escape the limits, are
        // not even built in.
        .wasm_memory64(false)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(MAX_BACKTRACE))
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .memory_guaranteed_dense_image_size(DENSE_IMAGE)
        .force_memory_init_memfd(true);
    config
}

/// An engine with a pool, or without one where the address space does not suffice.
pub(super) fn engine(options: &RuntimeOptions) -> Result<Engine, RuntimeError> {
    if options.pagemap_scan && swap_is_on() {
        return Err(RuntimeError::PagemapScanWithSwap);
    }
    let mut pooled = config();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool::pool(options)));
    match Engine::new(&pooled) {
        Ok(engine) => Ok(engine),
        Err(error) => {
            tracing::warn!(
                error = format!("{error:#}"),
                max_in_flight = options.max_instances,
                "no address space for a pool of instances, so each delivery maps memory afresh, \
                 which is about three times slower: allow more address space (ulimit -v), or lower \
                 host.max_in_flight"
            );
            Engine::new(&config()).map_err(|error| RuntimeError::Engine(format!("{error:#}")))
        }
    }
}

/// Whether pages may be swapped out. With `pagemap_scan` such a page would survive into the next
/// instance of its slot, which may be another handler's.
fn swap_is_on() -> bool {
    std::fs::read_to_string("/proc/swaps").is_ok_and(|swaps| swaps.lines().count() > 1)
}

/// A thread of its own that advances the epoch while guests run: a task would be late exactly when
/// guests keep the executor busy.
pub(super) struct Ticker {
    shared: Arc<TickerShared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct TickerShared {
    running: AtomicU64,
    asleep: AtomicBool,
    closing: AtomicBool,
}

/// Keeps the ticker awake.
pub(super) struct Ticking<'a>(&'a Ticker);

impl Ticker {
    pub(super) fn start(engine: &Engine) -> std::io::Result<Self> {
        let shared = Arc::new(TickerShared::default());
        let thread = thread::Builder::new().name("epoch".to_owned()).spawn({
            let (shared, engine) = (Arc::clone(&shared), engine.weak());
            move || tick(&shared, &engine)
        })?;
        Ok(Ticker {
            shared,
            thread: Some(thread),
        })
    }

    /// Lets time pass until the value is dropped.
    pub(super) fn run(&self) -> Ticking<'_> {
        self.shared.running.fetch_add(1, SeqCst);
        if self.shared.asleep.load(SeqCst) {
            self.wake();
        }
        Ticking(self)
    }

    /// How many guests are running or waiting.
    pub(super) fn running(&self) -> u64 {
        self.shared.running.load(SeqCst)
    }

    #[cfg(test)]
    pub(super) fn is_asleep(&self) -> bool {
        self.shared.asleep.load(SeqCst)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.shared.running.fetch_sub(1, SeqCst);
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.closing.store(true, SeqCst);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It cannot panic, and if it did there would be nothing to tell here.
            let _ = thread.join();
        }
    }
}

fn tick(shared: &TickerShared, engine: &EngineWeak) {
    let mut idle = 0;
    while !shared.closing.load(SeqCst) {
        thread::sleep(TICK);
        let Some(engine) = engine.upgrade() else {
            return;
        };
        engine.increment_epoch();
        drop(engine);
        if shared.running.load(SeqCst) > 0 {
            idle = 0;
            continue;
        }
        idle += 1;
        if idle >= IDLE_TICKS {
            sleep_until_needed(shared);
            idle = 0;
        }
    }
}

fn sleep_until_needed(shared: &TickerShared) {
    // Whoever begins to run looks at `asleep` after counting itself, so either it is seen here or
    // it wakes this thread.
    shared.asleep.store(true, SeqCst);
    while shared.running.load(SeqCst) == 0 && !shared.closing.load(SeqCst) {
        thread::park();
    }
    shared.asleep.store(false, SeqCst);
}
