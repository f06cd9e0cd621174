//! Messages on their way in and out: from parameters to a message of Gristmill, and back.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gristmill_queue::message::Due;
use gristmill_queue::provenance::Provenance;
use gristmill_queue::{Envelope, MessageId, NewMessage, QueueName};
use gristmill_store::Received;
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};

use super::address::Place;
use super::attribute::{self, MessageAttribute, Value};
use super::error::SqsError;
use super::params::Params;
use super::{digest, settings, text};
use crate::config::SqsLimits;
use crate::queues::Known;

/// Pairs of our own that a message has beside its attributes.
const GROUP: &str = "sqs:group";
const DEDUP: &str = "sqs:dedup-id";
const TRACE: &str = "sqs:trace";
/// The one system attribute that can be sent.
const TRACE_HEADER: &str = "AWSTraceHeader";
/// The attribute that carries a W3C trace.
const TRACEPARENT: &str = "traceparent";
const MAX_DELAY: i64 = 900;
/// Who is said to have sent what came in without a signature.
const SENDER: &str = "AIDAGRISTMILLANONYMOUS";

/// A message that is to be sent, with the sums that its sender compares.
#[derive(Debug)]
pub struct Composed {
    /// The message.
    pub message: NewMessage,
    /// Bytes that count against limits.
    pub size: u64,
    body_md5: String,
    attributes_md5: Option<String>,
    system_md5: Option<String>,
}

impl Composed {
    /// What is answered when it is accepted.
    #[must_use]
    pub fn answer(&self, id: MessageId, fifo: bool) -> Map<String, Json> {
        let mut answer = Map::new();
        answer.insert("MessageId".into(), id.to_string().into());
        answer.insert("MD5OfMessageBody".into(), self.body_md5.as_str().into());
        if let Some(sum) = &self.attributes_md5 {
            answer.insert("MD5OfMessageAttributes".into(), sum.as_str().into());
        }
        if let Some(sum) = &self.system_md5 {
            answer.insert("MD5OfMessageSystemAttributes".into(), sum.as_str().into());
        }
        if fifo {
            answer.insert("SequenceNumber".into(), sequence_number(id).into());
        }
        answer
    }
}

/// Twenty digits that grow with each message.
fn sequence_number(id: MessageId) -> String {
    format!("{:020}", id.sequence())
}

/// What of a queue matters to what is sent to it.
pub struct Target<'k> {
    /// Its name.
    pub queue: &'k QueueName,
    /// The queue.
    pub known: &'k Known,
    /// Whether what AWS refuses is refused though it does no harm.
    pub limits: SqsLimits,
    /// The trace of the request, if it has one.
    pub trace: Option<&'k str>,
}

impl Target<'_> {
    fn fifo(&self) -> bool {
        settings::is_fifo(self.queue)
    }

    /// Makes a message of parameters, and holds it against every limit.
    ///
    /// # Errors
    /// With the first limit that is broken.
    pub fn compose(&self, given: &Params) -> Result<Composed, SqsError> {
        let body = given.need("MessageBody")?;
        text::check_body(body)?;
        let attributes = attribute::read(given, "MessageAttributes")?;
        let system = self.system_attributes(given)?;
        let size: usize = attributes.iter().map(MessageAttribute::size).sum();
        let size = (body.len() + size) as u64;
        self.check_size(size)?;
        let mut envelope = Envelope::default();
        attribute::put(&attributes, &mut envelope);
        carry_trace(&attributes, &mut envelope);
        let (due, dedup_id) = if self.fifo() {
            (
                self.fifo_due(given)?,
                self.order(given, body, &mut envelope)?,
            )
        } else {
            (self.due(given)?, self.fair_group(given, &mut envelope)?)
        };
        let trace = system.first().and_then(|one| match &one.value {
            Value::Text(text) => Some(text.as_str()),
            Value::Bytes(_) => None,
        });
        if let Some(trace) = trace.or(self.trace) {
            envelope.attributes.push((TRACE.into(), trace.into()));
        }
        let body_md5 = digest::of_body(body);
        Ok(Composed {
            message: NewMessage {
                body: Bytes::copy_from_slice(body.as_bytes()),
                envelope,
                due,
                ttl: self.retention(due),
                dedup_id,
                ..NewMessage::default()
            },
            size,
            body_md5,
            attributes_md5: digest::of_attributes(&attributes),
            system_md5: digest::of_attributes(&system),
        })
    }

    /// Counted from the send, though the message is due later; a delay that outlasts it leaves the message to
    /// the queue's own rule.
    fn retention(&self, due: Due) -> Option<Duration> {
        let ttl = self.known.policy.default_ttl?;
        let delay = match due {
            Due::Now => self.known.policy.delay,
            Due::After(delay) => delay,
            Due::At(_) => return None,
        };
        (ttl > delay).then_some(ttl)
    }

    fn check_size(&self, size: u64) -> Result<(), SqsError> {
        let limit = settings::largest(&self.known.policy);
        if size <= limit {
            return Ok(());
        }
        Err(SqsError::parameter(format!(
            "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
        )))
    }

    fn system_attributes(&self, given: &Params) -> Result<Vec<MessageAttribute>, SqsError> {
        let system = attribute::read(given, "MessageSystemAttributes")?;
        for one in &system {
            if one.name != TRACE_HEADER || one.data_type != "String" {
                return Err(SqsError::parameter(format!(
                    "Message system attribute name '{}' is invalid: the only one is {TRACE_HEADER}, of type String.",
                    one.name
                )));
            }
        }
        Ok(system)
    }

    fn due(&self, given: &Params) -> Result<Due, SqsError> {
        match given.integer("DelaySeconds")? {
            None => Ok(Due::Now),
            Some(delay @ 0..=MAX_DELAY) => {
                Ok(Due::After(Duration::from_secs(delay.unsigned_abs())))
            }
            Some(delay) => {
                let reason = format!("DelaySeconds must be >= 0 and <= {MAX_DELAY}.");
                Err(SqsError::value(&delay.to_string(), "DelaySeconds", &reason))
            }
        }
    }

    /// The delay of a FIFO queue is that of the queue, for order's sake.
    fn fifo_due(&self, given: &Params) -> Result<Due, SqsError> {
        match given.integer("DelaySeconds")? {
            None | Some(0) => Ok(Due::Now),
            Some(delay) => Err(SqsError::value(
                &delay.to_string(),
                "DelaySeconds",
                OTHER_TYPE,
            )),
        }
    }

    /// The group of a message of a FIFO queue, and what makes it a repeat.
    fn order(
        &self,
        given: &Params,
        body: &str,
        envelope: &mut Envelope,
    ) -> Result<Option<String>, SqsError> {
        let group = given.need("MessageGroupId")?;
        text::check_token(group, "MessageGroupId")?;
        envelope.group = Some(group.to_owned());
        let id = match given.text("MessageDeduplicationId")? {
            Some(id) => {
                text::check_token(id, "MessageDeduplicationId")?;
                id.to_owned()
            }
            None if settings::given(self.known, "ContentBasedDeduplication", "false") == "true" => {
                digest::in_hex(&Sha256::digest(body.as_bytes()))
            }
            None => {
                return Err(SqsError::parameter(
                    "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
                ));
            }
        };
        let of_group = settings::given(self.known, "DeduplicationScope", "queue") == "messageGroup";
        let scoped = if of_group {
            format!("sqs:{}:{group}:{id}", group.len())
        } else {
            id.clone()
        };
        envelope.attributes.push((DEDUP.into(), id));
        Ok(Some(scoped))
    }

    /// A group on a standard queue orders nothing.
    fn fair_group(
        &self,
        given: &Params,
        envelope: &mut Envelope,
    ) -> Result<Option<String>, SqsError> {
        if let Some(group) = given.text("MessageGroupId")? {
            text::check_token(group, "MessageGroupId")?;
            envelope.attributes.push((GROUP.into(), group.to_owned()));
        }
        if let Some(id) = given.text("MessageDeduplicationId")? {
            text::check_token(id, "MessageDeduplicationId")?;
            if self.limits == SqsLimits::Strict {
                return Err(SqsError::value(id, "MessageDeduplicationId", OTHER_TYPE));
            }
        }
        Ok(None)
    }
}

const OTHER_TYPE: &str = "The request include parameter that is not valid for this queue type";

/// A trace that instrumented clients send as attributes is that of the message.
fn carry_trace(attributes: &[MessageAttribute], envelope: &mut Envelope) {
    let parent = attributes.iter().find(|one| one.name == TRACEPARENT);
    if let Some(Value::Text(parent)) = parent.map(|one| &one.value)
        && gristmill_queue::trace::check_parent(parent).is_ok()
    {
        envelope.traceparent = Some(parent.clone());
    }
}

/// What a receive asks for beside the message.
#[derive(Debug, Default)]
pub struct Wanted<'p> {
    /// System attributes.
    pub system: Vec<&'p str>,
    /// Attributes that senders gave.
    pub attributes: Vec<&'p str>,
}

/// A received message as it is answered; its body comes from wherever it is.
#[must_use]
pub fn show(
    received: &Received,
    body: &[u8],
    handle: String,
    wanted: &Wanted<'_>,
    place: &Place,
) -> Json {
    let message = &received.message;
    let body = readable(body);
    let mut shown = Map::new();
    shown.insert("MessageId".into(), message.id.to_string().into());
    shown.insert("ReceiptHandle".into(), handle.into());
    shown.insert("MD5OfBody".into(), digest::of_body(&body).into());
    shown.insert("Body".into(), body.into());
    let system = system_attributes(received, wanted, place);
    if !system.is_empty() {
        shown.insert("Attributes".into(), system.into());
    }
    let attributes = attribute::take(&message.envelope, &wanted.attributes);
    if let Some(sum) = digest::of_attributes(&attributes) {
        shown.insert("MD5OfMessageAttributes".into(), sum.into());
        let pairs = attributes.iter().map(|one| (one.name.clone(), one.json()));
        shown.insert("MessageAttributes".into(), Json::Object(pairs.collect()));
    }
    shown.into()
}

/// A body that was not sent here may be no text, or have characters that XML cannot say: it is given in
/// base64.
fn readable(body: &[u8]) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if text.chars().all(text::is_allowed) => text.to_owned(),
        _ => STANDARD.encode(body),
    }
}

fn system_attributes(received: &Received, wanted: &Wanted<'_>, place: &Place) -> Map<String, Json> {
    let envelope = &received.message.envelope;
    let died = Provenance::of(envelope);
    let earlier = died.as_ref().map_or(0, |died| died.attempts);
    let fifo = settings::is_fifo(&received.message.queue);
    let own = |name: &str| envelope.attribute(name).map(str::to_owned);
    let id = received.message.id;
    let all = [
        ("SenderId", Some(SENDER.to_owned())),
        (
            "SentTimestamp",
            Some(received.enqueued_at.unix_ms().to_string()),
        ),
        (
            "ApproximateReceiveCount",
            Some(received.attempt.saturating_add(earlier).to_string()),
        ),
        (
            "ApproximateFirstReceiveTimestamp",
            Some(received.first_received_at.unix_ms().to_string()),
        ),
        ("SequenceNumber", fifo.then(|| sequence_number(id))),
        ("MessageDeduplicationId", own(DEDUP)),
        (
            "MessageGroupId",
            envelope.group.clone().or_else(|| own(GROUP)),
        ),
        (TRACE_HEADER, own(TRACE)),
        (
            "DeadLetterQueueSourceArn",
            died.map(|died| place.arn(&died.queue)),
        ),
    ];
    let asked = |name: &str| {
        wanted
            .system
            .iter()
            .any(|one| *one == "All" || *one == name)
    };
    all.into_iter()
        .filter(|(name, _)| asked(name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())))
        .collect()
}
