//! A program in JavaScript → a component.
//!
//! The program is evaluated once, in an engine that is WebAssembly itself, and the memory as it then
//! stands becomes the beginning of every instance. So an instance begins with its program read, and
//! what is wrong with the top level of a program is found here. Knows neither the language nor the
//! SDK: those are in `gristmill-javascript`. It runs what the user wrote, so it belongs into the child
//! that compiles; its own limits are for an endless loop, which is to be told from a slow compiler.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use gristmill_javascript::{ENGINE, ENTRY, LOADER, PACKAGE, SHIM};
use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Instance, Lift, Linker, ResourceTable, WasmList};
use wasmtime::{Config, Engine, OptLevel, Store, StoreContextMut, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::compile::{CompileError, failed};
use super::head_start::HeadStart;
use super::{cache, linker};

/// The function that is given the program, and is of no use afterwards.
pub(super) const INIT: &str = "init";
/// How long the top level of a program may run.
const TOP_LEVEL: Duration = Duration::from_secs(10);
/// Bytes of memory that the top level of a program may fill.
const MEMORY: usize = 256 * 1024 * 1024;
/// Bytes kept of what it prints meanwhile.
const OUTPUT: usize = 16 * 1024;
/// Address space for a memory before it has to move. What the child may have is limited.
const RESERVATION: u64 = 64 * 1024 * 1024;

/// A hash of all that is added to a program.
pub(super) fn made_with() -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(ENGINE);
    hash.update(SHIM);
    for (name, text) in gristmill_javascript::SDK {
        hash.update(name);
        hash.update(text);
    }
    hash.finalize().into()
}

/// A hash of the engine.
pub(super) fn engine_hash() -> [u8; 32] {
    Sha256::digest(ENGINE).into()
}

/// Makes a component of the program in a file of this name.
pub(super) fn component(
    file: &str,
    program: &[u8],
    head: &mut HeadStart,
) -> Result<Vec<u8>, CompileError> {
    let program = std::str::from_utf8(program).map_err(|error| {
        CompileError::Script(format!(
            "{file} is not text: the byte at {} is not UTF-8",
            error.valid_up_to()
        ))
    })?;
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|error| failed("no executor", error))?;
    executor.block_on(evaluate(file, program, head))
}

/// Of what a component imports that was made of a program, keeps what it imports for the sake of the
/// program. The rest is there because the engine can use it, and is not linked.
pub(super) fn keep_used(imports: &mut Vec<String>, program: &[u8]) {
    let used = gristmill_javascript::uses(&String::from_utf8_lossy(program));
    imports.retain(|import| {
        let name = import.split('@').next().unwrap_or(import);
        match name.strip_prefix(PACKAGE) {
            Some(interface) => interface == "types" || used.contains(interface),
            None => name != LOADER,
        }
    });
}

/// Whether the program takes batches. The engine exports that for every program.
pub(super) fn takes_batches(program: &[u8]) -> bool {
    gristmill_javascript::takes_batches(&String::from_utf8_lossy(program))
}

/// What the engine has while it is given a program: nothing of WASI but the time and chance.
struct Top {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for Top {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

async fn evaluate(
    file: &str,
    program: &str,
    head: &mut HeadStart,
) -> Result<Vec<u8>, CompileError> {
    let broken = |error: wasmtime::Error| failed("the JavaScript engine", format!("{error:#}"));
    let engine = Engine::new(&config()).map_err(broken)?;
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(ENGINE).map_err(broken)?;
    let component = evaluator(&engine, &instrumented, head).map_err(broken)?;
    let linker = linked(&engine, &component, file, program).map_err(broken)?;
    let output = MemoryOutputPipe::new(OUTPUT);
    let mut store = Store::new(&engine, top(&output));
    store.limiter(|top| &mut top.limits);
    store.set_epoch_deadline(1);
    let instance = linker
        .instantiate_async(&mut store, &component)
        .await
        .map_err(broken)?;
    {
        let _clock = Clock::start(&engine);
        let script = gristmill_javascript::entry(file, program);
        let result = init(&mut store, &instance, &script).await;
        result.map_err(|problem| CompileError::Script(told(file, program, &problem, &output)))?;
    }
    let mut running = Running { store, instance };
    // The clock may have ticked at the last moment.
    running.store.set_epoch_deadline(u64::MAX / 2);
    wizer
        .snapshot_component(&context, &mut running)
        .await
        .map_err(broken)
}

/// The engine, ready to be given a program.
fn evaluator(
    engine: &Engine,
    instrumented: &[u8],
    head: &mut HeadStart,
) -> wasmtime::Result<Component> {
    if let Some(code) = head.evaluator()
        && let Ok(component) = cache::evaluator(engine, code)
    {
        return Ok(component);
    }
    // There is none, or it is another engine's, and so are the functions that came with it.
    head.begin(engine.precompile_component(instrumented)?);
    cache::evaluator(engine, head.evaluator().unwrap_or_default())
}

/// Code that is run once: quickly made rather than quick, and in little address space.
fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .cranelift_opt_level(OptLevel::None)
        .memory_reservation(RESERVATION)
        .memory_reservation_for_growth(RESERVATION)
        .memory_guard_size(0);
    config
}

fn top(output: &MemoryOutputPipe) -> Top {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stdout(output.clone())
        .stderr(output.clone())
        .allow_tcp(false)
        .allow_udp(false);
    Top {
        wasi: wasi.build(),
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new().memory_size(MEMORY).build(),
    }
}

fn linked(
    engine: &Engine,
    component: &Component,
    file: &str,
    program: &str,
) -> wasmtime::Result<Linker<Top>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    let mut loader = linker.instance(LOADER)?;
    let name = file.to_owned();
    loader.func_wrap(
        "resolve",
        move |_: StoreContextMut<'_, Top>, (referrer, specifier): (String, String)| {
            let found = gristmill_javascript::resolve(&name, &referrer, &specifier);
            Ok((found.map_err(|error| error.0),))
        },
    )?;
    let (name, text) = (file.to_owned(), program.to_owned());
    loader.func_wrap(
        "load",
        move |_: StoreContextMut<'_, Top>, (path,): (String,)| {
            let found = gristmill_javascript::load(&name, &text, &path);
            Ok((found.map(ToOwned::to_owned).map_err(|error| error.0),))
        },
    )?;
    // What messages and state are is not known yet.
    linker::link_as_traps(&mut linker, component, |import| import.starts_with(PACKAGE))?;
    Ok(linker)
}

/// Gives the engine its program.
async fn init(store: &mut Store<Top>, instance: &Instance, script: &str) -> Result<(), String> {
    type Init<'s> = (&'s str, &'s str, Option<&'s str>, bool);
    let whole = |error: wasmtime::Error| match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => format!(
            "its top level ran for more than {TOP_LEVEL:?}: it is run once, before the first \
             message, and must end"
        ),
        _ => format!("{error:#}"),
    };
    let init = instance
        .get_typed_func::<Init<'_>, (Result<(), String>,)>(&mut *store, INIT)
        .map_err(whole)?;
    let (result,) = init
        .call_async(&mut *store, (SHIM, script, Some(ENTRY), false))
        .await
        .map_err(whole)?;
    result
}

/// The engine's words, as the writer of the file needs them: the place first, and the line.
fn told(file: &str, program: &str, problem: &str, output: &MemoryOutputPipe) -> String {
    let mut said = problem;
    // The engine tells its own steps before what is wrong.
    while let Some((step, rest)) = said.split_once(": ")
        && ["Failed to ", "Error"]
            .iter()
            .any(|begin| step.starts_with(begin))
    {
        said = rest;
    }
    let (frames, words): (Vec<&str>, Vec<&str>) = said
        .lines()
        .partition(|line| line.trim_start().starts_with("at "));
    let words = words.join("\n");
    let words = words
        .replace("Exception generated by quickjs: ", "its top level threw ")
        .replace("'/gristmill/index.js'", "\"gristmill\"");
    let place = frames.iter().find_map(|frame| place(file, frame));
    let mut told = match place {
        Some((line, column)) => {
            let text = program.lines().nth(line.saturating_sub(1)).unwrap_or("");
            let caret = " ".repeat(column.saturating_sub(1));
            format!("{file}:{line}:{column}: {words}\n  | {text}\n  | {caret}^")
        }
        None => match words.strip_prefix("the module ") {
            Some(rest) => format!("{file} {rest}"),
            None if words.starts_with(file) => words,
            None => format!("{file}: {words}"),
        },
    };
    let printed = output.contents();
    let printed = String::from_utf8_lossy(&printed);
    if !printed.trim().is_empty() {
        told.push_str("\nit printed:\n");
        told.push_str(printed.trim_end());
    }
    told
}

/// Line and column in the file that a frame of a stack names.
fn place(file: &str, frame: &str) -> Option<(usize, usize)> {
    let (_, after) = frame.split_once(&format!("/{file}:"))?;
    let mut numbers = after.split(|c: char| !c.is_ascii_digit());
    let line = numbers.next()?.parse().ok()?;
    Some((
        line,
        numbers.next().and_then(|n| n.parse().ok()).unwrap_or(1),
    ))
}

/// Stops a program that does not end, until it is dropped.
struct Clock(#[expect(dead_code, reason = "dropping it tells the thread")] mpsc::Sender<()>);

impl Clock {
    fn start(engine: &Engine) -> Self {
        let (running, ended) = mpsc::channel::<()>();
        let engine = engine.clone();
        // Without the thread, the limits of the child hold.
        let _ = std::thread::Builder::new().spawn(move || {
            if ended.recv_timeout(TOP_LEVEL) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Clock(running)
    }
}

/// The engine, with its program read.
struct Running {
    store: Store<Top>,
    instance: Instance,
}

impl Running {
    /// Calls a function of those that were added to look into the memory.
    #[expect(
        clippy::expect_used,
        reason = "these functions were added when the component was made ready for this"
    )]
    async fn call<R: Lift + 'static>(&mut self, instance: &str, function: &str) -> R {
        let (_, instance) = self
            .instance
            .get_export(&mut self.store, None, instance)
            .expect("the instance that was added");
        let (_, function) = self
            .instance
            .get_export(&mut self.store, Some(&instance), function)
            .expect("its function");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut self.store, function)
            .expect("of this type");
        let called = function.call_async(&mut self.store, ()).await;
        called.expect("it only reads").0
    }
}

impl ComponentInstanceState for Running {
    async fn call_func_ret_list_u8(
        &mut self,
        instance: &str,
        func: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.call(instance, func).await;
        contents(list.as_le_slice(&self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, func: &str) -> i32 {
        self.call(instance, func).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, func: &str) -> i64 {
        self.call(instance, func).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, func: &str) -> u32 {
        let value: f32 = self.call(instance, func).await;
        value.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, func: &str) -> u64 {
        let value: f64 = self.call(instance, func).await;
        value.to_bits()
    }
}
