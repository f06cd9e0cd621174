//! `gristmill serve`

use std::io::IsTerminal;
use std::process::Command;

use tracing_subscriber::EnvFilter;

use super::Global;
use super::exit::{Exit, Failure};
use crate::config::{Config, problem};
use crate::confine::{self, Confined};
use crate::dispatch::DELIVERIES;
use crate::server::{self, ServeError};
use crate::supervise;

/// Runs the host until a signal asks it to stop.
///
/// SIGTERM and Ctrl-C let running handlers finish first, a second one does not; SIGHUP reads the
/// configuration again. Changed modules and a changed configuration are noticed without it.
#[derive(clap::Args, Debug)]
pub struct Serve {
    /// Start the host again when it crashes, from a small process that runs beside it
    #[arg(long)]
    supervise: bool,
    /// Which process does that
    #[arg(long, hide = true, value_name = "PID", conflicts_with = "supervise")]
    supervised_by: Option<i32>,
    /// Log how each delivery ended
    #[arg(long, hide = true)]
    deliveries: bool,
}

impl Serve {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        if self.supervise {
            return keep_running(global);
        }
        if let Some(parent) = self.supervised_by {
            supervise::follow(parent).map_err(|error| Failure::new(Exit::System, error))?;
        }
        let config = global.load().map_err(|errors| Failure {
            exit: Exit::Config,
            ..Failure::from(errors)
        })?;
        start_log(&config, self.deliveries)?;
        if !config.warnings.is_empty() {
            eprintln!(
                "{}",
                problem::render(&config.warnings, std::io::stderr().is_terminal())
            );
        }
        confine::keep_private();
        // No thread has been started yet; those that are will be confined as well.
        let confined =
            confine::confine(&config).map_err(|error| Failure::new(Exit::Config, error))?;
        if confined == Confined::Fully {
            tracing::info!("{}", confined.words());
        } else {
            tracing::warn!("{}", confined.words());
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SERVING_THREADS)
            .thread_name("serve")
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::System, error))?;
        let ended = runtime.block_on(server::serve(config));
        // A module that is being compiled is not waited for; its compiler dies with this process.
        runtime.shutdown_background();
        ended.map_err(failure)
    }
}

/// The target of lines about what was managed.
const AUDIT: &str = "audit";

/// Threads for requests, timers and reloads; handlers have their own.
const SERVING_THREADS: usize = 2;

/// Keeps a host running that is configured in the same way.
fn keep_running(global: &Global) -> Result<(), Failure> {
    match Exit::of(supervise::supervise(host_command(global, &[])?)?) {
        Exit::Ok => Ok(()),
        exit => Err(Failure::silent(exit)),
    }
}

/// How a host is started that is configured in the same way, and does not outlive this process.
pub fn host_command<'g>(
    global: &'g Global,
    options: &'static [&'static str],
) -> Result<impl Fn() -> Command + use<'g>, Failure> {
    // By its path, so that after an update the next restart is the new version.
    let program = std::env::current_exe()?;
    let own = std::process::id().to_string();
    Ok(move || {
        let mut command = Command::new(&program);
        command.arg("--config").arg(&global.config);
        if let Some(folder) = &global.data_dir {
            command.arg("--data-dir").arg(folder);
        }
        command.args(["serve", "--supervised-by", &own]);
        command.args(options);
        command
    })
}

fn start_log(config: &Config, deliveries: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.host.log)
        .map_err(|error| Failure::new(Exit::Config, format!("host.log: {error}")))?;
    // The record of what was managed is no matter of how much else is logged.
    let kept = config.host.log != "off" && !config.host.log.contains(AUDIT);
    let filter = match format!("{AUDIT}=info").parse() {
        Ok(record) if kept => filter.add_directive(record),
        _ => filter,
    };
    let shown = format!("{DELIVERIES}=debug").parse();
    let filter = match shown {
        Ok(shown) if deliveries && config.host.log != "off" => filter.add_directive(shown),
        _ => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
    Ok(())
}

fn failure(error: ServeError) -> Failure {
    match error {
        // A disk that is full may have room later, so a supervisor tries again.
        ServeError::Open(error) if error.is_of_disk() => Failure::new(Exit::StoreFailed, error),
        ServeError::Open(error) => Failure::from(error),
        ServeError::System(_) => Failure::new(Exit::System, error),
        other => Failure::new(Exit::Failed, other.to_string()),
    }
}
