//! The imports and the export of the WIT, and the translation to the types of this crate.
//!
//! The bindings are generated into one private place. A function here is the only caller of its
//! import, so an import that a handler does not use is not linked into its component.

use std::time::{Duration, SystemTime};

use super::whole_ms;
use crate::delivery::ExtendError;
use crate::{Failure, Message, MessageId, Outgoing, SendError, TraceContext, Verdict};

/// The generated bindings.
#[expect(missing_docs, reason = "documented in the WIT")]
#[allow(
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "queue-handler",
        pub_export_macro: true,
        default_bindings_module: "gristmill_sdk::component::bindings",
    });
}

/// The generated bindings of the one export that takes batches.
#[expect(missing_docs, reason = "documented in the WIT")]
#[allow(
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]
pub mod batch_bindings {
    wit_bindgen::generate!({
        inline: "
            package gristmill:sdk;
            world batches { export gristmill:queue/batch-handler@0.1.0; }
        ",
        path: "wit",
        world: "gristmill:sdk/batches",
        with: {
            "gristmill:queue/types@0.1.0":
                crate::host::component::bindings::gristmill::queue::types,
        },
        pub_export_macro: true,
        export_macro_name: "export_batches",
        default_bindings_module: "gristmill_sdk::component::batch_bindings",
    });
}

use bindings::gristmill::queue::{body as bodies, delivery, producer, secrets, transaction, types};

/// What the attributes expand to; not for use by hand.
#[doc(hidden)]
pub mod component {
    pub use super::batch_bindings;
    pub use super::batch_bindings::export_batches;
    pub use super::batch_bindings::exports::gristmill::queue::batch_handler::Guest as BatchGuest;
    pub use super::bindings;
    pub use super::bindings::export;
    pub use super::bindings::exports::gristmill::queue::handler::Guest;
    pub use super::types::{Failure, Message, Outcome};

    /// Calls a handler with a message from the wire.
    ///
    /// # Errors
    /// When the handler failed.
    pub fn call<V: crate::Verdict>(
        handler: fn(crate::Message) -> V,
        message: Message,
    ) -> Result<(), Failure> {
        super::call(handler, message)
    }

    /// Calls a handler with the messages of a batch, one after the other.
    pub fn call_each<V: crate::Verdict>(
        handler: fn(crate::Message) -> V,
        messages: Vec<Message>,
    ) -> Vec<Outcome> {
        super::outcomes(crate::batch::each(handler, super::batch(messages)))
    }

    /// Calls a handler with all messages of a batch.
    pub fn call_batch<V: crate::Verdict>(
        handler: fn(Vec<crate::Message>) -> Vec<V>,
        messages: Vec<Message>,
    ) -> Vec<Outcome> {
        super::outcomes(handler(super::batch(messages)))
    }

    /// Calls a handler of batches with one message.
    ///
    /// # Errors
    /// When the handler failed.
    pub fn call_alone<V: crate::Verdict>(
        handler: fn(Vec<crate::Message>) -> Vec<V>,
        message: Message,
    ) -> Result<(), Failure> {
        let mut outcomes = call_batch(handler, vec![message]);
        match (outcomes.pop(), outcomes.pop()) {
            (Some(Outcome::Done), None) => Ok(()),
            (Some(Outcome::Failed(failure)), None) => Err(failure),
            _ => panic!("the handler has to return one result for each message"),
        }
    }
}

fn batch(messages: Vec<types::Message>) -> Vec<Message> {
    messages.into_iter().map(delivered).collect()
}

fn outcomes<V: Verdict>(verdicts: Vec<V>) -> Vec<types::Outcome> {
    let outcome = |verdict: V| match verdict.into_result() {
        Ok(()) => types::Outcome::Done,
        Err(failure) => types::Outcome::Failed(failed(failure)),
    };
    verdicts.into_iter().map(outcome).collect()
}

fn call<V: Verdict>(
    handler: fn(Message) -> V,
    message: types::Message,
) -> Result<(), types::Failure> {
    handler(delivered(message)).into_result().map_err(failed)
}

fn failed(failure: Failure) -> types::Failure {
    match failure {
        Failure::Retry { reason } => types::Failure::Retry(reason),
        Failure::RetryAfter { reason, delay } => types::Failure::RetryAfter(types::DelayedRetry {
            reason,
            delay: whole_ms(delay),
        }),
        Failure::Reject { reason } => types::Failure::Reject(reason),
        Failure::Postpone { delay } => types::Failure::Postpone(whole_ms(delay)),
    }
}

fn delivered(message: types::Message) -> Message {
    Message {
        id: message.id,
        queue: message.queue,
        body: message.body,
        content_type: message.content_type,
        attributes: message.attributes,
        group: message.group,
        correlation_id: message.correlation_id,
        causation_id: message.causation_id,
        reply_to: message.reply_to,
        message_type: message.message_type,
        schema_version: message.schema_version,
        source: message.source,
        priority: message.priority,
        trace: message.trace.map(|trace| TraceContext {
            traceparent: trace.traceparent,
            tracestate: trace.tracestate,
        }),
        enqueued_at: time(message.enqueued_at),
        expires_at: message.expires_at.map(time),
        attempt: message.attempt,
    }
}

/// A time beyond what the clock can hold is as good as the epoch: the host sends none.
fn time(unix_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(unix_ms))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

fn wire(message: Outgoing) -> producer::Outgoing {
    producer::Outgoing {
        body: message.body,
        content_type: message.content_type,
        attributes: message.attributes,
        group: message.group,
        correlation_id: message.correlation_id,
        reply_to: message.reply_to,
        message_type: message.message_type,
        schema_version: message.schema_version,
        priority: message.priority,
        dedup_id: message.dedup_id,
        delay: message.delay.map(whole_ms),
        ttl: message.ttl.map(whole_ms),
    }
}

pub(crate) mod body {
    use std::io;

    use super::bodies;

    pub(crate) fn size(of: &str) -> io::Result<u64> {
        bodies::size(of).map_err(error)
    }

    pub(crate) fn read(of: &str, offset: u64, most: u32) -> io::Result<Vec<u8>> {
        bodies::read(of, offset, most).map_err(error)
    }

    fn error(error: bodies::Error) -> io::Error {
        match error {
            bodies::Error::NotDelivered => io::Error::other(crate::body::NOT_DELIVERED),
            bodies::Error::Unavailable(problem) => io::Error::other(problem),
        }
    }
}

pub(crate) fn send(to: &str, message: Outgoing) -> Result<MessageId, SendError> {
    producer::send(to, &wire(message)).map_err(|error| send_error(to, error))
}

pub(crate) fn reply(to: &str, message: Outgoing) -> Result<MessageId, SendError> {
    producer::reply(to, &wire(message)).map_err(|error| send_error("", error))
}

fn send_error(queue: &str, error: producer::SendError) -> SendError {
    match error {
        producer::SendError::NotPermitted => SendError::NotPermitted {
            queue: queue.to_owned(),
        },
        producer::SendError::NoRecipient => SendError::NoRecipient,
        producer::SendError::TooLarge(limit) => SendError::TooLarge { limit },
        producer::SendError::TooMany => SendError::TooMany,
        producer::SendError::Invalid(problem) => SendError::Invalid(problem),
    }
}

pub(crate) fn mark() -> u32 {
    transaction::mark()
}

pub(crate) fn rollback_to(to: u32) {
    transaction::rollback_to(to);
}

pub(crate) fn remaining() -> Duration {
    Duration::from_millis(delivery::remaining())
}

pub(crate) fn extend(need: Duration) -> Result<Duration, ExtendError> {
    match delivery::extend(whole_ms(need)) {
        Ok(left) => Ok(Duration::from_millis(left)),
        Err(delivery::ExtendError::LimitReached) => Err(ExtendError::LimitReached),
        Err(delivery::ExtendError::Ending) => Err(ExtendError::Ending),
    }
}

pub(crate) fn ending() -> bool {
    delivery::ending()
}

pub(crate) fn progress(percent: u8, note: &str) {
    delivery::progress(percent, note);
}

pub(crate) fn max_attempts() -> Option<u32> {
    delivery::max_attempts()
}

pub(crate) fn previous_failure() -> Option<String> {
    delivery::previous_failure()
}

pub(crate) fn secret(name: &str) -> Option<String> {
    secrets::get(name)
}

pub(crate) mod state {
    use super::bindings::gristmill::queue::state as import;
    use crate::state::Error;

    pub(crate) fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
        import::get(key).map_err(|error| state_error(key, error))
    }

    pub(crate) fn set(key: &str, value: &[u8]) -> Result<(), Error> {
        import::set(key, value).map_err(|error| state_error(key, error))
    }

    pub(crate) fn remove(key: &str) -> Result<(), Error> {
        import::remove(key).map_err(|error| state_error(key, error))
    }

    pub(crate) fn add(key: &str, delta: i64) -> Result<(), Error> {
        import::add(key, delta).map_err(|error| state_error(key, error))
    }

    pub(crate) fn list_keys(
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        import::list_keys(prefix, after, limit).map_err(|error| state_error(prefix, error))
    }

    fn state_error(key: &str, error: import::Error) -> Error {
        match error {
            import::Error::InvalidKey => Error::InvalidKey { length: key.len() },
            import::Error::TooLarge(limit) => Error::TooLarge {
                key: key.to_owned(),
                limit,
            },
            import::Error::QuotaExceeded => Error::QuotaExceeded,
            import::Error::NotACounter => Error::NotACounter {
                key: key.to_owned(),
            },
            import::Error::Unavailable(problem) => Error::Unavailable(problem),
        }
    }
}
