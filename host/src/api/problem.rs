//! What can go wrong with a request, as every front end tells it: one code, one sentence.
//!
//! The one place where the errors of the rooms below become what a caller is told. A front end only
//! chooses how to show it: HTTP by [`Code::status`], the command line by its exit code.

use std::fmt;

use gristmill_queue::BlobUnavailable;
use gristmill_queue::message::InvalidMessage;
use gristmill_store::{AdminError, SendError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::auth::{AccessError, Denied};

/// What kind of trouble it is. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The request cannot be understood.
    BadRequest,
    /// The message breaks a limit.
    InvalidMessage,
    /// The body, or the request, is too large.
    TooLarge,
    /// The request did not arrive in time.
    TooSlow,
    /// There is no such queue.
    QueueNotFound,
    /// The configuration declares the queue, so it is changed there only.
    QueueFromFile,
    /// There are as many queues as there can be.
    TooManyQueues,
    /// There is no such message.
    MessageNotFound,
    /// There is no such entry of the crontab.
    CronNotFound,
    /// There is no such redrive.
    RedriveNotFound,
    /// No reply has come.
    ReplyNotFound,
    /// The request is dead, so no reply comes.
    RequestDied,
    /// No subscription of the topic matches, and it refuses such messages.
    Unmatched,
    /// The messages of the queue are for its handler alone.
    NotPull,
    /// The lease has ended, or the message was settled.
    LeaseLost,
    /// The receipt is none of this host for this queue.
    ReceiptInvalid,
    /// The message is being handled, so it cannot be changed.
    MessageInFlight,
    /// The message is dead, so it cannot be changed.
    MessageDead,
    /// There is no such handler.
    HandlerNotFound,
    /// There is no such token or access key.
    TokenNotFound,
    /// Who asks has not shown who they are, or not well.
    Unauthorized,
    /// Who asks may not do this.
    Forbidden,
    /// More is asked than may be within the time.
    RateLimited,
    /// The body is of a type that is not taken here.
    UnsupportedMediaType,
    /// There is nothing at this address.
    NotFound,
    /// There is something at this address, but not for this method.
    MethodNotAllowed,
    /// The queue holds as much as it may.
    QueueFull,
    /// More waits to be written than may wait.
    Busy,
    /// Whether it was done is not known.
    OutcomeUnknown,
    /// A record is damaged.
    Damaged,
    /// The store cannot be read or written.
    StoreFailed,
    /// A large body could not be stored; nothing was sent.
    DiskFull,
    /// So little of the disk is free that nothing more is taken; nothing was sent.
    DiskReserve,
    /// No host answers. Said by the caller's side, never by a host.
    Unreachable,
    /// Anything that this version does not know.
    #[serde(other)]
    Other,
}

impl Code {
    /// Every code that a host answers with, in the order of their statuses.
    pub const ANSWERED: [Code; 34] = [
        Code::BadRequest,
        Code::InvalidMessage,
        Code::ReceiptInvalid,
        Code::Unauthorized,
        Code::Forbidden,
        Code::QueueNotFound,
        Code::MessageNotFound,
        Code::CronNotFound,
        Code::RedriveNotFound,
        Code::ReplyNotFound,
        Code::HandlerNotFound,
        Code::TokenNotFound,
        Code::NotFound,
        Code::MethodNotAllowed,
        Code::TooSlow,
        Code::MessageInFlight,
        Code::MessageDead,
        Code::QueueFromFile,
        Code::TooManyQueues,
        Code::NotPull,
        Code::LeaseLost,
        Code::TooLarge,
        Code::UnsupportedMediaType,
        Code::Unmatched,
        Code::QueueFull,
        Code::RateLimited,
        Code::Damaged,
        Code::StoreFailed,
        Code::Other,
        Code::RequestDied,
        Code::Busy,
        Code::OutcomeUnknown,
        Code::DiskFull,
        Code::DiskReserve,
    ];

    /// The stable code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// The same for every problem of this code.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            Code::BadRequest => ("bad-request", 400, "The request cannot be understood"),
            Code::InvalidMessage => ("invalid-message", 400, "The message breaks a limit"),
            Code::TooLarge => ("too-large", 413, "The request is too large"),
            Code::TooSlow => ("too-slow", 408, "The request did not arrive in time"),
            Code::QueueNotFound => ("queue-not-found", 404, "There is no such queue"),
            Code::QueueFromFile => (
                "queue-from-file",
                409,
                "The configuration declares the queue",
            ),
            Code::TooManyQueues => ("too-many-queues", 409, "There are too many queues"),
            Code::MessageNotFound => ("message-not-found", 404, "There is no such message"),
            Code::CronNotFound => ("cron-not-found", 404, "There is no such cron entry"),
            Code::RedriveNotFound => ("redrive-not-found", 404, "There is no such redrive"),
            Code::ReplyNotFound => ("reply-not-found", 404, "No reply has come"),
            Code::RequestDied => ("request-died", 502, "The request died"),
            Code::Unmatched => ("unmatched", 422, "No subscription matches"),
            Code::NotPull => ("not-pull", 409, "The queue is for its handler"),
            Code::LeaseLost => ("lease-lost", 409, "The lease is lost"),
            Code::ReceiptInvalid => ("receipt-invalid", 400, "The receipt is not one"),
            Code::MessageInFlight => ("message-in-flight", 409, "The message is in flight"),
            Code::MessageDead => ("message-dead", 409, "The message is dead"),
            Code::HandlerNotFound => ("handler-not-found", 404, "There is no such handler"),
            Code::TokenNotFound => ("token-not-found", 404, "There is no such token"),
            Code::Unauthorized => ("unauthorized", 401, "A token is needed"),
            Code::Forbidden => ("forbidden", 403, "This is not allowed"),
            Code::RateLimited => ("rate-limited", 429, "Too many requests"),
            Code::UnsupportedMediaType => (
                "unsupported-media-type",
                415,
                "The type of the body is not taken here",
            ),
            Code::NotFound => ("not-found", 404, "There is nothing at this address"),
            Code::MethodNotAllowed => ("method-not-allowed", 405, "The method is not allowed here"),
            Code::QueueFull => ("queue-full", 429, "The queue is full"),
            Code::Busy => ("busy", 503, "The host is busy"),
            Code::OutcomeUnknown => ("outcome-unknown", 503, "Whether it was done is not known"),
            Code::Damaged => ("damaged", 500, "A record is damaged"),
            Code::StoreFailed => ("store-failed", 500, "The store failed"),
            Code::DiskFull => ("disk-full", 507, "The body could not be stored"),
            Code::DiskReserve => ("disk-reserve", 507, "The disk is nearly full"),
            Code::Unreachable => ("unreachable", 503, "No host answers"),
            Code::Other => ("other", 500, "Something went wrong"),
        }
    }

    /// After how many seconds it is worth trying again, where waiting helps.
    #[must_use]
    pub fn retry_after(self) -> Option<u32> {
        matches!(self, Code::QueueFull | Code::Busy | Code::RateLimited).then_some(1)
    }
}

/// Why a request was not answered as asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of trouble.
    pub code: Code,
    /// What happened, to which thing, and what to do now.
    pub detail: String,
}

impl Problem {
    /// A problem of this kind, in these words.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem {
            code,
            detail: detail.into(),
        }
    }

    /// A request that cannot be understood.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, detail)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        let code = match error.cause() {
            SendError::UnknownQueue(_) => Code::QueueNotFound,
            SendError::Invalid { problem, .. } => match problem {
                InvalidMessage::BodyTooLarge { .. } => Code::TooLarge,
                _ => Code::InvalidMessage,
            },
            SendError::Full(_) => Code::QueueFull,
            SendError::Busy { .. } => Code::Busy,
            SendError::NotStored { .. } => Code::DiskFull,
            SendError::Reserve(_) => Code::DiskReserve,
            SendError::Unmatched(_) => Code::Unmatched,
            SendError::TooManyCopies => Code::TooLarge,
            SendError::RequestToTopic(_) => Code::BadRequest,
            SendError::Unknown | SendError::InBatch { .. } => Code::OutcomeUnknown,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        Problem::new(Code::Forbidden, denied.to_string())
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let code = match error {
            AccessError::Locked(_) => Code::Busy,
            AccessError::TooMany => Code::BadRequest,
            _ => Code::StoreFailed,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<BlobUnavailable> for Problem {
    fn from(error: BlobUnavailable) -> Self {
        let code = match error {
            BlobUnavailable::Damaged(_) => Code::Damaged,
            BlobUnavailable::Io(_) => Code::StoreFailed,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match &error {
            AdminError::UnknownQueue(name) => Problem::new(
                Code::QueueNotFound,
                format!(
                    "there is no queue {name}: declare it with [queue.{name}] in the configuration, or see `gristmill queues`"
                ),
            ),
            AdminError::UnknownMessage(_) => Problem::new(Code::MessageNotFound, error.to_string()),
            AdminError::Undeclared(_) => Problem::new(Code::QueueNotFound, error.to_string()),
            AdminError::NotMade(_) => Problem::new(Code::QueueFromFile, error.to_string()),
            AdminError::IsTopic(_) => Problem::bad_request(error.to_string()),
            AdminError::TooManyMade => Problem::new(Code::TooManyQueues, error.to_string()),
            AdminError::UnknownRedrive(_) => Problem::new(Code::RedriveNotFound, error.to_string()),
            AdminError::Invalid { problem, .. } => {
                let code = match problem {
                    InvalidMessage::BodyTooLarge { .. } => Code::TooLarge,
                    _ => Code::InvalidMessage,
                };
                Problem::new(code, error.to_string())
            }
            AdminError::InFlight(_) => Problem::new(Code::MessageInFlight, error.to_string()),
            AdminError::IsDead(_) => Problem::new(Code::MessageDead, error.to_string()),
            AdminError::ExpiresFirst(_) => Problem::new(Code::InvalidMessage, error.to_string()),
            AdminError::Damaged(_) => Problem::new(Code::Damaged, error.to_string()),
            AdminError::NotStored(error) => error.clone().into(),
            AdminError::Blob(error) => error.clone().into(),
            AdminError::Store(_) => Problem::new(Code::StoreFailed, error.to_string()),
            AdminError::Closed => Problem::new(Code::OutcomeUnknown, error.to_string()),
        }
    }
}

/// A problem as it stands in an answer: the problem details of RFC 9457, with a `code`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemJson {
    /// A URN that names the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same for every problem of this code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened, to which thing, and what to do now.
    pub detail: String,
    /// What kind of trouble.
    pub code: Code,
}

impl From<&Problem> for ProblemJson {
    fn from(problem: &Problem) -> Self {
        let code = problem.code;
        ProblemJson {
            kind: format!("urn:gristmill:problem:{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: problem.detail.clone(),
            code,
        }
    }
}

impl From<ProblemJson> for Problem {
    fn from(json: ProblemJson) -> Self {
        Problem::new(json.code, json.detail)
    }
}

#[cfg(test)]
mod tests {
    use gristmill_queue::QueueName;

    use super::*;

    #[test]
    fn errors_become_codes_and_statuses() {
        let queue = QueueName::new("orders").unwrap();
        let invalid = |problem| SendError::Invalid {
            queue: queue.clone(),
            problem,
        };
        let table: [(Problem, &str, u16); 8] = [
            (
                SendError::UnknownQueue(queue.clone()).into(),
                "queue-not-found",
                404,
            ),
            (invalid(InvalidMessage::Ttl).into(), "invalid-message", 400),
            (
                invalid(InvalidMessage::BodyTooLarge { size: 2, limit: 1 }).into(),
                "too-large",
                413,
            ),
            (SendError::Busy { waiting: 1 }.into(), "busy", 503),
            (SendError::Unknown.into(), "outcome-unknown", 503),
            (
                AdminError::UnknownQueue(queue.clone()).into(),
                "queue-not-found",
                404,
            ),
            (AdminError::Damaged(7).into(), "damaged", 500),
            (AdminError::Closed.into(), "outcome-unknown", 503),
        ];
        for (problem, code, status) in table {
            assert_eq!(
                (problem.code.as_str(), problem.code.status()),
                (code, status)
            );
            assert!(!problem.detail.is_empty());
        }
    }

    #[test]
    fn a_problem_survives_the_wire_and_unknown_codes_are_other() {
        let problem = Problem::new(Code::QueueFull, "queue q is full");
        let text = serde_json::to_string(&ProblemJson::from(&problem)).unwrap();
        assert!(text.contains(r#""code":"queue-full""#), "{text}");
        let back: ProblemJson = serde_json::from_str(&text).unwrap();
        assert_eq!(Problem::from(back), problem);
        let newer = text.replace("\"queue-full\"", "\"from-the-future\"");
        let back: ProblemJson = serde_json::from_str(&newer).unwrap();
        assert_eq!(back.code, Code::Other);
    }
}
