//! What can go wrong with a request, as every front end tells it: one code, one sentence.
//!
//! The one place where the errors of the rooms below become what a caller is told. A front end only
//! chooses how to show it: HTTP by [`Code::status`], the command line by its exit code.

use std::fmt;

use gristmill_queue::BlobUnavailable;
use gristmill_queue::bug::{Bug, is_planted};
use gristmill_queue::message::InvalidMessage;
use gristmill_store::{AdminError, SendError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Code;
use crate::auth::{AccessError, Denied};

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
            SendError::Unknown if is_planted(Bug::UnknownAnsweredAsBusy) => Code::Busy,
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
