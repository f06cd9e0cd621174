//! `gristmill:queue/producer`: sending, held back until the ack.

use std::time::Duration;

use gristmill_queue::effects;
use gristmill_queue::message::{Due, Priority};
use gristmill_queue::{Envelope, Message, MessageId, NewMessage, QueueName};

use crate::runtime::bindings::queue::gristmill::queue::producer::{Host, Outgoing, SendError};
use crate::runtime::instance::Sandbox;

impl Host for Sandbox {
    fn send(
        &mut self,
        to: String,
        message: Outgoing,
    ) -> wasmtime::Result<Result<String, SendError>> {
        let source = self.shared.handler.to_string();
        let call = self.call()?;
        // Of several messages none has caused it more than the others.
        let message = match new_message(message, source, call.messages.only()) {
            Ok(message) => message,
            Err(error) => return Ok(Err(error)),
        };
        let sent = call.transaction.send(&to, message);
        Ok(sent.map(|id| id.to_string()).map_err(send_error))
    }

    fn reply(
        &mut self,
        to: String,
        message: Outgoing,
    ) -> wasmtime::Result<Result<String, SendError>> {
        if !self.shared.spec.grants.reply {
            return Ok(Err(SendError::NotPermitted));
        }
        let source = self.shared.handler.to_string();
        let call = self.call()?;
        // Only to messages of this delivery: `reply_to` was chosen by the sender, and answering
        // there needs no other grant.
        let request = to.parse::<MessageId>().ok().and_then(|id| {
            let mut messages = call.messages.all().iter();
            messages.find(|message| message.id == id)
        });
        let answer =
            request.and_then(|request| Some((request, request.envelope.reply_to.clone()?)));
        let Some((request, recipient)) = answer else {
            return Ok(Err(SendError::NoRecipient));
        };
        let mut message = match new_message(message, source, Some(request)) {
            Ok(message) => message,
            Err(error) => return Ok(Err(error)),
        };
        let correlation = &mut message.envelope.correlation_id;
        if correlation.is_none() {
            *correlation = request.envelope.correlation_id.clone();
            correlation.get_or_insert_with(|| request.id.to_string());
        }
        let sent = call.transaction.reply(recipient, message);
        Ok(sent.map(|id| id.to_string()).map_err(send_error))
    }
}

/// What the guest wants to send, as a child of the message it is handling, if that is one.
fn new_message(
    outgoing: Outgoing,
    source: String,
    parent: Option<&Message>,
) -> Result<NewMessage, SendError> {
    let reply_to = outgoing
        .reply_to
        .map(|name| QueueName::new(&name))
        .transpose()
        .map_err(|error| SendError::Invalid(format!("reply-to: {error}")))?;
    let priority = match outgoing.priority {
        None => Priority::DEFAULT,
        Some(level) => Priority::new(level).ok_or_else(|| {
            SendError::Invalid(format!("priority must be 0 to 9, but is {level}"))
        })?,
    };
    Ok(NewMessage {
        blob: None,
        body: outgoing.body.into(),
        envelope: Envelope {
            content_type: outgoing.content_type,
            attributes: outgoing.attributes,
            group: outgoing.group,
            correlation_id: outgoing.correlation_id,
            causation_id: parent.map(|parent| parent.id),
            reply_to,
            message_type: outgoing.message_type,
            schema_version: outgoing.schema_version,
            source: Some(source),
            traceparent: parent.and_then(|parent| parent.envelope.traceparent.clone()),
            tracestate: parent.and_then(|parent| parent.envelope.tracestate.clone()),
            priority,
        },
        due: match outgoing.delay {
            None | Some(0) => Due::Now,
            Some(delay) => Due::After(Duration::from_millis(delay)),
        },
        ttl: outgoing.ttl.map(Duration::from_millis),
        dedup_id: outgoing.dedup_id,
    })
}

fn send_error(error: effects::SendError) -> SendError {
    match error {
        effects::SendError::NotPermitted => SendError::NotPermitted,
        effects::SendError::TooLarge(limit) => SendError::TooLarge(limit),
        effects::SendError::TooMany => SendError::TooMany,
        effects::SendError::Invalid(problem) => SendError::Invalid(problem.to_string()),
    }
}
