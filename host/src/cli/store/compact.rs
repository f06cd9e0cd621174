//! `gristmill store compact`

use gristmill_store::{Beneath, CompactError, compact_store_on};
use serde::Serialize;

use super::Bar;
use super::verify::verify;
use crate::cli::exit::{Exit, Failure};
use crate::cli::print::Screen;
use crate::cli::{Global, text};

#[derive(clap::Args, Debug)]
pub struct Compact {}

#[derive(Serialize)]
struct CompactedJson {
    before_bytes: u64,
    after_bytes: u64,
}

impl Compact {
    pub fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let folder = global.data_dir(&global.load());
        let bar = Bar::new(screen);
        let beneath = Beneath {
            verify: Some(&verify),
            ..Beneath::default()
        };
        let mut progress = |what: &str, done, of| bar.show(what, done, of);
        let done = compact_store_on(&folder, beneath, &mut progress);
        drop(bar);
        let done = done.map_err(|error| match error {
            CompactError::Open(error) => error.into(),
            CompactError::Damaged(_) => Failure::new(Exit::Damaged, error),
            other => Failure::new(Exit::Failed, other),
        })?;
        if screen.json {
            return screen.json(&CompactedJson {
                before_bytes: done.before,
                after_bytes: done.after,
            });
        }
        screen.result(&format!(
            "{} before, {} now",
            text::size(done.before),
            text::size(done.after)
        ))
    }
}
