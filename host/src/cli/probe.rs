//! `gristmill __probe`: what a confined host can and cannot do, for tests.

use std::path::PathBuf;

use super::Global;
use super::exit::{Exit, Failure};
use crate::confine;

/// Confines this process as `serve` does, and tries what it must not be able to do.
#[derive(clap::Args, Debug)]
pub struct Probe {
    /// A folder that the host must not touch, with the files that are acted upon
    outside: PathBuf,
}

impl Probe {
    /// Prints a line for each act: whether a host needs it, what it was, how it ended.
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load()?;
        confine::keep_private();
        let confined =
            confine::confine(&config).map_err(|error| Failure::new(Exit::Config, error))?;
        println!("{}", confined.words());
        for act in confine::probe::acts(&config, &self.outside) {
            let needed = if act.needed { "needed" } else { "forbidden" };
            let ended = match act.ended {
                Ok(()) => "done".to_owned(),
                Err(error) => format!("refused: {error}"),
            };
            println!("{needed}\t{}\t{ended}", act.what);
        }
        Ok(())
    }
}
