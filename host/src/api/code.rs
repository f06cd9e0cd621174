//! The codes of what can go wrong: each with its HTTP status and the sentence that goes with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
