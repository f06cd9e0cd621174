//! One delivery, from taking an instance to the report.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::outcome::{Diagnostics, HandedBack, Usage, cut};
use gristmill_queue::{Effects, Outcome, Reason, limits};
use wasmtime::{Store, UpdateDeadline};

use super::bindings::queue::exports::gristmill::queue::handler::Guest;
use super::bindings::queue::gristmill::queue::types;
use super::clock::{self, Stop};
use super::failure::{self, Phase};
use super::instance::{Call, Sandbox, Warm};
use super::version::HandlerVersion;
use super::{AttemptReport, Delivery};

/// How long a delivery waits for a free slot, which the dispatcher should have seen to.
const SLOT_WAIT: Duration = Duration::from_secs(1);
/// Bytes that a guest may pass to the host in one call. Far more than a body may have, so that one
/// that is too large is told so and does not trap; the host holds it for the length of a host call.
const HOSTCALL_BYTES: usize = 16 * 1024 * 1024;
/// Handles that a component may have open at once.
const MAX_HANDLES: usize = 10_000;

/// How a guest ended that did not return.
struct Abnormal {
    error: Option<wasmtime::Error>,
    phase: Phase,
}

impl Abnormal {
    fn new(error: wasmtime::Error, phase: Phase) -> Self {
        Abnormal {
            error: Some(error),
            phase,
        }
    }
}

type Returned = Result<(), types::Failure>;

impl HandlerVersion {
    /// Runs one delivery. Cancel it by dropping the future: that frees the instance at once.
    ///
    /// Has to be polled within a tokio runtime whose timer is enabled.
    pub async fn run(self: &Arc<Self>, delivery: Delivery) -> AttemptReport {
        let Some(_slot) = self.runtime.slot(SLOT_WAIT).await else {
            return AttemptReport::handed_back(HandedBack::NoInstance);
        };
        let _ticking = self.runtime.ticker.run();
        self.attempt(delivery).await
    }

    async fn attempt(&self, delivery: Delivery) -> AttemptReport {
        let warm = if delivery.fresh || self.reuse.calls <= 1 {
            None
        } else {
            self.warm.take()
        };
        let (mut store, guest, calls) = match warm {
            Some(warm) => (warm.store, Some(warm.guest), warm.calls),
            None => (self.store(), None, 0),
        };
        let message = WitMessage::new(&delivery);
        store.data_mut().begin(Call {
            message: Arc::clone(&delivery.message),
            max_attempts: delivery.max_attempts,
            previous_failure: delivery.previous_failure,
            transaction: delivery.transaction,
            ending: delivery.ending,
            progress: None,
            large: delivery.large,
            damaged: false,
        });
        let ended = self
            .enter(&mut store, guest, message.view(&delivery.message))
            .await;
        let usage = usage(store.data());
        let call = store.data_mut().end();
        let progress = call.as_ref().and_then(|call| call.progress.clone());
        let damaged_body = call.as_ref().is_some_and(|call| call.damaged);
        let mut report = match ended {
            Ok((guest, returned)) => {
                let report = returned_report(returned, call, store.data());
                let calls = calls + 1;
                if calls < self.reuse.calls {
                    self.warm.keep(Warm {
                        store,
                        guest,
                        calls,
                    });
                }
                report
            }
            Err(abnormal) => abnormal_report(&abnormal, store.data(), calls > 0),
        };
        report.usage = usage;
        report.progress = progress;
        report.damaged_body = damaged_body;
        report.reused = calls > 0;
        report
    }

    /// Enters the guest, and leaves it by its return, its failure, or at the deadline.
    async fn enter(
        &self,
        store: &mut Store<Sandbox>,
        guest: Option<Guest>,
        message: types::Message<'_>,
    ) -> Result<(Guest, Returned), Abnormal> {
        store.set_epoch_deadline(1);
        let clock = Arc::clone(&store.data().clock);
        let mut work = pin!(async {
            let guest = match guest {
                Some(guest) => guest,
                None => self
                    .instantiate(&mut *store)
                    .await
                    .map_err(|error| Abnormal::new(error, Phase::Instantiating))?,
            };
            match guest.call_handle(&mut *store, message).await {
                Ok(returned) => Ok((guest, returned)),
                Err(error) => Err(Abnormal::new(error, Phase::Calling)),
            }
        });
        let ended = clock::within(&clock, work.as_mut()).await;
        ended.unwrap_or(Err(Abnormal {
            error: None,
            phase: Phase::Calling,
        }))
    }

    pub(super) async fn instantiate(&self, store: &mut Store<Sandbox>) -> wasmtime::Result<Guest> {
        let instance = self.pre.instantiate_async(&mut *store).await?;
        self.indices.load(&mut *store, &instance)
    }

    pub(super) fn store(&self) -> Store<Sandbox> {
        let mut store = Store::new(&self.runtime.engine, Sandbox::new(Arc::clone(&self.shared)));
        store.limiter(|sandbox| &mut sandbox.limiter);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_max_component_handles(MAX_HANDLES);
        store.epoch_deadline_callback(|mut store| {
            Ok(match store.data_mut().clock.tick() {
                Some(Stop::Deadline | Stop::Cpu) => UpdateDeadline::Interrupt,
                // The plain yield is polled again at once by tokio; this one lets others run.
                None => UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())),
            })
        });
        store
    }
}

fn usage(sandbox: &Sandbox) -> Usage {
    Usage {
        wall: sandbox.clock.wall(),
        cpu: sandbox.clock.cpu(),
        peak_memory: sandbox.limiter.held(),
    }
}

fn returned_report(returned: Returned, call: Option<Call>, sandbox: &Sandbox) -> AttemptReport {
    let failure = match returned {
        Ok(()) => {
            let effects = call.map(|call| call.transaction.finish());
            return AttemptReport {
                effects: effects.unwrap_or_default(),
                ..AttemptReport::new(Outcome::Done)
            };
        }
        Err(failure) => failure,
    };
    let words = |text: String| cut(&sandbox.output.masked(&text), limits::MAX_REASON);
    let outcome = match failure {
        types::Failure::Retry(error) => Outcome::Failed {
            reason: Reason::Retry,
            error: words(error),
            delay: None,
        },
        types::Failure::RetryAfter(retry) => Outcome::Failed {
            reason: Reason::Retry,
            error: words(retry.reason),
            delay: Some(Duration::from_millis(retry.delay)),
        },
        types::Failure::Reject(error) => Outcome::Rejected {
            error: words(error),
        },
        types::Failure::Postpone(delay) => {
            return AttemptReport::new(Outcome::Postponed {
                delay: Duration::from_millis(delay),
            });
        }
    };
    let (output_tail, output_dropped) = sandbox.output.tail();
    AttemptReport {
        diagnostics: Some(Diagnostics {
            backtrace: Vec::new(),
            output_tail,
            output_dropped,
        }),
        ..AttemptReport::new(outcome)
    }
}

fn abnormal_report(abnormal: &Abnormal, sandbox: &Sandbox, reused: bool) -> AttemptReport {
    let error = abnormal.error.as_ref();
    if error.is_some_and(failure::is_exhausted_pool) {
        return AttemptReport::handed_back(HandedBack::NoInstance);
    }
    let failure = failure::classify(error, abnormal.phase, sandbox);
    // Time that is up is the message's own; anything else may be a neighbour's leftovers.
    let outcome = if reused && sandbox.clock.stopped().is_none() {
        let handler = &*sandbox.shared.handler;
        tracing::debug!(handler, error = failure.error, "a reused instance failed");
        Outcome::HandedBack(HandedBack::ReusedInstance)
    } else {
        Outcome::Failed {
            reason: failure.reason,
            error: failure.error,
            delay: None,
        }
    };
    AttemptReport {
        diagnostics: Some(failure.diagnostics),
        ..AttemptReport::new(outcome)
    }
}

impl AttemptReport {
    fn new(outcome: Outcome) -> Self {
        AttemptReport {
            outcome,
            effects: Effects::default(),
            usage: Usage::default(),
            diagnostics: None,
            progress: None,
            reused: false,
            damaged_body: false,
        }
    }

    fn handed_back(why: HandedBack) -> Self {
        AttemptReport::new(Outcome::HandedBack(why))
    }
}

/// The few fields of a message that have another form in the WIT; the rest is borrowed.
struct WitMessage {
    id: String,
    queue: String,
    causation_id: Option<String>,
    reply_to: Option<String>,
    attempt: u32,
}

impl WitMessage {
    fn new(delivery: &Delivery) -> Self {
        let message = &delivery.message;
        let envelope = &message.envelope;
        WitMessage {
            id: message.id.to_string(),
            queue: message.queue.as_str().to_owned(),
            causation_id: envelope.causation_id.map(|id| id.to_string()),
            reply_to: envelope.reply_to.as_ref().map(ToString::to_string),
            attempt: delivery.attempt,
        }
    }

    fn view<'a>(&'a self, message: &'a gristmill_queue::Message) -> types::Message<'a> {
        let envelope = &message.envelope;
        types::Message {
            id: &self.id,
            queue: &self.queue,
            body: &message.body,
            content_type: envelope.content_type.as_deref(),
            attributes: &envelope.attributes,
            group: envelope.group.as_deref(),
            correlation_id: envelope.correlation_id.as_deref(),
            causation_id: self.causation_id.as_ref(),
            reply_to: self.reply_to.as_ref(),
            message_type: envelope.message_type.as_deref(),
            schema_version: envelope.schema_version.as_deref(),
            source: envelope.source.as_deref(),
            priority: envelope.priority.level(),
            trace: envelope
                .traceparent
                .as_deref()
                .map(|traceparent| types::TraceContext {
                    traceparent,
                    tracestate: envelope.tracestate.as_deref().unwrap_or_default(),
                }),
            enqueued_at: message.enqueued_at.unix_ms(),
            expires_at: message.expires_at.map(gristmill_queue::Timestamp::unix_ms),
            attempt: self.attempt,
        }
    }
}
