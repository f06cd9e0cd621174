//! Code → program: what it imports and exports, the form that makes it, and its links by grants.

use std::collections::BTreeSet;

use gristmill_queue::outcome::cut;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::compile::Code;
use super::exports::{Entries, Program};
use super::form::{self, Form, Misfit};
use super::forms::preview1;
use super::linker::{self, Refusal};
use super::load_error::LoadError;
use super::source::{Kind, Source};
use super::spec::HandlerSpec;

/// Imports, and exports, of a component. Rust has about 20, Python about 40.
const MAX_NAMES: usize = 1000;
/// Bytes shown of the name of an import.
const MAX_NAME: usize = 200;
/// Characters kept of what the linker says, and of a list of exports.
const MAX_VERDICT: usize = 1000;
/// Where the entry for batches is found.
pub(super) const BATCH_HANDLER: &str = "gristmill:queue/batch-handler";

/// What code asks for, and what it has.
pub(super) struct Names {
    pub(super) imports: Vec<String>,
    pub(super) exports: Vec<String>,
}

/// The names of the imports and exports of some code. Of a core module, those of WASI preview 1 are
/// one import.
pub(super) fn names(source: &Source<'_>, engine: &Engine, code: &Code) -> Result<Names, LoadError> {
    let refuse = |count: usize, what: &str| LoadError::Resources {
        file: source.file.to_owned(),
        needs: format!("{count} {what}"),
        limit: format!("a handler has at most {MAX_NAMES}"),
    };
    let (imports, exports) = match code {
        Code::Component(component) => {
            let kind = component.component_type();
            (kind.imports(engine).len(), kind.exports(engine).len())
        }
        Code::Module(module) => (module.imports().len(), module.exports().len()),
    };
    for (count, what) in [(imports, "imports"), (exports, "exports")] {
        if count > MAX_NAMES {
            return Err(refuse(count, what));
        }
    }
    let mut names = match code {
        Code::Component(component) => of_component(engine, component),
        Code::Module(module) => of_module(module),
    };
    source.keep_own(&mut names.imports, &mut names.exports);
    Ok(names)
}

fn of_component(engine: &Engine, component: &Component) -> Names {
    let kind = component.component_type();
    let imports = kind.imports(engine).map(|(name, _)| name.to_owned());
    let exports = kind.exports(engine).map(|(name, _)| name.to_owned());
    Names {
        imports: imports.collect(),
        exports: exports.collect(),
    }
}

fn of_module(module: &Module) -> Names {
    let imports = module.imports().map(|import| match import.module() {
        preview1::MODULE => preview1::MODULE.to_owned(),
        other => format!("{other}.{}", import.name()),
    });
    let imports: BTreeSet<String> = imports.collect();
    let exports = module.exports().map(|export| export.name().to_owned());
    Names {
        imports: imports.into_iter().collect(),
        exports: exports.collect(),
    }
}

/// Decides on the form, checks the imports against the grants, and links the code with what these
/// allow.
pub(super) fn link(
    engine: &Engine,
    source: &Source<'_>,
    spec: &HandlerSpec,
    names: &Names,
    code: &Code,
) -> Result<(Form, Program), LoadError> {
    let file = source.file;
    let form = form::detect(&names.exports, spec.form);
    check_imports(file, spec, form.as_ref().ok().copied(), &names.imports)?;
    let form = form.map_err(|misfit| formless(file, misfit, code, &names.exports))?;
    if let Some(to) = &spec.command.stdout_to
        && form != Form::Command
    {
        return Err(LoadError::Mismatch {
            file: file.to_owned(),
            problem: format!(
                "[handler.{}] has `stdout_to = \"{to}\"`, which is for programs, but its form is {}: remove \
                 `stdout_to`",
                spec.name,
                form.as_str()
            ),
        });
    }
    let program = match code {
        Code::Component(component) => link_component(engine, source, spec, form, names, component)?,
        Code::Module(module) => preview1::linker(engine)
            .and_then(|linker| linker.instantiate_pre(module))
            .map(Program::Module)
            .map_err(|error| mismatch(file, &error))?,
    };
    match spec.batches.first() {
        Some(queue) if !program.takes_batches() => Err(LoadError::NoBatchHandler {
            file: file.to_owned(),
            queue: queue.to_string(),
            lacks: lacks_batches(source, names),
        }),
        _ => Ok((form, program)),
    }
}

fn lacks_batches(source: &Source<'_>, names: &Names) -> String {
    match source.kind {
        Kind::JavaScript => {
            "it exports no function `handleBatch`. Write `export const handleBatch = \
                             transaction.each(handle)` (`transaction` is imported from \
                             \"gristmill\"), or `export function handleBatch(messages) { … }`"
                .to_owned()
        }
        _ => format!(
            "it does not export {BATCH_HANDLER}. It exports {}. Write the handler with \
             #[handler(batch)] or #[batch_handler]",
            shown(&names.exports)
        ),
    }
}

fn link_component(
    engine: &Engine,
    source: &Source<'_>,
    spec: &HandlerSpec,
    form: Form,
    names: &Names,
    component: &Component,
) -> Result<Program, LoadError> {
    let file = source.file;
    let pre = linker::linker(engine, form, &spec.grants)
        .and_then(|mut linker| {
            // The engine of a language imports what some program may use.
            if source.kind == Kind::JavaScript {
                linker::link_as_traps(&mut linker, component, |import| {
                    linker::is_refused(import, spec, Some(form))
                })?;
            }
            linker.instantiate_pre(component)
        })
        .map_err(|error| mismatch(file, &error))?;
    let entries = Entries::new(form, &pre).map_err(|error| mismatch(file, &error))?;
    let mut exports = names.exports.iter();
    let batches =
        form == Form::Queue && exports.any(|name| name.split('@').next() == Some(BATCH_HANDLER));
    let entries = match batches {
        true => entries
            .with_batches(&pre)
            .map_err(|error| mismatch(file, &error))?,
        false => entries,
    };
    Ok(Program::Component(pre, entries))
}

fn mismatch(file: &str, error: &wasmtime::Error) -> LoadError {
    LoadError::Mismatch {
        file: file.to_owned(),
        problem: cut(&format!("{error:#}"), MAX_VERDICT),
    }
}

fn check_imports(
    file: &str,
    spec: &HandlerSpec,
    form: Option<Form>,
    imports: &[String],
) -> Result<(), LoadError> {
    let refused = linker::refusals(imports.iter().map(String::as_str), spec, form);
    if refused.is_empty() {
        return Ok(());
    }
    Err(LoadError::Ungranted {
        file: file.to_owned(),
        imports: refused
            .into_iter()
            .map(|Refusal { import, why }| (cut(&import, MAX_NAME), why))
            .collect(),
    })
}

fn formless(file: &str, misfit: Misfit, code: &Code, exports: &[String]) -> LoadError {
    let file = file.to_owned();
    let exports = shown(exports);
    match misfit {
        Misfit::OtherVersion(form, export) => LoadError::OtherVersion {
            file,
            export: cut(&export, MAX_NAME),
            served: format!("{}@{}", form.interface(), form.versions()),
            cure: match form {
                Form::Queue => "update the host, or build it with an older SDK",
                Form::Messaging => "build it against that draft",
                Form::Http | Form::Command => "build it for WASI 0.2",
            },
        },
        Misfit::NotAsked(form) => LoadError::OtherForm {
            file,
            form: form.as_str(),
            interface: form.interface(),
            exports,
        },
        Misfit::Several(forms) => LoadError::SeveralForms {
            file,
            forms: forms.iter().map(|form| form.as_str()).collect(),
            exports,
        },
        Misfit::None => match code {
            Code::Component(_) => LoadError::NoHandler { file, exports },
            Code::Module(_) => LoadError::CoreModule { file, exports },
        },
    }
}

fn shown(exports: &[String]) -> String {
    match exports {
        [] => "nothing".to_owned(),
        _ => cut(&exports.join(", "), MAX_VERDICT),
    }
}
