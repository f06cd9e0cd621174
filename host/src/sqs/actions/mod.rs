//! The actions, each in a file of its own; one match lists them.

mod add_permission;
mod cancel_message_move_task;
mod change_message_visibility;
mod change_message_visibility_batch;
mod create_queue;
mod delete_message;
mod delete_message_batch;
mod delete_queue;
mod get_caller_identity;
mod get_queue_attributes;
mod get_queue_url;
mod list_dead_letter_source_queues;
mod list_message_move_tasks;
mod list_queue_tags;
mod list_queues;
mod purge_queue;
mod receive_message;
mod remove_permission;
mod send_message;
mod send_message_batch;
mod set_queue_attributes;
mod start_message_move_task;
mod tag_queue;
mod untag_queue;

mod batch;
mod page;

use gristmill_queue::QueueName;
use gristmill_store::{AdminError, SendError};
use serde_json::{Map, Value};

use super::Ask;
use super::error::{Answer, Kind, SqsError};
use crate::queues::{Made, MakeError};

/// Does what is asked for.
pub async fn run(action: &str, ask: &Ask<'_>) -> Answer {
    match action {
        "AddPermission" => add_permission::run(ask).await,
        "CancelMessageMoveTask" => cancel_message_move_task::run(ask).await,
        "ChangeMessageVisibility" => change_message_visibility::run(ask).await,
        "ChangeMessageVisibilityBatch" => change_message_visibility_batch::run(ask).await,
        "CreateQueue" => create_queue::run(ask).await,
        "DeleteMessage" => delete_message::run(ask).await,
        "DeleteMessageBatch" => delete_message_batch::run(ask).await,
        "DeleteQueue" => delete_queue::run(ask).await,
        "GetCallerIdentity" => Ok(get_caller_identity::run(ask)),
        "GetQueueAttributes" => get_queue_attributes::run(ask).await,
        "GetQueueUrl" => get_queue_url::run(ask),
        "ListDeadLetterSourceQueues" => list_dead_letter_source_queues::run(ask),
        "ListMessageMoveTasks" => list_message_move_tasks::run(ask).await,
        "ListQueueTags" => list_queue_tags::run(ask),
        "ListQueues" => list_queues::run(ask),
        "PurgeQueue" => purge_queue::run(ask).await,
        "ReceiveMessage" => receive_message::run(ask).await,
        "RemovePermission" => remove_permission::run(ask).await,
        "SendMessage" => send_message::run(ask).await,
        "SendMessageBatch" => send_message_batch::run(ask).await,
        "SetQueueAttributes" => set_queue_attributes::run(ask).await,
        "StartMessageMoveTask" => start_message_move_task::run(ask).await,
        "TagQueue" => tag_queue::run(ask).await,
        "UntagQueue" => untag_queue::run(ask).await,
        other => {
            let action: String = other.chars().take(100).collect();
            let message = format!("The action {action} is not valid for this endpoint.");
            Err(SqsError::new(Kind::InvalidAction, message))
        }
    }
}

/// Whether an action has no answer in the JSON protocol, not even an empty object.
pub fn answers_nothing(action: &str, members: &Map<String, Value>) -> bool {
    members.is_empty()
        && matches!(
            action,
            "AddPermission"
                | "RemovePermission"
                | "ChangeMessageVisibility"
                | "DeleteMessage"
                | "DeleteQueue"
                | "PurgeQueue"
                | "SetQueueAttributes"
                | "TagQueue"
                | "UntagQueue"
        )
}

/// What an action answers that has nothing to say.
pub fn nothing() -> Map<String, Value> {
    Map::new()
}

/// One member.
fn member(name: &str, value: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value.into())])
}

/// Changes what was made of a queue that is there.
async fn change_made(
    ask: &Ask<'_>,
    name: &QueueName,
    change: impl FnOnce(&mut Made) -> Result<(), SqsError>,
) -> Result<(), SqsError> {
    let edit = |made: Option<&Made>, now: gristmill_queue::Timestamp| {
        let mut made = made.cloned().ok_or_else(SqsError::no_queue)?;
        let before = made.clone();
        change(&mut made)?;
        if made == before {
            return Ok::<_, SqsError>(None);
        }
        made.changed_at_ms = now.unix_ms();
        Ok(Some(made))
    };
    ask.sqs.queues.edit_made(name, edit).await.map(drop)
}

impl From<MakeError> for SqsError {
    fn from(error: MakeError) -> Self {
        let kind = match &error {
            MakeError::FromFile(_) => Kind::UnsupportedOperation,
            MakeError::Reserved(_) | MakeError::Invalid { .. } => Kind::InvalidParameterValue,
            MakeError::Store(AdminError::UnknownQueue(_) | AdminError::NotMade(_)) => {
                return SqsError::no_queue();
            }
            MakeError::Store(AdminError::IsTopic(_)) => Kind::InvalidParameterValue,
            MakeError::Store(AdminError::TooManyMade) => Kind::OverLimit,
            MakeError::Store(_) => Kind::ServiceUnavailable,
        };
        SqsError::new(kind, error.to_string())
    }
}

impl From<AdminError> for SqsError {
    fn from(error: AdminError) -> Self {
        let kind = match &error {
            AdminError::UnknownQueue(_) => return SqsError::no_queue(),
            AdminError::Store(_) => Kind::InternalError,
            _ => Kind::ServiceUnavailable,
        };
        SqsError::new(kind, error.to_string())
    }
}

impl From<SendError> for SqsError {
    fn from(error: SendError) -> Self {
        let kind = match error.cause() {
            SendError::UnknownQueue(_) => return SqsError::no_queue(),
            SendError::Invalid { .. }
            | SendError::Unmatched(_)
            | SendError::TooManyCopies
            | SendError::RequestToTopic(_) => Kind::InvalidParameterValue,
            SendError::Full(_) => Kind::RequestThrottled,
            SendError::NotStored { .. }
            | SendError::Reserve(_)
            | SendError::Busy { .. }
            | SendError::Unknown
            | SendError::InBatch { .. } => Kind::ServiceUnavailable,
        };
        SqsError::new(kind, error.to_string())
    }
}
