//! Pull consumers: what they ask for, what they get, and how they settle it.

use std::time::Duration;

use gristmill_queue::{MessageId, QueueName, limits};
use gristmill_store::{GroupOrder, PullError, Pulled, Receive, ReceiveError, Received};
use serde::{Deserialize, Serialize};

use super::message::{Body, duration};
use super::view::EnvelopeView;
use super::{Api, Code, Items, Problem, ProblemJson};
use crate::config::value::Show as _;

/// What a pull consumer asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiveOrder {
    /// At most so many messages, 1 to [`limits::MAX_RECEIVE`]; one unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// How long to wait if there is none, such as `20s`; not at all unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<String>,
    /// How long the leases last, such as `30s`; as the queue says unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<String>,
    /// Take several messages of one group, in order; else one of each.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub group_batch: bool,
}

/// A message that is leased to a pull consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseView {
    /// Its id.
    pub id: String,
    /// The proof of the lease: what settles it.
    pub receipt: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When the lease ends, unless it is extended.
    pub lease_ends_at_ms: u64,
    /// When the first of its attempts began.
    pub first_received_at_ms: u64,
    /// When it was accepted, or last redriven.
    pub enqueued_at_ms: u64,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// What its sender said.
    pub envelope: EnvelopeView,
    /// Bytes of its body.
    pub size: u64,
    /// Its body.
    #[serde(flatten)]
    pub body: Body,
    /// Where its body is, if it is large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_url: Option<String>,
}

/// How a pull consumer settles what it has received: each receipt at the most once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SettleOrder {
    /// These are done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ack: Vec<String>,
    /// These failed, which counts, and are tried again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retry: Vec<RetryOrder>,
    /// These will never work: they die.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reject: Vec<RejectOrder>,
    /// These were not handled: they are due at once, and it does not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub release: Vec<String>,
    /// The leases of these end so long from now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub extend: Vec<ExtendOrder>,
}

/// A message that failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryOrder {
    /// The proof of its lease.
    pub receipt: String,
    /// After which time it is tried again, such as `30s`; after the queue's back-off unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    /// Why, in words.
    #[serde(default)]
    pub error: String,
}

/// A message that will never work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RejectOrder {
    /// The proof of its lease.
    pub receipt: String,
    /// Why, in words.
    #[serde(default)]
    pub error: String,
}

/// A lease that is to last longer, or to end sooner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtendOrder {
    /// The proof of the lease.
    pub receipt: String,
    /// How long it lasts from now on, such as `30s`.
    pub visibility: String,
}

/// What became of one receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledView {
    /// The receipt.
    pub receipt: String,
    /// The message, if the receipt is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// `ack`, `retry`, `reject`, `release` or `extend`.
    pub verdict: String,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<ProblemJson>,
}

impl LeaseView {
    fn of(received: &Received, receipt: String) -> Self {
        let message = &received.message;
        let id = message.id.to_string();
        LeaseView {
            receipt,
            attempt: received.attempt,
            lease_ends_at_ms: received.lease_ends.unix_ms(),
            first_received_at_ms: received.first_received_at.unix_ms(),
            enqueued_at_ms: received.enqueued_at.unix_ms(),
            expires_at_ms: message.expires_at.map(|time| time.unix_ms()),
            envelope: message.envelope.clone().into(),
            size: message.size(),
            body: Body::inline(message),
            body_url: message.blob.map(|_| format!("/v1/messages/{id}/body")),
            id,
        }
    }
}

/// A verdict that was read, and the receipt that it is about.
struct Verdict {
    receipt: String,
    verdict: &'static str,
    pulled: Result<Pulled, Problem>,
}

impl SettleOrder {
    /// How many receipts it names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ack.len()
            + self.retry.len()
            + self.reject.len()
            + self.release.len()
            + self.extend.len()
    }

    /// Whether it names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn into_verdicts(self) -> Vec<Verdict> {
        let plain = |verdict, pulled: Pulled| {
            move |receipt| Verdict {
                receipt,
                verdict,
                pulled: Ok(pulled.clone()),
            }
        };
        let retry = |order: RetryOrder| {
            let delay = order.delay.map(|text| duration("delay", &text));
            Verdict {
                receipt: order.receipt,
                verdict: "retry",
                pulled: delay.transpose().map(|delay| Pulled::Retry {
                    delay,
                    error: order.error,
                }),
            }
        };
        let reject = |order: RejectOrder| Verdict {
            receipt: order.receipt,
            verdict: "reject",
            pulled: Ok(Pulled::Reject { error: order.error }),
        };
        let extend = |order: ExtendOrder| Verdict {
            receipt: order.receipt,
            verdict: "extend",
            pulled: visibility(&order.visibility).map(|visibility| Pulled::Extend { visibility }),
        };
        let acks = self.ack.into_iter().map(plain("ack", Pulled::Ack));
        let releases = self.release.into_iter();
        acks.chain(self.retry.into_iter().map(retry))
            .chain(self.reject.into_iter().map(reject))
            .chain(releases.map(plain("release", Pulled::Release)))
            .chain(self.extend.into_iter().map(extend))
            .collect()
    }
}

impl ReceiveOrder {
    /// What is asked of a queue.
    ///
    /// # Errors
    /// When a field has no meaning, or is beyond its limit.
    pub fn of_queue(self, queue: QueueName) -> Result<Receive, Problem> {
        let max = self.max.unwrap_or(1);
        if max == 0 || max > limits::MAX_RECEIVE {
            return Err(Problem::bad_request(format!(
                "max {max} is not between 1 and {}",
                limits::MAX_RECEIVE
            )));
        }
        let wait = self.wait.map(|text| duration("wait", &text)).transpose()?;
        let wait = wait.unwrap_or_default();
        if wait > limits::MAX_RECEIVE_WAIT {
            return Err(Problem::bad_request(format!(
                "wait {} is more than {}: wait less, and ask again",
                wait.show(),
                limits::MAX_RECEIVE_WAIT.show()
            )));
        }
        let visibility = self.visibility.as_deref().map(visibility).transpose()?;
        Ok(Receive {
            queue,
            max,
            wait,
            visibility,
            order: if self.group_batch {
                GroupOrder::Batch
            } else {
                GroupOrder::One
            },
        })
    }
}

/// Reads how long a lease lasts.
fn visibility(text: &str) -> Result<Duration, Problem> {
    let visibility = duration("visibility", text)?;
    if visibility <= limits::MAX_VISIBILITY {
        return Ok(visibility);
    }
    let most = limits::MAX_VISIBILITY.show();
    Err(Problem::bad_request(format!(
        "visibility {} is more than {most}",
        visibility.show()
    )))
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        let code = match error {
            ReceiveError::UnknownQueue(queue) => {
                return gristmill_store::AdminError::UnknownQueue(queue).into();
            }
            ReceiveError::NotPull(_) => Code::NotPull,
            ReceiveError::TooManyWaiting | ReceiveError::Busy { .. } => Code::Busy,
            ReceiveError::Closed => Code::OutcomeUnknown,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<PullError> for Problem {
    fn from(error: PullError) -> Self {
        let code = match error {
            PullError::LeaseLost => Code::LeaseLost,
            PullError::TooLong => Code::BadRequest,
        };
        Problem::new(code, error.to_string())
    }
}

impl Api {
    /// Leases messages of a queue to a pull consumer: that is durable when this returns.
    ///
    /// # Errors
    /// When the order has no meaning, the queue is not there or not for pull consumers, or too many wait.
    pub async fn receive(
        &self,
        queue: QueueName,
        order: ReceiveOrder,
    ) -> Result<Vec<LeaseView>, Problem> {
        let receive = order.of_queue(queue.clone())?;
        let received = self.queues.receive(receive).await?;
        let show = |one: &Received| LeaseView::of(one, self.queues.receipt(&queue, one));
        Ok(received.iter().map(show).collect())
    }

    /// Settles what pull consumers have received. Says of each receipt what became of it, in the order of
    /// the fields: what is done is durable when this returns.
    ///
    /// # Errors
    /// When there is no such queue, or too many receipts are named.
    pub async fn settle_pulled(
        &self,
        queue: QueueName,
        order: SettleOrder,
    ) -> Result<Items<SettledView>, Problem> {
        if order.len() > limits::MAX_SETTLED {
            return Err(Problem::new(
                Code::TooLarge,
                format!(
                    "{} receipts are settled together, but at most {} may be: settle them in parts",
                    order.len(),
                    limits::MAX_SETTLED
                ),
            ));
        }
        let mut items = Vec::with_capacity(order.len());
        let mut verdicts = Vec::new();
        let mut at = Vec::new();
        for Verdict {
            receipt,
            verdict,
            pulled,
        } in order.into_verdicts()
        {
            let read = self.queues.read_receipt(&queue, &receipt);
            let id = read.as_ref().ok().map(|read| read.id);
            let read = read.map_err(|error| Problem::new(Code::ReceiptInvalid, error.to_string()));
            let problem = match read.and_then(|read| Ok((read.fence, pulled?))) {
                Ok(verdict) => {
                    at.push(items.len());
                    verdicts.push(verdict);
                    None
                }
                Err(problem) => Some(ProblemJson::from(&problem)),
            };
            items.push(SettledView {
                receipt,
                id: id.as_ref().map(MessageId::to_string),
                verdict: verdict.to_owned(),
                problem,
            });
        }
        let settled = self.queues.settle_pulled(queue, verdicts).await?;
        for (at, settled) in at.into_iter().zip(settled) {
            if let Err(error) = settled {
                items[at].problem = Some(ProblemJson::from(&Problem::from(error)));
            }
        }
        Ok(Items { items })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Receive, Problem> {
        let order: ReceiveOrder = serde_json::from_str(text).unwrap();
        order.of_queue(QueueName::new("orders").unwrap())
    }

    #[test]
    fn a_receive_asks_for_one_message_at_once_unless_it_says_otherwise() {
        let plain = read("{}").unwrap();
        assert_eq!((plain.max, plain.wait), (1, Duration::ZERO));
        assert_eq!((plain.visibility, plain.order), (None, GroupOrder::One));
        let full =
            read(r#"{"max":100,"wait":"60s","visibility":"12h","group_batch":true}"#).unwrap();
        assert_eq!((full.max, full.wait), (100, Duration::from_secs(60)));
        assert_eq!(full.visibility, Some(Duration::from_secs(43_200)));
        assert_eq!(full.order, GroupOrder::Batch);
        let none = read(r#"{"visibility":"0s"}"#).unwrap().visibility;
        assert_eq!(none, Some(Duration::ZERO));
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_with_the_limit() {
        for (text, expected) in [
            (r#"{"max":0}"#, "max 0 is not between 1 and 100"),
            (r#"{"max":101}"#, "max 101 is not between 1 and 100"),
            (r#"{"wait":"61s"}"#, "is more than 1m"),
            (r#"{"wait":"soon"}"#, "not a duration"),
            (r#"{"visibility":"13h"}"#, "is more than 12h"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.detail.contains(expected), "{text}: {problem}");
        }
    }
}
