//! What a request is refused with: one table of the errors of the SQS API.
//!
//! The names of an error differ between the protocols. In JSON the shape stands in `__type`, and the code
//! of the older protocol in a header, which clients show as the code of the error.

use std::fmt;

/// Whose words a shape belongs to.
const SQS: &str = "com.amazonaws.sqs";
const FRONT: &str = "com.amazon.coral.service";

/// A kind of error, as clients tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no such queue.
    QueueDoesNotExist,
    /// There is one, with other attributes.
    QueueNameExists,
    /// There was one a moment ago.
    QueueDeletedRecently,
    /// It was purged a moment ago.
    PurgeQueueInProgress,
    /// There is no such attribute, or not of such a queue.
    InvalidAttributeName,
    /// An attribute cannot have this value.
    InvalidAttributeValue,
    /// A parameter cannot have this value.
    InvalidParameterValue,
    /// A parameter is not there.
    MissingParameter,
    /// A batch without entries.
    EmptyBatchRequest,
    /// A batch with too many.
    TooManyEntriesInBatchRequest,
    /// Two entries of a batch share an id.
    BatchEntryIdsNotDistinct,
    /// The id of an entry is malformed.
    InvalidBatchEntryId,
    /// The messages of a batch are too large together.
    BatchRequestTooLong,
    /// The receipt handle is none that was given out here.
    ReceiptHandleIsInvalid,
    /// The message is not in flight.
    MessageNotInflight,
    /// The body has characters that are not allowed.
    InvalidMessageContents,
    /// More than is allowed.
    OverLimit,
    /// What cannot be done with this queue.
    UnsupportedOperation,
    /// The source or the destination of a move is not there.
    ResourceNotFound,
    /// Things that do not go together.
    InvalidParameterCombination,
    /// There is no such action.
    InvalidAction,
    /// No action is named.
    MissingAction,
    /// No action, at the address of a queue.
    UnknownOperation,
    /// A member of the request is of another type.
    Serialization,
    /// Too much at once: to be tried again.
    RequestThrottled,
    /// The caller may not do this.
    AccessDenied,
    /// The request has no signature.
    MissingAuthenticationToken,
    /// The signature lacks something.
    IncompleteSignature,
    /// The access key is none of ours.
    InvalidClientTokenId,
    /// The signature is not that of the request.
    SignatureDoesNotMatch,
    /// The request is larger than any may be.
    RequestTooLarge,
    /// Whether it was done is not known, or nothing can be done now.
    ServiceUnavailable,
    /// The store failed.
    InternalError,
}

impl Kind {
    /// The namespace of the shape, the shape, the code of the older protocol, and the HTTP status.
    fn row(self) -> (&'static str, &'static str, &'static str, u16) {
        use Kind::*;
        match self {
            QueueDoesNotExist => (
                SQS,
                "QueueDoesNotExist",
                "AWS.SimpleQueueService.NonExistentQueue",
                400,
            ),
            QueueNameExists => (SQS, "QueueNameExists", "QueueAlreadyExists", 400),
            QueueDeletedRecently => (
                SQS,
                "QueueDeletedRecently",
                "AWS.SimpleQueueService.QueueDeletedRecently",
                400,
            ),
            PurgeQueueInProgress => (
                SQS,
                "PurgeQueueInProgress",
                "AWS.SimpleQueueService.PurgeQueueInProgress",
                403,
            ),
            InvalidAttributeName => (SQS, "InvalidAttributeName", "InvalidAttributeName", 400),
            InvalidAttributeValue => (SQS, "InvalidAttributeValue", "InvalidAttributeValue", 400),
            InvalidParameterValue => (
                SQS,
                "InvalidParameterValueException",
                "InvalidParameterValue",
                400,
            ),
            MissingParameter => (
                FRONT,
                "MissingRequiredParameterException",
                "MissingParameter",
                400,
            ),
            EmptyBatchRequest => (
                SQS,
                "EmptyBatchRequest",
                "AWS.SimpleQueueService.EmptyBatchRequest",
                400,
            ),
            TooManyEntriesInBatchRequest => (
                SQS,
                "TooManyEntriesInBatchRequest",
                "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
                400,
            ),
            BatchEntryIdsNotDistinct => (
                SQS,
                "BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                400,
            ),
            InvalidBatchEntryId => (
                SQS,
                "InvalidBatchEntryId",
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                400,
            ),
            BatchRequestTooLong => (
                SQS,
                "BatchRequestTooLong",
                "AWS.SimpleQueueService.BatchRequestTooLong",
                400,
            ),
            ReceiptHandleIsInvalid => {
                (SQS, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 400)
            }
            MessageNotInflight => (
                SQS,
                "MessageNotInflight",
                "AWS.SimpleQueueService.MessageNotInflight",
                400,
            ),
            InvalidMessageContents => {
                (SQS, "InvalidMessageContents", "InvalidMessageContents", 400)
            }
            OverLimit => (SQS, "OverLimit", "OverLimit", 403),
            UnsupportedOperation => (
                SQS,
                "UnsupportedOperation",
                "AWS.SimpleQueueService.UnsupportedOperation",
                400,
            ),
            ResourceNotFound => (
                SQS,
                "ResourceNotFoundException",
                "ResourceNotFoundException",
                404,
            ),
            InvalidParameterCombination => (
                SQS,
                "InvalidParameterCombination",
                "InvalidParameterCombination",
                400,
            ),
            InvalidAction => (FRONT, "InvalidAction", "InvalidAction", 400),
            MissingAction => (FRONT, "MissingAction", "MissingAction", 400),
            UnknownOperation => (
                FRONT,
                "UnknownOperationException",
                "UnknownOperationException",
                404,
            ),
            Serialization => (FRONT, "SerializationException", "MalformedInput", 400),
            RequestThrottled => (SQS, "RequestThrottled", "RequestThrottled", 403),
            AccessDenied => (FRONT, "AccessDeniedException", "AccessDenied", 403),
            MissingAuthenticationToken => (
                FRONT,
                "MissingAuthenticationTokenException",
                "MissingAuthenticationToken",
                403,
            ),
            IncompleteSignature => (
                FRONT,
                "IncompleteSignatureException",
                "IncompleteSignature",
                400,
            ),
            InvalidClientTokenId => (
                FRONT,
                "UnrecognizedClientException",
                "InvalidClientTokenId",
                403,
            ),
            SignatureDoesNotMatch => (
                FRONT,
                "InvalidSignatureException",
                "SignatureDoesNotMatch",
                403,
            ),
            RequestTooLarge => (FRONT, "RequestEntityTooLarge", "RequestEntityTooLarge", 413),
            ServiceUnavailable => (
                FRONT,
                "ServiceUnavailableException",
                "ServiceUnavailable",
                503,
            ),
            InternalError => (FRONT, "InternalFailure", "InternalFailure", 500),
        }
    }

    /// The shape with its namespace, as JSON names it.
    #[must_use]
    pub fn shape(self) -> String {
        let (space, shape, ..) = self.row();
        format!("{space}#{shape}")
    }

    /// The code of the older protocol.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.row().2
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(self) -> u16 {
        self.row().3
    }

    /// Whether the caller is to blame.
    #[must_use]
    pub fn of_sender(self) -> bool {
        self.status() < 500
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqsError {
    /// What kind of trouble.
    pub kind: Kind,
    /// In words.
    pub message: String,
}

impl SqsError {
    /// An error of this kind, in these words.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        SqsError {
            kind,
            message: message.into(),
        }
    }

    /// A parameter that is not there.
    #[must_use]
    pub fn missing(name: &str) -> Self {
        let message = format!("The request must contain the parameter {name}.");
        SqsError::new(Kind::MissingParameter, message)
    }

    /// A parameter with a value that it cannot have.
    pub fn parameter(message: impl Into<String>) -> Self {
        SqsError::new(Kind::InvalidParameterValue, message)
    }

    /// The same, in the words that are used for most parameters.
    #[must_use]
    pub fn value(value: &str, name: &str, reason: &str) -> Self {
        let value: String = value.chars().take(MAX_ECHO).collect();
        Self::parameter(format!(
            "Value {value} for parameter {name} is invalid. Reason: {reason}"
        ))
    }

    /// There is no such queue.
    #[must_use]
    pub fn no_queue() -> Self {
        SqsError::new(
            Kind::QueueDoesNotExist,
            "The specified queue does not exist.",
        )
    }

    /// An attribute that no queue has, or not such a one.
    #[must_use]
    pub fn unknown_attribute(name: &str) -> Self {
        let name: String = name.chars().take(MAX_ECHO).collect();
        SqsError::new(
            Kind::InvalidAttributeName,
            format!("Unknown Attribute {name}."),
        )
    }

    /// An attribute with a value that it cannot have.
    #[must_use]
    pub fn attribute_value(name: &str) -> Self {
        SqsError::new(
            Kind::InvalidAttributeValue,
            format!("Invalid value for the parameter {name}."),
        )
    }
}

/// The most characters of what was sent that an error repeats.
const MAX_ECHO: usize = 300;

impl fmt::Display for SqsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.message)
    }
}

impl std::error::Error for SqsError {}

/// What an action answers.
pub type Answer = Result<serde_json::Map<String, serde_json::Value>, SqsError>;
