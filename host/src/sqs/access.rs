//! What each action needs its caller to be allowed, and the record of what was managed.
//!
//! The scopes are those of every front end; the table says how they apply to the actions of SQS.

use gristmill_queue::QueueName;

use super::error::{Answer, Kind, SqsError};
use super::{Ask, address};
use crate::auth::{Action, authorize};

/// What an action needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    /// A caller who is known.
    Nothing,
    /// Anything at all with the queue: who sends to it or receives from it may know that it is there.
    Any,
    /// This with the queue.
    Queue(Action),
    /// This with all queues: it names several, or none.
    All(Action),
}

fn needs(action: &str) -> Needs {
    match action {
        "GetCallerIdentity" | "ListQueues" => Needs::Nothing,
        "GetQueueUrl" => Needs::Any,
        "SendMessage" | "SendMessageBatch" => Needs::Queue(Action::Send),
        "ReceiveMessage"
        | "DeleteMessage"
        | "DeleteMessageBatch"
        | "ChangeMessageVisibility"
        | "ChangeMessageVisibilityBatch" => Needs::Queue(Action::Receive),
        "GetQueueAttributes" | "ListQueueTags" | "ListDeadLetterSourceQueues" => {
            Needs::Queue(Action::Read)
        }
        "AddPermission" | "CreateQueue" | "DeleteQueue" | "PurgeQueue" | "RemovePermission"
        | "SetQueueAttributes" | "TagQueue" | "UntagQueue" => Needs::Queue(Action::Manage),
        "ListMessageMoveTasks" => Needs::All(Action::Read),
        // Also whatever comes to be added: nobody may do it by mistake.
        _ => Needs::All(Action::Manage),
    }
}

/// Whether the caller may do this.
///
/// # Errors
/// When they may not.
pub(super) fn check(action: &str, ask: &Ask<'_>) -> Result<(), SqsError> {
    let queue = named(action, ask);
    let (action, queue) = match needs(action) {
        Needs::Nothing => return Ok(()),
        Needs::Any => {
            let Some(queue) = queue else {
                return Ok(());
            };
            return match may_see(ask, &queue) {
                true => Ok(()),
                // As if it were not there, which is what others are told as well.
                false => Err(SqsError::no_queue()),
            };
        }
        Needs::All(action) => (action, None),
        // Without a queue that can be, the action says so itself and does nothing.
        Needs::Queue(action) => match queue {
            None => return Ok(()),
            queue => (action, queue),
        },
    };
    let queue = queue.as_ref().map(QueueName::as_str);
    authorize(ask.caller, action, queue).map_err(|why| denied(&why))?;
    match dead_letters_to(ask) {
        // What dies in a queue is sent to that one.
        Some(target) => {
            authorize(ask.caller, Action::Send, Some(target.as_str())).map_err(|why| denied(&why))
        }
        None => Ok(()),
    }
}

fn denied(denied: &crate::auth::Denied) -> SqsError {
    SqsError::new(Kind::AccessDenied, denied.to_string())
}

/// Whether the caller may do anything with a queue.
pub(super) fn may_see(ask: &Ask<'_>, queue: &QueueName) -> bool {
    let mut actions = Action::ALL.into_iter();
    actions.any(|action| ask.caller.may(action, queue.as_str()))
}

/// The queue that the action is going to find in the request, whether or not it is there.
fn named(action: &str, ask: &Ask<'_>) -> Option<QueueName> {
    match action {
        "CreateQueue" | "GetQueueUrl" => {
            let name = ask.params.text("QueueName").ok().flatten()?;
            QueueName::new(name).ok()
        }
        _ => ask.queue_name().ok(),
    }
}

/// The queue that a redrive policy in the request names.
fn dead_letters_to(ask: &Ask<'_>) -> Option<QueueName> {
    let attributes = ask.params.0.get("Attributes")?.as_object()?;
    let policy = attributes.get("RedrivePolicy")?.as_str()?;
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    address::of_arn(policy.get("deadLetterTargetArn")?.as_str()?)
}

/// Writes down who managed what, and what came of it.
pub(super) fn note(action: &str, ask: &Ask<'_>, from: Option<&str>, answer: &Answer) {
    if !matches!(
        needs(action),
        Needs::Queue(Action::Manage) | Needs::All(Action::Manage)
    ) {
        return;
    }
    let queue = named(action, ask);
    let queue = queue.as_ref().map_or("-", QueueName::as_str);
    let status = answer
        .as_ref()
        .map_or_else(|error| error.kind.status(), |_| 200);
    let plain = action.bytes().all(|b| b.is_ascii_alphanumeric());
    let what = if plain { action } else { "?" };
    let (who, from) = (&ask.caller.who, from.unwrap_or("-"));
    tracing::info!(target: "audit", who, from, what, queue, status, "audit");
}
