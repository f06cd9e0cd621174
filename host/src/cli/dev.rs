//! `gristmill dev`

use super::Global;
use super::exit::{Exit, Failure};
use super::serve::host_command;

/// Runs the host as `serve` does, and the builds of its handlers beside it.
///
/// Each queue may say how the module of its handler is made:
///
/// ```toml
/// [queue.orders]
/// handler = "orders.wasm"
/// build = "cargo wasm"
/// watch = ["src"]
/// ```
///
/// The commands are run by `sh` in the folder of the configuration, with all rights that you have: at
/// the start, and when a file that `watch` names has changed. One is run at a time, and has to end.
/// What compilers print is shown as they print it. If a build fails, the version before it serves on.
/// The host itself runs no command and is confined as `serve` is. Each message that a handler ends
/// with is a line of the log. Ctrl-C stops the builds and the host.
#[derive(clap::Args, Debug)]
#[command(verbatim_doc_comment)]
pub struct Dev {}

impl Dev {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load().map_err(|errors| Failure {
            exit: Exit::Config,
            ..Failure::from(errors)
        })?;
        let host = host_command(global, &["--deliveries"])?;
        match Exit::of(crate::dev::dev(&config, host)?) {
            Exit::Ok => Ok(()),
            exit => Err(Failure::silent(exit)),
        }
    }
}
