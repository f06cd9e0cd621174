//! The API of Amazon SQS over the same verbs as every front end: both of its protocols, in and out.
//!
//! A request becomes a [`Call`](wire::Call) whichever protocol it speaks, an action answers with one JSON
//! value, and that is written as JSON or XML. This room knows queues and the wire; it knows nothing of
//! sockets, and nothing of the store but what the verbs say. The reference is the service model of 2012-11-05.

mod access;
mod actions;
pub mod address;
pub mod attribute;
pub mod digest;
pub mod error;
mod handle;
pub mod message;
mod move_task;
mod params;
mod query;
mod recent;
mod redrive_policy;
pub mod settings;
mod text;
pub mod wire;
mod xml;

#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill_queue::QueueName;
use serde_json::Value;

use crate::auth::Identity;
use crate::config::SqsConfig;
use crate::queues::{Known, Queues};
use address::Place;
use error::{Kind, SqsError};
use move_task::Tasks;
use params::Params;
use recent::Recent;
use wire::{Incoming, JSON, Protocol, XML};

/// The endpoint. Clones are one.
#[derive(Clone)]
pub struct Sqs {
    inner: Arc<Inner>,
}

struct Inner {
    queues: Queues,
    config: SqsConfig,
    since_ms: u64,
    recent: Recent,
    tasks: Tasks,
    requests: AtomicU64,
    salt: [RandomState; 2],
}

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// `x-amzn-RequestId`.
    pub request_id: String,
    /// `x-amzn-query-error`, which has the code that clients of the JSON protocol show.
    pub query_error: Option<String>,
    /// The body.
    pub body: String,
}

/// What an action has to do with: the endpoint, and the request.
struct Ask<'a> {
    sqs: &'a Inner,
    place: Place,
    params: Params,
    queue_in_path: Option<String>,
    trace: Option<String>,
    caller: &'a Identity,
}

impl Sqs {
    /// The endpoint of these queues.
    #[must_use]
    pub fn new(queues: Queues, config: SqsConfig) -> Self {
        Sqs {
            inner: Arc::new(Inner {
                since_ms: queues.now().unix_ms(),
                queues,
                config,
                recent: Recent::default(),
                tasks: Tasks::default(),
                requests: AtomicU64::new(0),
                salt: [RandomState::new(), RandomState::new()],
            }),
        }
    }

    /// Answers a request. Dropping the future ends a wait for messages before any is leased.
    pub async fn answer(&self, incoming: &Incoming, caller: &Identity) -> Reply {
        let protocol = incoming.protocol();
        let answered = self.run(incoming, caller).await;
        self.reply(protocol, answered)
    }

    /// The answer to what was refused before it was read.
    #[must_use]
    pub fn refuse(&self, incoming: &Incoming, error: SqsError) -> Reply {
        self.reply(incoming.protocol(), (String::new(), Err(error)))
    }

    async fn run(&self, incoming: &Incoming, caller: &Identity) -> (String, error::Answer) {
        let call = match incoming.call() {
            Ok(call) => call,
            Err(error) => return (String::new(), Err(error)),
        };
        let ask = Ask {
            sqs: &self.inner,
            place: self.inner.place(incoming),
            params: Params(call.members),
            queue_in_path: call.queue_in_path,
            trace: incoming.trace.clone(),
            caller,
        };
        let answer = match access::check(&call.action, &ask) {
            Ok(()) => actions::run(&call.action, &ask).await,
            Err(error) => Err(error),
        };
        access::note(&call.action, &ask, incoming.from.as_deref(), &answer);
        (call.action, answer)
    }

    fn reply(&self, protocol: Protocol, (action, answer): (String, error::Answer)) -> Reply {
        let request_id = self.inner.request_id();
        let (status, query_error) = match &answer {
            Ok(_) => (200, None),
            Err(error) => {
                let blamed = if error.kind.of_sender() {
                    "Sender"
                } else {
                    "Receiver"
                };
                let code = format!("{};{blamed}", error.kind.code());
                (error.kind.status(), Some(code))
            }
        };
        let body = match (protocol, answer) {
            (Protocol::Json, Ok(members)) if actions::answers_nothing(&action, &members) => {
                String::new()
            }
            (Protocol::Json, Ok(members)) => Value::Object(members).to_string(),
            (Protocol::Json, Err(error)) => {
                let body = serde_json::json!({
                    "__type": error.kind.shape(),
                    "message": error.message,
                });
                body.to_string()
            }
            (Protocol::Query, Ok(members)) => xml::answer(&action, &members, &request_id),
            (Protocol::Query, Err(error)) => xml::error(&in_old_words(error), &request_id),
        };
        let content_type = match protocol {
            Protocol::Json => JSON,
            Protocol::Query => XML,
        };
        Reply {
            status,
            content_type,
            request_id,
            query_error: query_error.filter(|_| protocol == Protocol::Json),
            body,
        }
    }
}

/// The older protocol words one error differently.
fn in_old_words(error: SqsError) -> SqsError {
    if error == SqsError::no_queue() {
        let message = "The specified queue does not exist for this wsdl version.";
        return SqsError::new(Kind::QueueDoesNotExist, message);
    }
    error
}

impl Inner {
    /// Where queues are said to be, as far as this client is concerned.
    fn place(&self, incoming: &Incoming) -> Place {
        let config = &self.config;
        let base = config.public_url.clone().unwrap_or_else(|| {
            let scheme = if incoming.tls { "https" } else { "http" };
            let own = config.listen.to_string();
            format!("{scheme}://{}", incoming.host.as_deref().unwrap_or(&own))
        });
        Place {
            account: config.account.clone(),
            region: incoming
                .region
                .clone()
                .unwrap_or_else(|| config.region.clone()),
            base,
            since_ms: self.since_ms,
        }
    }

    /// Told apart from all others, and good for nothing else.
    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let [high, low] = self.salt.each_ref().map(|salt| salt.hash_one(number));
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
        let (d, e) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }
}

impl Ask<'_> {
    /// The queue that the request is about: named by its URL, or the one in the path.
    ///
    /// # Errors
    /// When none is named, or it is not there.
    fn queue(&self) -> Result<(QueueName, Known), SqsError> {
        let name = self.queue_name()?;
        let known = self.known(&name)?;
        Ok((name, known))
    }

    /// The name of that queue, which may not be there.
    ///
    /// # Errors
    /// When none is named.
    fn queue_name(&self) -> Result<QueueName, SqsError> {
        let url = match self.params.text("QueueUrl")? {
            Some(url) if !url.is_empty() => url,
            _ => self
                .queue_in_path
                .as_deref()
                .ok_or_else(|| SqsError::missing("QueueUrl"))?,
        };
        address::of_url(url)
    }

    /// A queue by its name.
    ///
    /// # Errors
    /// When it is not there.
    fn known(&self, name: &QueueName) -> Result<Known, SqsError> {
        self.sqs
            .queues
            .known(name)
            .filter(|_| !is_own(name))
            .ok_or_else(SqsError::no_queue)
    }

    fn is_there(&self, name: &QueueName) -> bool {
        self.known(name).is_ok()
    }
}

/// Whether a queue is the host's own, which is nobody's business here.
fn is_own(name: &QueueName) -> bool {
    name.as_str().starts_with("gristmill-")
}
