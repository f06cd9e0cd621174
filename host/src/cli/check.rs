//! `gristmill check`

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use gristmill_queue::Timestamp;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::print::{self, Screen};
use super::{Global, handlers, text};
use crate::api::{HandlerStatus, HandlerView, VersionView};
use crate::config::{Config, Problem, problem};
use crate::net::Tls;
use crate::reload::read_module;
use crate::runtime::Runtime;
use crate::runtime::spec::HandlerSpec;
use crate::server;

/// How often what is shown on a terminal moves.
const TICK: Duration = Duration::from_millis(200);

#[derive(clap::Args, Debug)]
pub struct Check {
    /// Do not compile the handlers, nor read certificates
    #[arg(long)]
    config_only: bool,
    /// Warnings and missing modules are errors too
    #[arg(long)]
    strict: bool,
}

#[derive(Serialize)]
struct Report<'c> {
    ok: bool,
    problems: &'c [Problem],
    handlers: &'c [HandlerView],
}

impl Check {
    pub fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let config = match global.load() {
            Ok(config) => config,
            Err(errors) if screen.json => {
                screen.json(&Report {
                    ok: false,
                    problems: &errors.problems,
                    handlers: &[],
                })?;
                return Err(Failure::silent(Exit::Usage));
            }
            Err(errors) => return Err(errors.into()),
        };
        for (table, files) in config.tls().filter(|_| !self.config_only) {
            let opened = Tls::open(files.clone());
            opened.map_err(|error| {
                Failure::new(Exit::Failed, format!("{table}.tls_cert: {error}"))
            })?;
        }
        let handlers = if self.config_only {
            Vec::new()
        } else {
            load_all(&config, screen)?
        };
        let refused = handlers
            .iter()
            .any(|one| one.status == HandlerStatus::Refused);
        let missing = handlers
            .iter()
            .any(|one| one.status == HandlerStatus::Missing);
        let strictly = self.strict && (missing || !config.warnings.is_empty());
        let ok = !refused && !strictly;
        if screen.json {
            screen.json(&Report {
                ok,
                problems: &config.warnings,
                handlers: &handlers,
            })?;
        } else {
            show(&config, &handlers, ok, screen)?;
        }
        match (refused, strictly) {
            (true, _) => Err(Failure::silent(Exit::Failed)),
            (false, true) => Err(Failure::silent(Exit::Usage)),
            (false, false) => Ok(()),
        }
    }
}

fn show(
    config: &Config,
    handlers: &[HandlerView],
    ok: bool,
    screen: Screen,
) -> Result<(), Failure> {
    if !config.warnings.is_empty() {
        eprintln!(
            "{}\n",
            problem::render(&config.warnings, print::color_on_stderr())
        );
    }
    if !handlers.is_empty() {
        screen.result(&handlers::table(handlers, screen))?;
    }
    if ok {
        let queues = text::count(config.queues.len() as u64, "queue");
        screen.talk(&format!("{}: {queues}, no errors", config.source.display()));
    }
    Ok(())
}

/// Loads every handler as the host would; the code that is compiled stays in the cache for it.
fn load_all(config: &Config, screen: Screen) -> Result<Vec<HandlerView>, Failure> {
    if config.handlers.is_empty() {
        return Ok(Vec::new());
    }
    let runtime =
        server::open_runtime(config).map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(config
        .handlers
        .values()
        .map(|spec| {
            let compiling = compiling(spec, screen);
            let view = view(config, spec, &runtime);
            compiling.finish_and_clear();
            view
        })
        .collect())
}

/// Says on a terminal that a handler is being compiled, and for how long it has been: the first time, that
/// may take a while.
fn compiling(spec: &HandlerSpec, screen: Screen) -> ProgressBar {
    if screen.quiet || screen.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_message(file_name(&spec.path));
    let style = ProgressStyle::with_template("{spinner} compiling {msg}, {elapsed} so far");
    let bar = match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    };
    bar.enable_steady_tick(TICK);
    bar
}

fn view(config: &Config, spec: &HandlerSpec, runtime: &Runtime) -> HandlerView {
    let served = config
        .queues
        .iter()
        .filter(|(_, queue)| queue.handler.as_deref() == Some(spec.name.as_str()));
    let limit = config.host.sandbox.max_module_size;
    let (status, problem, version) = match load(spec, limit, runtime) {
        Ok(Some(version)) => (HandlerStatus::Serving, None, Some(version)),
        Ok(None) => {
            let problem = format!(
                "{} is missing: its queues hold their messages",
                spec.path.display()
            );
            (HandlerStatus::Missing, Some(problem), None)
        }
        Err(problem) => (HandlerStatus::Refused, Some(problem), None),
    };
    HandlerView {
        name: spec.name.clone(),
        file: file_name(&spec.path),
        queues: served.map(|(name, _)| name.to_string()).collect(),
        status,
        problem,
        version,
        batches: None,
        loading_ms: None,
    }
}

fn load(spec: &HandlerSpec, limit: u64, runtime: &Runtime) -> Result<Option<VersionView>, String> {
    let Some(module) = read_module(&spec.path, limit)? else {
        return Ok(None);
    };
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0);
    runtime
        .load(spec, &module)
        .map(|version| Some(VersionView::of(&version, Timestamp::from_unix_ms(now))))
        .map_err(|error| error.to_string())
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
