//! `gristmill cancel`

use gristmill_queue::MessageId;
use serde::Serialize;

use super::door::Door;
use super::exit::{Exit, Failure, exit_of};
use super::print::Screen;
use super::{Global, text};
use crate::api::Code;

#[derive(clap::Args, Debug)]
pub struct Cancel {
    /// The messages
    #[arg(required = true, value_name = "ID")]
    ids: Vec<MessageId>,
}

#[derive(Serialize)]
struct Report {
    cancelled: Vec<String>,
    refused: Vec<Refused>,
}

#[derive(Serialize)]
struct Refused {
    id: String,
    code: Code,
    detail: String,
}

impl Cancel {
    /// Each is cancelled by itself: one that cannot be does not keep the others.
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let door = Door::open(global).await?;
        let mut report = Report {
            cancelled: Vec::new(),
            refused: Vec::new(),
        };
        for id in self.ids {
            match door.cancel(id).await {
                Ok(()) => report.cancelled.push(id.to_string()),
                Err(problem) => report.refused.push(Refused {
                    id: id.to_string(),
                    code: problem.code,
                    detail: problem.detail,
                }),
            }
        }
        door.close().await;
        report.show(screen)
    }
}

impl Report {
    fn show(self, screen: Screen) -> Result<(), Failure> {
        if screen.json {
            screen.json(&self)?;
        } else {
            for id in &self.cancelled {
                screen.result(&format!("{id} cancelled"))?;
            }
        }
        let exit = match self.refused.as_slice() {
            [] => return Ok(()),
            [one] if self.cancelled.is_empty() => exit_of(one.code),
            _ => Exit::Failed,
        };
        let details: Vec<String> = self
            .refused
            .iter()
            .map(|refused| text::line(&refused.detail))
            .collect();
        Err(Failure::new(exit, details.join("\n")))
    }
}
