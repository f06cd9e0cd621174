//! Requests, and the replies that a caller waits for.

use std::time::Duration;

use gristmill_queue::{Message, NewMessage, QueueName};
use gristmill_store::{DIED_ATTRIBUTE, DIED_IN_ATTRIBUTE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::Body;
use super::view::EnvelopeView;
use super::{Api, Code, MAX_REPLY_WAIT, MAX_REPLY_WAITS, Problem};
use crate::config::value::Show;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplyView {
    /// Its id.
    pub id: String,
    /// When it was accepted.
    pub enqueued_at_ms: u64,
    /// What its sender said.
    pub envelope: EnvelopeView,
    /// Its body.
    #[serde(flatten)]
    pub body: Body,
}

/// A request that is durable, but not replied to yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pending {
    /// The request.
    pub request: String,
    /// What the reply is found by.
    pub correlation_id: String,
    /// The address at which the reply can be asked for, until it expires.
    pub reply_at: String,
}

/// What became of a request within the time that was waited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Replied {
    /// The reply.
    Reply(Box<ReplyView>),
    /// It may still come.
    Pending(Pending),
}

impl From<&Message> for ReplyView {
    fn from(message: &Message) -> Self {
        ReplyView {
            id: message.id.to_string(),
            enqueued_at_ms: message.enqueued_at.unix_ms(),
            envelope: message.envelope.clone().into(),
            body: Body::of(&message.body),
        }
    }
}

impl Pending {
    fn of(request: String, correlation_id: String) -> Self {
        Pending {
            request,
            reply_at: format!("/v1/replies/{}", quoted(&correlation_id)),
            correlation_id,
        }
    }
}

/// A text as it can stand in an address.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push_str(&format!("%{byte:02X}"));
        }
    }
    quoted
}

impl Api {
    /// Sends a request to a queue, and waits so long for its reply.
    ///
    /// # Errors
    /// When it is refused or dies, or too many wait already: then it is not sent.
    pub async fn request(
        &self,
        queue: QueueName,
        message: NewMessage,
        wait: Duration,
    ) -> Result<Replied, Problem> {
        check_wait(wait)?;
        if message.envelope.reply_to.is_some() {
            let detail = "a request has a reply_to of its own: send the message, if the reply is to go to a queue";
            return Err(Problem::bad_request(detail));
        }
        let _place = self.place()?;
        let requested = self.queues.request(queue, message).await?;
        let correlation_id = requested.correlation_id;
        match self.queues.reply(&correlation_id, wait).await? {
            Some(reply) => shown(&reply).map(|reply| Replied::Reply(Box::new(reply))),
            None => {
                let request = requested.accepted.id.to_string();
                Ok(Replied::Pending(Pending::of(request, correlation_id)))
            }
        }
    }

    /// The reply with this correlation id; it is waited for so long, and handed out once.
    ///
    /// # Errors
    /// When there is none, the request died, or too many wait already.
    pub async fn reply(&self, correlation_id: &str, wait: Duration) -> Result<ReplyView, Problem> {
        check_wait(wait)?;
        let _place = self.place()?;
        match self.queues.reply(correlation_id, wait).await? {
            Some(reply) => shown(&reply),
            None => Err(Problem::new(
                Code::ReplyNotFound,
                format!(
                    "no reply with the correlation id {correlation_id:?} is there: it may still come, or was handed out or has expired"
                ),
            )),
        }
    }

    fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        self.waits.try_acquire().map_err(|_| {
            let detail = format!("{MAX_REPLY_WAITS} wait for replies already: try again shortly");
            Problem::new(Code::Busy, detail)
        })
    }
}

fn check_wait(wait: Duration) -> Result<(), Problem> {
    if wait <= MAX_REPLY_WAIT {
        return Ok(());
    }
    let most = MAX_REPLY_WAIT.show();
    let detail = format!(
        "wait {} is more than {most}: wait less, and ask again",
        wait.show()
    );
    Err(Problem::bad_request(detail))
}

fn shown(reply: &Message) -> Result<ReplyView, Problem> {
    let Some(reason) = reply.envelope.attribute(DIED_ATTRIBUTE) else {
        return Ok(reply.into());
    };
    let queue = reply.envelope.attribute(DIED_IN_ATTRIBUTE);
    let id = reply.envelope.causation_id.map(|id| id.to_string());
    let (queue, id) = (queue.unwrap_or_default(), id.unwrap_or_default());
    let error = String::from_utf8_lossy(&reply.body);
    Err(Problem::new(
        Code::RequestDied,
        format!(
            "request {id} died in queue {queue}, reason {reason}: {error}; see `gristmill show {id}`"
        ),
    ))
}
