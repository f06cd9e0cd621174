//! How the forms of handlers that were not written for this host are called.
//!
//! Each turns the message into what the form takes, calls the guest, and turns how it ended into the
//! result that a handler of the queue's own form would have returned. What the message becomes in the
//! end is none of their business. `environment`, `streams` and `preview1` belong to `command`,
//! `letter` to `messaging`; `facts` are what `messaging` and `http` say of a message, and `held` bounds what the host keeps for a guest.

pub(super) mod command;
pub(super) mod environment;
mod facts;
mod held;
pub(super) mod http;
pub(super) mod letter;
pub(super) mod messaging;
pub(super) mod preview1;
pub(super) mod streams;

use gristmill_queue::effects::SendError;
use gristmill_queue::{NewMessage, Reason};

use super::bindings::queue::gristmill::queue::types::Failure;
use super::instance::Sandbox;

/// What a handler of the queue's own form would have returned.
pub(super) type Handled = Result<(), Failure>;

/// A guest that returned, but broke a rule of its form.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Broken {
    /// Which kind of failure that is.
    pub(super) reason: Reason,
    /// In words.
    pub(super) text: String,
}

impl Broken {
    /// More than a limit allows.
    pub(super) fn limit(text: String) -> wasmtime::Error {
        wasmtime::Error::new(Broken {
            reason: Reason::OutputLimit,
            text,
        })
    }
}

/// Makes a message one that the message of the delivery led to, sent by its handler.
fn descend(sandbox: &mut Sandbox, message: &mut NewMessage) -> wasmtime::Result<()> {
    let source = sandbox.shared.handler.to_string();
    let call = sandbox.call()?;
    let envelope = &mut message.envelope;
    envelope.source = Some(source);
    if let Some(parent) = call.messages.only() {
        envelope.causation_id = Some(parent.id);
        envelope
            .traceparent
            .clone_from(&parent.envelope.traceparent);
        envelope.tracestate.clone_from(&parent.envelope.tracestate);
    }
    Ok(())
}

/// Why a message cannot be sent, in words.
fn words_of(error: &SendError) -> String {
    match error {
        SendError::NotPermitted => {
            "there is no such queue or topic, or it is not granted".to_owned()
        }
        SendError::TooLarge(most) => format!("a message may have {most} bytes there"),
        SendError::TooMany => {
            "this delivery has sent as many messages or bytes as it may: raise `max_sends` \
                               or `max_send_bytes`"
                .to_owned()
        }
        SendError::Invalid(problem) => problem.to_string(),
    }
}

/// Sends an answer to the message of the delivery, which nothing comes of if nobody wants one.
fn reply(
    sandbox: &mut Sandbox,
    mut message: NewMessage,
) -> wasmtime::Result<Result<(), SendError>> {
    if !sandbox.shared.spec.grants.reply {
        return Ok(Err(SendError::NotPermitted));
    }
    let call = sandbox.call()?;
    let request = call.messages.only();
    let Some((request, recipient)) =
        request.and_then(|request| Some((request, request.envelope.reply_to.clone()?)))
    else {
        return Ok(Ok(()));
    };
    let correlation = &mut message.envelope.correlation_id;
    if correlation.is_none() {
        *correlation = request.envelope.correlation_id.clone();
        correlation.get_or_insert_with(|| request.id.to_string());
    }
    Ok(call.transaction.reply(recipient, message).map(drop))
}
