//! `gristmill completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Cli;
use super::exit::Failure;
use super::print::Screen;

#[derive(clap::Args, Debug)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, screen: Screen) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "gristmill", &mut script);
        screen.result(&String::from_utf8_lossy(&script))
    }
}
