//! `gristmill request` and `gristmill reply`

use std::io::Read as _;
use std::time::Duration;

use gristmill_queue::{NewMessage, QueueName, limits};

use super::door::Door;
use super::exit::{Exit, Failure};
use super::print::Screen;
use super::send::About;
use super::{Global, body};
use crate::api::{MAX_REPLY_WAIT, REPLY_WAIT, Replied, ReplyView};
use crate::config::value::{self, Show as _};

#[derive(clap::Args, Debug)]
pub struct Request {
    /// The queue
    #[arg(value_parser = super::queue_name)]
    queue: QueueName,
    /// The body, or - to read it from stdin
    body: String,
    /// How long to wait for the reply, at most 5m
    #[arg(long, value_name = "TIME", value_parser = wait)]
    timeout: Option<Duration>,
    #[command(flatten)]
    about: About,
}

#[derive(clap::Args, Debug)]
pub struct Reply {
    /// The correlation id, which is the id of the request unless it had its own
    correlation_id: String,
    /// How long to wait for it, at most 5m; not at all unless given
    #[arg(long, value_name = "TIME", value_parser = wait)]
    timeout: Option<Duration>,
}

impl Request {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let body = if self.body == "-" {
            let mut read = Vec::new();
            let stdin = std::io::stdin().lock();
            stdin.take(limits::MAX_INLINE + 1).read_to_end(&mut read)?;
            read
        } else {
            self.body.into_bytes()
        };
        let message = NewMessage {
            body: body.into(),
            ..self.about.message(None)
        };
        let client = Door::host(global).await?;
        let wait = self.timeout.unwrap_or(REPLY_WAIT);
        match client.request(&self.queue, message, wait).await? {
            Replied::Reply(reply) => show(&reply, screen),
            Replied::Pending(pending) => {
                if screen.json {
                    screen.json(&pending)?;
                }
                let message = format!(
                    "no reply within {}; the request is {}, and `gristmill reply {}` asks again",
                    wait.show(),
                    pending.request,
                    pending.correlation_id
                );
                Err(Failure::new(Exit::Conflict, message))
            }
        }
    }
}

impl Reply {
    pub async fn run(self, global: &Global, screen: Screen) -> Result<(), Failure> {
        let client = Door::host(global).await?;
        let wait = self.timeout.unwrap_or_default();
        show(&client.reply(&self.correlation_id, wait).await?, screen)
    }
}

fn show(reply: &ReplyView, screen: Screen) -> Result<(), Failure> {
    if screen.json {
        return screen.json(reply);
    }
    // What cannot be decoded was checked when it was made.
    let bytes = reply.body.clone().into_bytes().unwrap_or_default();
    screen.result(&body::full(&bytes))
}

fn wait(typed: &str) -> Result<Duration, String> {
    let wait = value::typed(typed)?;
    if wait <= MAX_REPLY_WAIT {
        return Ok(wait);
    }
    let most = MAX_REPLY_WAIT.show();
    Err(format!(
        "the longest is {most}; `gristmill reply` asks again"
    ))
}
