//! Why a module may not serve, in words that name the module, the reason and the cure.

use std::fmt::Write;

use super::form::Form;
use super::load::MAX_MODULE;

/// Imports that are named in one message; the rest is counted.
const MAX_SHOWN: usize = 20;

/// Why a module may not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It is not the pinned one.
    #[error(
        "{file} has the SHA-256 {found}, but [handler.{handler}] pins {pinned}: put the pinned \
         module back, or change `sha256`"
    )]
    OtherHash {
        /// The module.
        file: String,
        /// The handler.
        handler: String,
        /// Its hash.
        found: String,
        /// The hash that the configuration asks for.
        pinned: String,
    },
    /// It is too large.
    #[error("{file} has {size} bytes, but a handler has at most {limit}: build it with optimisation and without debug information", limit = MAX_MODULE)]
    TooLarge {
        /// The module.
        file: String,
        /// Its size.
        size: usize,
    },
    /// It is no WebAssembly.
    #[error("{file} is not WebAssembly: {problem}")]
    NotWasm {
        /// The module.
        file: String,
        /// What it is instead.
        problem: String,
    },
    /// It is a core module, and no program.
    #[error(
        "{file} is a core module without `_start`, so it is no program. It exports {exports}. Build it with a \
         `main`, as a WASI program; or make it a component: for wasm32-wasip2, or with `wasm-tools component \
         new`"
    )]
    CoreModule {
        /// The module.
        file: String,
        /// What it exports.
        exports: String,
    },
    /// The compiler refuses it.
    #[error("{file} is not valid WebAssembly: {problem}")]
    Invalid {
        /// The module.
        file: String,
        /// What the compiler says.
        problem: String,
    },
    /// It is a core module that says which interface it was built for, and still no component can be
    /// made of it.
    #[error(
        "{file} is a core module, and no component can be made of it: {problem}. Build it as a \
         reactor (without `main`) for WASI preview 1, with all that it calls, or as a component"
    )]
    Interface {
        /// The module.
        file: String,
        /// What is missing or wrong.
        problem: String,
    },
    /// It is a program that cannot be a handler.
    #[error("{problem}")]
    Script {
        /// What is wrong, and where.
        problem: String,
    },
    /// It could not be compiled within the limits, or at all.
    #[error("{file} could not be compiled: {problem}")]
    Compile {
        /// The module.
        file: String,
        /// Why.
        problem: String,
    },
    /// It imports what it may not have.
    #[error("{}", ungranted(.file, .imports))]
    Ungranted {
        /// The module.
        file: String,
        /// Each import, and why it is refused.
        imports: Vec<(String, String)>,
    },
    /// It does not fit what the host offers, though the names are right.
    #[error("{file} does not fit this host: {problem}")]
    Mismatch {
        /// The module.
        file: String,
        /// What does not fit.
        problem: String,
    },
    /// It is no handler.
    #[error(
        "{file} is not a handler: it exports {exports}, and none of {}. Build it against the gristmill SDK of \
         its language, or as a program with a `main`",
        interfaces()
    )]
    NoHandler {
        /// The module.
        file: String,
        /// What it exports.
        exports: String,
    },
    /// It could be called in several ways.
    #[error(
        "{file} has several forms, {}: it exports {exports}. Say which one is meant: add `form = \"{}\"`, or \
         another of them, to its [handler.…]",
        .forms.join(", "),
        .forms.first().unwrap_or(&"queue")
    )]
    SeveralForms {
        /// The module.
        file: String,
        /// Its forms.
        forms: Vec<&'static str>,
        /// What it exports.
        exports: String,
    },
    /// It has not the form that the configuration says.
    #[error(
        "{file} has not the form \"{form}\", which its [handler.…] asks for: it does not export {interface}. It \
         exports {exports}. Remove `form`, or build it for that interface"
    )]
    OtherForm {
        /// The module.
        file: String,
        /// The form.
        form: &'static str,
        /// What makes it.
        interface: &'static str,
        /// What it exports.
        exports: String,
    },
    /// It exports the interface of a form in a version that this host does not call.
    #[error(
        "{file} was built for another interface: it exports {export}, and this host calls {served}: {cure}"
    )]
    OtherVersion {
        /// The module.
        file: String,
        /// What it exports.
        export: String,
        /// What this host calls.
        served: String,
        /// What to do.
        cure: &'static str,
    },
    /// A queue wants to give it batches, and it takes none.
    #[error(
        "{file} does not take batches, but [queue.{queue}] has `batch_size`: {lacks}, or remove \
         `batch_size`"
    )]
    NoBatchHandler {
        /// The module.
        file: String,
        /// The queue.
        queue: String,
        /// What it lacks, and what to do.
        lacks: String,
    },
    /// It needs more than it may have.
    #[error("{file} needs {needs}, but {limit}")]
    Resources {
        /// The module.
        file: String,
        /// What it needs.
        needs: String,
        /// What it may have, and what to do.
        limit: String,
    },
    /// It can reach the outside, and the configuration asks for more.
    #[error(
        "{file} is {found}, but [handler.{handler}] requires {required}: build it without the \
         imports that reach outside, or lower `require`"
    )]
    Guarantee {
        /// The module.
        file: String,
        /// The handler.
        handler: String,
        /// What can be promised.
        found: &'static str,
        /// What is required.
        required: &'static str,
    },
    /// It does not start.
    #[error("{file} does not start: {reason}: {problem}")]
    Trial {
        /// The module.
        file: String,
        /// The reason's code.
        reason: &'static str,
        /// In words.
        problem: String,
    },
}

fn interfaces() -> String {
    Form::ALL.map(Form::interface).join(", ")
}

fn ungranted(file: &str, imports: &[(String, String)]) -> String {
    let mut text = String::new();
    for (import, why) in imports.iter().take(MAX_SHOWN) {
        let separator = if text.is_empty() { "" } else { "\n" };
        // Writing to a String does not fail.
        let _ = write!(text, "{separator}{file} imports {import}, but {why}");
    }
    if let Some(more @ 1..) = imports.len().checked_sub(MAX_SHOWN) {
        let _ = write!(text, "\nand {more} imports more");
    }
    text
}
