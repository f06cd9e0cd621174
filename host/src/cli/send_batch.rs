//! `gristmill send-batch`

use std::io::Read as _;
use std::path::PathBuf;

use gristmill_store::Outgoing;

use super::Global;
use super::door::Door;
use super::exit::{Exit, Failure};
use super::print::Screen;
use crate::api::{Items, MAX_BATCH, MessageIn};
use crate::http::limits::MAX_BATCH_BYTES;

#[derive(clap::Args, Debug)]
pub struct SendBatch {
    /// The file, or - to read stdin: on each line a message as JSON, with its queue or topic
    file: PathBuf,
}

impl SendBatch {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let messages = read(&self.text()?)?;
        let door = Door::open(global).await?;
        let sent = door.send_batch(messages).await;
        door.close().await;
        let items = sent?;
        if screen.json {
            return screen.json(&Items { items });
        }
        for sent in &items {
            screen.result(&sent.id)?;
        }
        Ok(())
    }

    fn text(&self) -> Result<String, Failure> {
        let failed = |error: std::io::Error| {
            let message = format!("{} cannot be read: {error}", self.file.display());
            Failure::new(Exit::Failed, message)
        };
        let most = MAX_BATCH_BYTES as u64;
        let mut text = String::new();
        if self.file.as_os_str() == "-" {
            let stdin = std::io::stdin().lock();
            stdin
                .take(most + 1)
                .read_to_string(&mut text)
                .map_err(failed)?;
        } else {
            let file = std::fs::File::open(&self.file).map_err(failed)?;
            file.take(most + 1)
                .read_to_string(&mut text)
                .map_err(failed)?;
        }
        if text.len() > MAX_BATCH_BYTES {
            let message =
                format!("{most} bytes are the most that is sent together: send it in parts");
            return Err(Failure::new(Exit::Failed, message));
        }
        Ok(text)
    }
}

/// The messages of all lines; blank ones are skipped.
fn read(text: &str) -> Result<Vec<Outgoing>, Failure> {
    let mut messages = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let fail = |why: &dyn std::fmt::Display| {
            Failure::new(
                Exit::Failed,
                format!("line {number}: {why}; nothing was sent"),
            )
        };
        let message: MessageIn = serde_json::from_str(line).map_err(|error| fail(&error))?;
        let outgoing = message.into_outgoing(None);
        messages.push(outgoing.map_err(|problem| fail(&problem))?);
    }
    if messages.len() > MAX_BATCH {
        let message = format!(
            "{} messages are sent together, but at most {MAX_BATCH} may be: send them in parts",
            messages.len()
        );
        return Err(Failure::new(Exit::Failed, message));
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_names_its_queue_and_a_bad_one_is_named() {
        let good = "{\"queue\":\"a\",\"body\":\"1\"}\n\n{\"queue\":\"b\",\"body\":\"2\",\"group\":\"g\"}\n";
        let read_back = read(good).unwrap();
        let queues: Vec<&str> = read_back.iter().map(|one| one.queue.as_str()).collect();
        assert_eq!(queues, ["a", "b"]);
        for (bad, told) in [
            ("{\"body\":\"1\"}", "line 1: a message needs its queue"),
            ("\n{", "line 2: "),
            ("{\"queue\":\"a b\"}", "not a queue name"),
            ("{\"queue\":\"a\",\"ttl\":\"5\"}", "line 1: ttl"),
        ] {
            let failure = read(bad).unwrap_err();
            assert!(failure.message.contains(told), "{}", failure.message);
        }
    }
}
