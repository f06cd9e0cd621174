//! `gristmill config`

use serde::Serialize;

use super::exit::Failure;
use super::print::{Column, Screen};
use crate::config::{EXAMPLE, KeyDoc, markdown, reference};

#[derive(clap::Subcommand, Debug)]
pub enum Config {
    /// Every key with its default, as a file to start from
    Example,
    /// Every key in a table
    Reference {
        /// As Markdown, as it stands in docs/configuration.md
        #[arg(long)]
        markdown: bool,
    },
}

#[derive(Serialize)]
struct Key {
    key: String,
    default: Option<&'static str>,
    allowed: &'static str,
    restart: bool,
    doc: &'static str,
}

impl From<&KeyDoc> for Key {
    fn from(key: &KeyDoc) -> Self {
        Key {
            key: key.path(),
            default: key.default,
            allowed: key.bounds,
            restart: key.restart,
            doc: key.doc,
        }
    }
}

impl Config {
    pub fn run(self, screen: Screen) -> Result<(), Failure> {
        let keys = || reference().iter().map(Key::from);
        match self {
            Config::Example => screen.result(EXAMPLE),
            Config::Reference { markdown: true } => screen.result(&markdown::whole()),
            Config::Reference { .. } if screen.json => screen.json(&keys().collect::<Vec<_>>()),
            Config::Reference { .. } => {
                let mut rows = screen.table(&[
                    Column::Words("key"),
                    Column::Words("default"),
                    Column::Words("allowed"),
                    Column::Words("meaning"),
                ]);
                for key in keys() {
                    let restart = if key.restart {
                        " Read only at the start."
                    } else {
                        ""
                    };
                    rows.add([
                        key.key,
                        key.default.unwrap_or("-").to_owned(),
                        key.allowed.to_owned(),
                        format!("{}{restart}", key.doc),
                    ]);
                }
                screen.result(&rows.text())
            }
        }
    }
}
