//! Module → version: everything that is checked before a handler may serve.
//!
//! In order, cheapest first: the pin, the size, the first eight bytes, the compiler's verdict, the
//! imports against the grants, the form, the resources, the guarantee, and at last a trial: it is
//! instantiated a few times under its own limits. So whatever is wrong with a module is found here
//! and not at the first message.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::outcome::cut;
use sha2::{Digest, Sha256};
use wasmtime::ResourcesRequired;

use super::RuntimeInner;
use super::compile::CompileError;
use super::engine::{MAX_MEMORIES, MAX_TABLES};
use super::instance::{Shared, WarmPool};
use super::linker;
use super::load_error::LoadError;
use super::output::escaped;
use super::pool;
use super::program::{self, Names};
use super::source::{Kind, Source};
use super::spec::{GuaranteeClass, HandlerSpec};
use super::trial;
use super::version::{Facts, HandlerVersion, Reuse, Sizes};

/// The most bytes of a module, whatever the configuration says.
pub const MAX_MODULE: usize = 1024 * 1024 * 1024;
/// Bytes of a page of WebAssembly.
const PAGE: u64 = 64 * 1024;
/// Characters kept of what the compiler says.
const MAX_VERDICT: usize = 1000;

/// Loads a module; see [`super::Runtime::load`].
pub(super) fn load(
    runtime: &Arc<RuntimeInner>,
    spec: &HandlerSpec,
    module: &[u8],
) -> Result<Arc<HandlerVersion>, LoadError> {
    let file = file_name(spec);
    let source = Source::of(&file, module);
    let hash = check_bytes(&file, spec, &source)?;
    let compiled = runtime
        .compiler
        .code(&runtime.engine, &hash, &source)
        .map_err(|error| compile_error(&file, spec, error))?;
    let code = &compiled.code;
    let names = program::names(&source, &runtime.engine, code)?;
    let (form, program) = program::link(&runtime.engine, &source, spec, &names, code)?;
    check_resources(&file, spec, code.resources_required())?;
    let Names { imports, exports } = names;
    let guarantee = check_guarantee(&file, spec, &imports)?;
    let version = HandlerVersion {
        runtime: Arc::clone(runtime),
        shared: Arc::new(Shared::new(spec.clone(), form)),
        program,
        warm: WarmPool::new(Arc::clone(&runtime.warm), pool::kept(runtime.max_instances)),
        reuse: Reuse {
            calls: 1,
            chosen_by_host: false,
            instantiation: Duration::ZERO,
        },
        facts: Facts {
            hash,
            imports,
            exports,
            guarantee,
            sizes: Sizes {
                module: module.len() as u64,
                compiled: compiled.size,
                initial_memory: 0,
            },
            compile_time: compiled.time,
        },
    };
    trial::tried(&file, version)
}

fn file_name(spec: &HandlerSpec) -> String {
    spec.path.file_name().map_or_else(
        || format!("{}.wasm", spec.name),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn check_bytes(file: &str, spec: &HandlerSpec, source: &Source<'_>) -> Result<String, LoadError> {
    let (file, module) = (file.to_owned(), source.bytes);
    let digest: [u8; 32] = Sha256::digest(module).into();
    if let Some(pinned) = spec.sha256
        && pinned != digest
    {
        return Err(LoadError::OtherHash {
            file,
            handler: spec.name.clone(),
            found: hex(&digest),
            pinned: hex(&pinned),
        });
    }
    if module.len() > MAX_MODULE {
        return Err(LoadError::TooLarge {
            file,
            size: module.len(),
        });
    }
    if source.kind != Kind::Wasm {
        return Ok(hex(&digest));
    }
    let problem = match module {
        [] => "the file is empty".to_owned(),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] | [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => {
            return Ok(hex(&digest));
        }
        [0, b'a', b's', b'm', _, _, _, _, ..] => {
            "it is of a version that this host does not know".to_owned()
        }
        [0x7f, b'E', b'L', b'F', ..] => "it is a native program or library".to_owned(),
        _ if b"\0asm".starts_with(&module[..module.len().min(4)]) => {
            "the file is cut off".to_owned()
        }
        _ => "it does not begin as a WebAssembly file does".to_owned(),
    };
    Err(LoadError::NotWasm { file, problem })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn compile_error(file: &str, spec: &HandlerSpec, error: CompileError) -> LoadError {
    let file = file.to_owned();
    match error {
        CompileError::TooLarge(required, problem) => too_large(file, spec, *required, &problem),
        CompileError::Invalid(problem) if problem.contains("component model async") => {
            LoadError::Invalid {
                file,
                problem: "it has asynchronous functions, which this host does not run yet: build \
                          it for WASI 0.2"
                    .to_owned(),
            }
        }
        CompileError::Invalid(problem) => LoadError::Invalid {
            file,
            problem: cut(&escaped(&problem), MAX_VERDICT),
        },
        CompileError::Interface(problem) => LoadError::Interface {
            file,
            problem: cut(&escaped(&problem), MAX_VERDICT),
        },
        CompileError::Script(problem) => LoadError::Script {
            problem: cut(&problem, MAX_VERDICT),
        },
        CompileError::Failed(problem) => LoadError::Compile {
            file,
            problem: cut(&escaped(&problem), MAX_VERDICT),
        },
    }
}

/// What the pool has no room for: more than the handler may have, as a rule. A part of a component that
/// is never used takes none, but has to fit as well; and what a handler may have may have been raised
/// since the pool was made.
fn too_large(
    file: String,
    spec: &HandlerSpec,
    required: ResourcesRequired,
    problem: &str,
) -> LoadError {
    match check_resources(&file, spec, Some(required)) {
        Err(error) => error,
        Ok(()) => LoadError::Mismatch {
            file,
            problem: format!(
                "{}; build it with less, or raise `memory` of [handler.{}] and restart the host",
                cut(&escaped(problem), MAX_VERDICT),
                spec.name
            ),
        },
    }
}

fn check_resources(
    file: &str,
    spec: &HandlerSpec,
    required: Option<ResourcesRequired>,
) -> Result<(), LoadError> {
    let refuse = |needs: String, limit: String| {
        Err(LoadError::Resources {
            file: file.to_owned(),
            needs,
            limit,
        })
    };
    let Some(required) = required else {
        return refuse(
            "modules from outside".to_owned(),
            "a handler has to bring all its code: link it into one component".to_owned(),
        );
    };
    if required.num_memories > MAX_MEMORIES {
        return refuse(
            format!("{} memories", required.num_memories),
            format!("a handler has at most {MAX_MEMORIES}"),
        );
    }
    if required.num_tables > MAX_TABLES {
        return refuse(
            format!("{} tables", required.num_tables),
            format!("a handler has at most {MAX_TABLES}"),
        );
    }
    let memory = required.max_initial_memory_size.unwrap_or(0) * PAGE;
    if memory > spec.limits.memory {
        return refuse(
            format!("{memory} bytes of memory to start"),
            format!(
                "its limit is {}: raise `memory` of [handler.{}]",
                spec.limits.memory, spec.name
            ),
        );
    }
    let elements = required.max_initial_table_size.unwrap_or(0);
    if elements > spec.limits.table_elements {
        return refuse(
            format!("a table of {elements} elements"),
            format!("its limit is {}", spec.limits.table_elements),
        );
    }
    Ok(())
}

fn check_guarantee(
    file: &str,
    spec: &HandlerSpec,
    imports: &[String],
) -> Result<GuaranteeClass, LoadError> {
    let found = linker::guarantee(imports.iter().map(String::as_str));
    if found < spec.require {
        return Err(LoadError::Guarantee {
            file: file.to_owned(),
            handler: spec.name.clone(),
            found: found.as_str(),
            required: spec.require.as_str(),
        });
    }
    Ok(found)
}
