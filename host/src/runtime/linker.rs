//! Grants → linker: a component is given what its configuration grants and nothing else.
//!
//! The list of imports of a component is its request for permission. It is checked when the
//! component is loaded, with a line of TOML for every refusal, so that nothing is refused at the
//! first message.

use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime_wasi_config::WasiConfig;

use super::bindings::http::wasi::http;
use super::bindings::logging::wasi::logging;
use super::bindings::messaging::wasi::messaging;
use super::bindings::queue::gristmill::queue;
use super::denied;
use super::form::Form;
use super::forms::preview1;
use super::instance::Sandbox;
use super::spec::{Grants, GuaranteeClass, HandlerSpec};

/// The version of `gristmill:queue` that this host serves.
const QUEUE_VERSION: (u64, u64, u64) = (0, 1, 0);

/// An import that a component may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Its full name.
    pub(super) import: String,
    /// Why, and what to do.
    pub(super) why: String,
}

/// Links the interfaces that `component` imports and that `is_missing` names with functions that trap when
/// they are called. Only for a component that is not asked what it imports: a language's engine.
///
/// wasmtime's own way to do this goes by the exact version of an interface, and would put other types in
/// front of those of WASI.
pub(super) fn link_as_traps<T: 'static>(
    linker: &mut Linker<T>,
    component: &Component,
    is_missing: impl Fn(&str) -> bool,
) -> wasmtime::Result<()> {
    let engine = component.engine();
    let kind = component.component_type();
    for (interface, import) in kind.imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !is_missing(interface) {
            continue;
        }
        let mut linked = linker.instance(interface)?;
        for (function, export) in instance.exports(engine) {
            if let ComponentItem::ComponentFunc(_) = export.ty {
                let called = format!("{interface}#{function}");
                linked.func_new(function, move |_, _, _, _| {
                    Err(wasmtime::Error::msg(format!("{called} is not linked")))
                })?;
            }
        }
    }
    Ok(())
}

/// Whether `spec` does not grant this import.
pub(super) fn is_refused(import: &str, spec: &HandlerSpec, form: Option<Form>) -> bool {
    check(import, spec, form).is_err()
}

/// The imports that `spec` does not grant.
pub(super) fn refusals<'a>(
    imports: impl Iterator<Item = &'a str>,
    spec: &HandlerSpec,
    form: Option<Form>,
) -> Vec<Refusal> {
    imports
        .filter_map(|import| {
            let why = check(import, spec, form).err()?;
            Some(Refusal {
                import: import.to_owned(),
                why,
            })
        })
        .collect()
}

fn check(import: &str, spec: &HandlerSpec, form: Option<Form>) -> Result<(), String> {
    let (name, version) = import.split_once('@').unwrap_or((import, ""));
    let (package, interface) = name.split_once('/').unwrap_or((name, ""));
    match package {
        "gristmill:queue" => check_queue(interface, version, spec),
        "wasi:cli" | "wasi:clocks" | "wasi:random" | "wasi:io" | "wasi:filesystem"
        | "wasi:sockets" => check_wasi(version),
        "wasi:config" | "wasi:logging" => Ok(()),
        preview1::MODULE => Ok(()),
        _ if package.starts_with("wasi_unstable.") => Err(
            "it is older than what this host serves: build it for WASI preview 1 \
                                (wasm32-wasip1) or later"
                .into(),
        ),
        "wasi:messaging" => check_messaging(interface, version, spec),
        "wasi:http" if form != Some(Form::Http) => Err(
            "no handler has HTTP to elsewhere: let it send to a queue, and have a program outside receive from \
             that; or build it without. A handler of requests (the form http) exports \
             wasi:http/incoming-handler"
                .into(),
        ),
        "wasi:http" => match interface {
            // Each request is denied when it is made: languages import this whether it is used or not.
            "types" | "outgoing-handler" => check_wasi(version),
            _ => Err("this host does not know it: build the handler without it".into()),
        },
        "gristmill:queue-async" => Err(
            "handlers with asynchronous exports are not supported yet: build for gristmill:queue"
                .into(),
        ),
        _ => Err("this host does not know it: build the handler without it".into()),
    }
}

fn check_queue(interface: &str, version: &str, spec: &HandlerSpec) -> Result<(), String> {
    if let Some(asked) = parse_version(version)
        && asked > QUEUE_VERSION
    {
        let (major, minor, patch) = QUEUE_VERSION;
        return Err(format!(
            "the handler was built for a newer interface than this host's {major}.{minor}.{patch}: \
             update the host, or build with an older SDK"
        ));
    }
    let grants = &spec.grants;
    let missing = match interface {
        "types" | "transaction" | "delivery" | "body" => return Ok(()),
        "producer" if !grants.send_to.is_empty() || grants.reply => return Ok(()),
        "state" if grants.state => return Ok(()),
        "secrets" if !grants.secrets.is_empty() => return Ok(()),
        "producer" => "`send_to = [\"…\"]` or `reply = true`",
        "state" => "`state = true`",
        "secrets" => "`secrets = [\"…\"]`",
        _ => return Err("this host does not know it: update the host".into()),
    };
    Err(format!(
        "it is not granted: add {missing} to [handler.{}]",
        spec.name
    ))
}

fn check_messaging(interface: &str, version: &str, spec: &HandlerSpec) -> Result<(), String> {
    let draft = Form::Messaging.versions();
    if version != draft {
        return Err(format!(
            "this host serves the draft {draft}: build it against that"
        ));
    }
    let grants = &spec.grants;
    let missing = match interface {
        "types" => return Ok(()),
        "producer" if !grants.send_to.is_empty() => return Ok(()),
        "request-reply" if grants.reply => return Ok(()),
        "producer" => "`send_to = [\"…\"]`",
        "request-reply" => "`reply = true`",
        _ => return Err("this host does not know it: build the handler without it".into()),
    };
    Err(format!(
        "it is not granted: add {missing} to [handler.{}]",
        spec.name
    ))
}

fn check_wasi(version: &str) -> Result<(), String> {
    if version.starts_with("0.2.") {
        return Ok(());
    }
    Err("this host serves WASI 0.2: build the handler for wasm32-wasip2".into())
}

pub(super) fn parse_version(version: &str) -> Option<(u64, u64, u64)> {
    let release = version.split(['-', '+']).next()?;
    let mut parts = release.split('.').map(str::parse);
    let version = (
        parts.next()?.ok()?,
        parts.next()?.ok()?,
        parts.next()?.ok()?,
    );
    parts.next().is_none().then_some(version)
}

/// What can be promised about a handler that imports these. Sockets, files and requests to elsewhere are
/// linked because language libraries ask for them, but every use is denied.
pub(super) fn guarantee<'a>(mut imports: impl Iterator<Item = &'a str>) -> GuaranteeClass {
    let inside = |import: &str| {
        import == preview1::MODULE
            || import.starts_with("wasi:")
            || import.starts_with("gristmill:queue/")
    };
    if imports.all(inside) {
        GuaranteeClass::Atomic
    } else {
        GuaranteeClass::AtLeastOnce
    }
}

/// A linker with exactly what is granted.
pub(super) fn linker(
    engine: &Engine,
    form: Form,
    grants: &Grants,
) -> wasmtime::Result<Linker<Sandbox>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    wasmtime_wasi::p2::add_to_linker_async(l)?;
    denied::link(l)?;
    if form == Form::Http {
        http::types::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
        http::outgoing_handler::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    }
    if form == Form::Messaging {
        messaging::types::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
        if !grants.send_to.is_empty() {
            messaging::producer::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
        }
        if grants.reply {
            messaging::request_reply::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
        }
    }
    wasmtime_wasi_config::add_to_linker(l, |sandbox: &mut Sandbox| {
        WasiConfig::from(&sandbox.shared.config)
    })?;
    logging::logging::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    queue::types::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    queue::transaction::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    queue::body::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    queue::delivery::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    if !grants.send_to.is_empty() || grants.reply {
        queue::producer::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    }
    if grants.state {
        queue::state::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    }
    if !grants.secrets.is_empty() {
        queue::secrets::add_to_linker::<_, HasSelf<_>>(l, |s: &mut Sandbox| s)?;
    }
    Ok(linker)
}
