//! Wasm → machine code, and the cache of it.
//!
//! A hostile module can keep a compiler busy for minutes or make it eat all memory, so compiling is
//! done by a child process that can be killed: the same binary, told `__compile`. The child gets
//! the file as its standard input and the cache's new file as its standard output; it needs no
//! path, no environment and no configuration. What is no component yet is made one there, too.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use wasmtime::component::Component;
use wasmtime::{Engine, Module, ResourcesRequired};

use super::RuntimeError;
use super::cache::{self, Cache};
use super::compile_child::{EXIT_INTERFACE, EXIT_INVALID, EXIT_SCRIPT, MAX_CODE, VERB};
use super::engine;
use super::head_start::HeadStart;
use super::source::{CORE, Kind, Source};

/// Bytes read of what the child says.
const MAX_COMPLAINT: u64 = 16 * 1024;
/// What the child's allocators may reserve in advance. The limit counts what is reserved, not what is
/// used: mimalloc would reserve a gigabyte before it is asked for a byte, and the C library's 128 MiB
/// for each thread.
const RESERVE: [(&str, &str); 2] = [
    ("MIMALLOC_ARENA_RESERVE", "16MiB"),
    ("MALLOC_ARENA_MAX", "1"),
];
/// Memory for each thread of the compiler: more threads hold more functions at once.
const MEMORY_OF_A_THREAD: u64 = 256 * MIB;
const MIB: u64 = 1024 * 1024;

/// Where modules are compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileMode {
    /// In a child process, which is `exe` called with `__compile`; see
    /// [`compile_child_main`](super::compile_child_main).
    Child {
        /// The binary.
        exe: PathBuf,
    },
    /// In this process, without limits: for tests.
    InProcess,
}

/// What compiling one module may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// CPU time.
    pub cpu: Duration,
    /// Wall-clock time.
    pub wall: Duration,
    /// Address space, in bytes.
    pub memory: u64,
}

impl Default for CompileLimits {
    fn default() -> Self {
        CompileLimits {
            cpu: Duration::from_secs(120),
            wall: Duration::from_secs(180),
            memory: 4 * 1024 * 1024 * 1024,
        }
    }
}

/// Why there is no code.
pub(super) enum CompileError {
    /// The module is at fault.
    Invalid(String),
    /// It is a core module, and no component can be made of it.
    Interface(String),
    /// It is a program that cannot be a handler: what is wrong, with the name of the file.
    Script(String),
    /// An instance needs more to start than the pool has for one: what it needs, and what the pool says.
    TooLarge(Box<ResourcesRequired>, String),
    /// Anything else.
    Failed(String),
}

pub(super) fn failed(what: &str, error: impl std::fmt::Display) -> CompileError {
    CompileError::Failed(format!("{what}: {error}"))
}

/// Machine code.
pub(super) enum Code {
    /// Of a component.
    Component(Component),
    /// Of a core module.
    Module(Module),
}

impl Code {
    /// What an instance of it needs; `None` if it is made of code that it does not bring.
    pub(super) fn resources_required(&self) -> Option<ResourcesRequired> {
        match self {
            Code::Component(component) => component.resources_required(),
            Code::Module(module) => Some(module.resources_required()),
        }
    }
}

/// Compiles a component or a core module.
pub(super) fn precompile(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, CompileError> {
    let code = match module.starts_with(&CORE) {
        true => engine.precompile_module(module),
        false => engine.precompile_component(module),
    };
    code.map_err(|error| CompileError::Invalid(format!("{error:#}")))
}

/// A compiled module.
pub(super) struct Compiled {
    pub(super) code: Code,
    /// Bytes of machine code and tables.
    pub(super) size: u64,
    /// How long compiling took; `None` if it was in the cache.
    pub(super) time: Option<Duration>,
}

/// The compiler and its cache.
pub(super) struct Compiler {
    cache: Cache,
    mode: CompileMode,
    limits: CompileLimits,
    /// One at a time: a folder full of new modules must not take all cores from the guests.
    turn: Mutex<()>,
}

impl Compiler {
    pub(super) fn new(
        dir: PathBuf,
        mode: CompileMode,
        limits: CompileLimits,
    ) -> Result<Self, RuntimeError> {
        Ok(Compiler {
            cache: Cache::open(dir)?,
            mode,
            limits,
            turn: Mutex::new(()),
        })
    }

    /// The module's code, from the cache or freshly compiled.
    pub(super) fn code(
        &self,
        engine: &Engine,
        hash: &str,
        source: &Source<'_>,
    ) -> Result<Compiled, CompileError> {
        let path = self.cache.path(engine, &source.key(hash));
        if let Some(compiled) = cache::read(engine, &path) {
            return Ok(compiled);
        }
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have compiled it while this one waited.
        if let Some(compiled) = cache::read(engine, &path) {
            return Ok(compiled);
        }
        let began = Instant::now();
        let unfinished = self.cache.unfinished();
        self.compile(engine, source, &unfinished.0)?;
        let time = began.elapsed();
        self.cache
            .publish(&unfinished.0, &path)
            .map_err(|error| self.unusable(&error))?;
        // Read back as any other, so that what cannot be read is found now.
        let compiled = cache::read(engine, &path).ok_or_else(|| unfit(engine, &path))?;
        Ok(Compiled {
            time: Some(time),
            ..compiled
        })
    }

    fn compile(&self, engine: &Engine, source: &Source<'_>, to: &Path) -> Result<(), CompileError> {
        let mut output = cache::create(to).map_err(|error| self.unusable(&error))?;
        match &self.mode {
            CompileMode::InProcess => {
                let code = precompile(engine, &source.webassembly(&mut HeadStart::default())?)?;
                output
                    .write_all(&code)
                    .map_err(|error| self.unusable(&error))?;
            }
            CompileMode::Child { exe } => {
                let head = match source.kind {
                    Kind::JavaScript => self.cache.head(engine),
                    _ => Vec::new(),
                };
                let input = self
                    .input(&head, source.bytes)
                    .map_err(|error| self.unusable(&error))?;
                let child_output = output.try_clone().map_err(|error| self.unusable(&error))?;
                self.compile_in_child(exe, source, input, child_output)?;
                let head = cache::cut_tail(&mut output).map_err(|error| self.unusable(&error))?;
                if source.kind == Kind::JavaScript && !head.is_empty() {
                    self.keep_head(engine, &head);
                }
            }
        }
        output.sync_all().map_err(|error| self.unusable(&error))
    }

    /// What the child reads.
    fn input(&self, head: &[u8], bytes: &[u8]) -> io::Result<File> {
        let input = self.cache.unfinished();
        let mut file = cache::create(&input.0)?;
        file.write_all(&(head.len() as u64).to_le_bytes())?;
        file.write_all(head)?;
        file.write_all(bytes)?;
        File::open(&input.0)
    }

    /// Without it the next file takes longer, and that is all.
    fn keep_head(&self, engine: &Engine, head: &[u8]) {
        if let Err(error) = self.cache.keep_head(engine, head) {
            tracing::warn!(
                dir = %self.cache.dir().display(),
                %error,
                "what the next JavaScript file need not compile again cannot be kept: each takes as \
                 long as the first"
            );
        }
    }

    fn compile_in_child(
        &self,
        exe: &Path,
        source: &Source<'_>,
        input: File,
        output: File,
    ) -> Result<(), CompileError> {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(4) as u64);
        let threads = cores.min(self.limits.memory / MEMORY_OF_A_THREAD).max(1);
        let mut child = Command::new(exe)
            .arg(VERB)
            .arg(self.limits.cpu.as_secs().max(1).to_string())
            .arg(self.limits.memory.to_string())
            .arg(std::process::id().to_string())
            .arg(source.kind.as_str())
            .arg(source.file)
            .env_clear()
            .envs(RESERVE)
            .env("RAYON_NUM_THREADS", threads.to_string())
            .current_dir("/")
            .stdin(input)
            .stdout(output)
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&format!("{} does not start", exe.display()), error))?;
        let (complaint, in_time) = self.wait(&mut child);
        let status = child
            .wait()
            .map_err(|error| failed("the compiler's end was missed", error))?;
        self.verdict(status, &complaint, in_time)
    }

    /// Waits until the child has closed its standard error, that is until it has ended, and kills
    /// it if that takes too long.
    fn wait(&self, child: &mut Child) -> (String, bool) {
        let (told, complaint) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                let mut stderr = stderr;
                // What cannot be read is not worth more words than the exit status has.
                let _ = (&mut stderr).take(MAX_COMPLAINT).read_to_end(&mut text);
                let _ = io::copy(&mut stderr, &mut io::sink());
                let _ = told.send(String::from_utf8_lossy(&text).into_owned());
            });
        }
        match complaint.recv_timeout(self.limits.wall) {
            Ok(text) => (text, true),
            Err(_) => {
                // It may have ended just now, which is as good.
                let _ = child.kill();
                (String::new(), false)
            }
        }
    }

    fn verdict(
        &self,
        status: ExitStatus,
        complaint: &str,
        in_time: bool,
    ) -> Result<(), CompileError> {
        let CompileLimits { cpu, wall, memory } = self.limits;
        if status.success() && in_time {
            return Ok(());
        }
        let said = || complaint.trim().to_owned();
        match status.code().map(u8::try_from) {
            Some(Ok(EXIT_INVALID)) => return Err(CompileError::Invalid(said())),
            Some(Ok(EXIT_INTERFACE)) => return Err(CompileError::Interface(said())),
            Some(Ok(EXIT_SCRIPT)) => return Err(CompileError::Script(said())),
            _ => {}
        }
        let problem = match status.signal().and_then(Signal::from_named_raw) {
            _ if !in_time => format!(
                "compiling took more than {wall:?}: build it with less code in one function, or \
                 give the machine less to do meanwhile"
            ),
            Some(Signal::XCPU) => format!(
                "compiling took more than {cpu:?} of CPU time: build it with less code in one \
                 function, or raise `host.sandbox.compile_cpu`"
            ),
            Some(Signal::ABORT | Signal::SEGV) => format!(
                "the compiler gave up, most likely because it needed more than {} MiB of memory: \
                 build it with less code in one function, or raise `host.sandbox.compile_memory`",
                memory / MIB
            ),
            Some(Signal::XFSZ) => format!(
                "its machine code has more than {} MiB: build it with less code",
                MAX_CODE / MIB
            ),
            Some(Signal::KILL) => "the compiler was killed from outside, most likely because the \
                                   machine has no memory left"
                .to_owned(),
            // What the compiler's threads say when there is no address space for their stacks.
            _ if complaint.contains("ThreadPoolBuildError") => format!(
                "the compiler could start no thread within {} MiB of memory: raise \
                 `host.sandbox.compile_memory`",
                memory / MIB
            ),
            _ => format!("the compiler ended with {status}: {}", complaint.trim()),
        };
        Err(CompileError::Failed(problem))
    }

    fn unusable(&self, error: &io::Error) -> CompileError {
        failed(
            &format!("the cache in {}", self.cache.dir().display()),
            error,
        )
    }
}

/// Why code that was just compiled cannot be used. An engine without a pool takes whatever is valid,
/// and can tell what an instance needs.
fn unfit(engine: &Engine, path: &Path) -> CompileError {
    let unfit = "the compiled code cannot be used on this host";
    let Err(error) = cache::map(engine, path) else {
        return CompileError::Failed(unfit.to_owned());
    };
    let plain = Engine::new(&engine::config()).ok();
    let compiled = plain.and_then(|plain| cache::read(&plain, path));
    match compiled.and_then(|compiled| compiled.code.resources_required()) {
        Some(required) => CompileError::TooLarge(Box::new(required), format!("{error:#}")),
        None => CompileError::Failed(format!("{unfit}: {error:#}")),
    }
}
