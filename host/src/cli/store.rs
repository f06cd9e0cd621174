//! `gristmill store`: what is done with the data folder as a whole.

mod backup;
mod check;
mod compact;
mod salvage;
mod verify;

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::exit::Failure;
use super::print::Screen;
use super::{Global, wait_for};

pub use verify::{VERB as VERIFY, child_main as verify_child_main};

#[derive(clap::Subcommand, Debug)]
pub enum Store {
    /// Read and verify everything that is stored; changes nothing. No host may run
    Check(check::Check),
    /// Give back the space that is free in the file. No host may run
    Compact(compact::Compact),
    /// Copy everything into a new data folder, while a host runs or without one
    Backup(backup::Backup),
    /// Rescue what can be read of a damaged store into a new data folder
    Salvage(salvage::Salvage),
}

impl Store {
    pub fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let of_this_machine = match &self {
            Store::Check(_) => Some("store check"),
            Store::Compact(_) => Some("store compact"),
            Store::Salvage(_) => Some("store salvage"),
            Store::Backup(_) => None,
        };
        if let Some(verb) = of_this_machine {
            global.refuse_server(verb)?;
        }
        match self {
            Store::Check(verb) => verb.run(global, screen),
            Store::Compact(verb) => verb.run(global, screen),
            Store::Backup(verb) => wait_for(verb.run(global, screen)),
            Store::Salvage(verb) => verb.run(global, screen),
        }
    }
}

/// How far something is, for a person on a terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new(screen: Screen) -> Self {
        if screen.quiet || screen.json || !std::io::stderr().is_terminal() {
            return Bar(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{msg:14} {wide_bar} {percent:>3} %");
        let bar = ProgressBar::new(1);
        Bar(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }

    fn show(&self, what: &str, done: u64, of: u64) {
        self.0.set_length(of);
        self.0.set_position(done);
        self.0.set_message(what.to_owned());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
