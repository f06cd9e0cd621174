//! `gristmill serve`

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use super::Global;
use super::exit::{Exit, Failure};
use crate::config::{Config, problem};
use crate::server::{self, ServeError};

/// Runs the host until a signal asks it to stop.
///
/// SIGTERM and Ctrl-C let running handlers finish first, a second one does not; SIGHUP reads the
/// configuration again. Changed modules and a changed configuration are noticed without it.
#[derive(clap::Args, Debug)]
pub struct Serve {}

impl Serve {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load().map_err(|errors| Failure {
            exit: Exit::Config,
            ..Failure::from(errors)
        })?;
        start_log(&config)?;
        if !config.warnings.is_empty() {
            eprintln!(
                "{}",
                problem::render(&config.warnings, std::io::stderr().is_terminal())
            );
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(SERVING_THREADS)
            .thread_name("serve")
            .enable_all()
            .build()?;
        runtime.block_on(server::serve(config)).map_err(failure)
    }
}

/// Threads for requests, timers and reloads; handlers have their own.
const SERVING_THREADS: usize = 2;

fn start_log(config: &Config) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&config.host.log)
        .map_err(|error| Failure::new(Exit::Config, format!("host.log: {error}")))?;
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
        ServeError::Open(error) => Failure::from(error),
        other => Failure::new(Exit::Failed, other.to_string()),
    }
}
