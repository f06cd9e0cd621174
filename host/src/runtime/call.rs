//! One delivery, from taking an instance to the report.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::outcome::{Diagnostics, HandedBack, Usage, cut};
use gristmill_queue::{Effects, Outcome, Reason, limits};
use wasmtime::{Store, UpdateDeadline};

use super::bindings::queue::gristmill::queue::types;
use super::clock::{self, Stop};
use super::denied::{self, Denied};
use super::exports::Exports;
use super::failure::{self, Phase};
use super::form::Form;
use super::forms::{http, messaging};
use super::instance::{Call, Messages, Sandbox, Warm};
use super::version::HandlerVersion;
use super::wire::WitMessage;
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

/// What the guest is called with.
pub(super) enum Input<'a> {
    One(types::Message<'a>),
    Batch(&'a [types::Message<'a>]),
    /// What was put into the store: guests of other forms take it from there.
    Delivery,
}

/// What it returned.
enum Returned {
    One(Result<(), types::Failure>),
    Batch(Vec<types::Outcome>),
}

/// How a call ended.
pub(super) struct Ended {
    /// Of a batch whose call returned as it has to, the outcome is `Done`.
    pub(super) report: AttemptReport,
    /// Of a batch, one for each message, if its call returned as it has to.
    pub(super) verdicts: Vec<Outcome>,
}

impl HandlerVersion {
    /// Runs one delivery. Cancel it by dropping the future: that frees the instance at once.
    ///
    /// Has to be polled within a tokio runtime whose timer is enabled.
    pub async fn run(self: &Arc<Self>, delivery: Delivery) -> AttemptReport {
        let message = Arc::clone(&delivery.message);
        let call = Box::new(Call {
            messages: Messages::One(delivery.message),
            attempt: delivery.attempt,
            max_attempts: delivery.max_attempts,
            previous_failure: delivery.previous_failure,
            transaction: delivery.transaction,
            ending: delivery.ending,
            progress: None,
            large: delivery.large,
            damaged: false,
        });
        if self.form() != Form::Queue {
            let ended = self.conduct(call, &Input::Delivery, delivery.fresh);
            return ended.await.report;
        }
        let wire = WitMessage::new(&message, delivery.attempt);
        let input = Input::One(wire.view(&message));
        self.conduct(call, &input, delivery.fresh).await.report
    }

    /// Makes one call when there is a slot for it.
    pub(super) async fn conduct(&self, call: Box<Call>, input: &Input<'_>, fresh: bool) -> Ended {
        let Some(_slot) = self.runtime.slot(SLOT_WAIT).await else {
            return Ended {
                report: AttemptReport::handed_back(HandedBack::NoInstance),
                verdicts: Vec::new(),
            };
        };
        let _ticking = self.runtime.ticker.run();
        self.attempt(call, input, fresh).await
    }

    async fn attempt(&self, call: Box<Call>, input: &Input<'_>, fresh: bool) -> Ended {
        let warm = if fresh || self.reuse.calls <= 1 {
            None
        } else {
            self.warm.take()
        };
        let (mut store, exports, calls) = match warm {
            Some(warm) => (warm.store, Some(warm.exports), warm.calls),
            None => (self.store(), None, 0),
        };
        let expected = call.messages.all().len();
        store.data_mut().begin(call);
        let left = self.enter(&mut store, exports, input).await;
        let usage = usage(store.data());
        let denied = store.data().denied;
        let call = store.data_mut().end();
        let progress = call.as_ref().and_then(|call| call.progress.clone());
        let damaged_body = call.as_ref().is_some_and(|call| call.damaged);
        let (mut ended, exports) = match left {
            Ok((exports, Returned::One(returned))) => {
                let report = returned_report(returned, call, store.data());
                (Ended::of(report), Some(exports))
            }
            Ok((exports, Returned::Batch(verdicts))) if verdicts.len() == expected => {
                (verdicts_report(verdicts, call, store.data()), Some(exports))
            }
            Ok((_, Returned::Batch(verdicts))) => {
                let report = miscounted_report(verdicts.len(), expected, store.data());
                (Ended::of(report), None)
            }
            Err(abnormal) => {
                let report = abnormal_report(&abnormal, store.data(), calls > 0);
                (Ended::of(report), None)
            }
        };
        if let Some(exports) = exports
            && calls + 1 < self.reuse.calls
        {
            self.warm.keep(Warm {
                store,
                exports,
                calls: calls + 1,
            });
        }
        explain(&mut ended.report.outcome, denied);
        ended.report.usage = usage;
        ended.report.progress = progress;
        ended.report.damaged_body = damaged_body;
        ended.report.reused = calls > 0;
        ended
    }

    /// Enters the guest, and leaves it by its return, its failure, or at the deadline.
    async fn enter(
        &self,
        store: &mut Store<Sandbox>,
        exports: Option<Exports>,
        input: &Input<'_>,
    ) -> Result<(Exports, Returned), Abnormal> {
        store.set_epoch_deadline(1);
        let clock = Arc::clone(&store.data().clock);
        let mut work = pin!(async {
            let exports = match exports {
                Some(exports) => exports,
                None => self
                    .instantiate(&mut *store)
                    .await
                    .map_err(|error| Abnormal::new(error, Phase::Instantiating))?,
            };
            let returned = call(&mut *store, &exports, input).await;
            let returned = returned.map_err(|error| Abnormal::new(error, Phase::Calling))?;
            Ok((exports, returned))
        });
        let ended = clock::within(&clock, work.as_mut()).await;
        ended.unwrap_or(Err(Abnormal {
            error: None,
            phase: Phase::Calling,
        }))
    }

    pub(super) async fn instantiate(
        &self,
        store: &mut Store<Sandbox>,
    ) -> wasmtime::Result<Exports> {
        self.program.instantiate(store).await
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

async fn call(
    store: &mut Store<Sandbox>,
    exports: &Exports,
    input: &Input<'_>,
) -> wasmtime::Result<Returned> {
    Ok(match (exports, input) {
        (Exports::Queue { one, .. }, Input::One(message)) => {
            Returned::One(one.call_handle(store, message.clone()).await?)
        }
        (
            Exports::Queue {
                batch: Some(batch), ..
            },
            Input::Batch(messages),
        ) => Returned::Batch(batch.call_handle_batch(store, messages).await?),
        (Exports::Messaging(handler), Input::Delivery) => {
            Returned::One(messaging::call(handler, store).await?)
        }
        (Exports::Http(handler), Input::Delivery) => {
            Returned::One(http::call(handler, store).await?)
        }
        (Exports::Command(program), Input::Delivery) => Returned::One(program.call(store).await?),
        // A handler that takes no batches is not loaded for a queue that has them.
        _ => return Err(wasmtime::Error::msg("the handler takes no such call")),
    })
}

impl Ended {
    fn of(report: AttemptReport) -> Self {
        Ended {
            report,
            verdicts: Vec::new(),
        }
    }
}

/// Adds to the words of a failure what may be behind it.
fn explain(outcome: &mut Outcome, denied: Option<Denied>) {
    if let Outcome::Failed { error, .. } | Outcome::Rejected { error } = outcome
        && let Some(hint) = denied::hint(denied, error)
    {
        *error = cut(&format!("{error}; {hint}"), limits::MAX_REASON);
    }
}

fn usage(sandbox: &Sandbox) -> Usage {
    Usage {
        wall: sandbox.clock.wall(),
        cpu: sandbox.clock.cpu(),
        peak_memory: sandbox.limiter.held(),
    }
}

fn returned_report(
    returned: Result<(), types::Failure>,
    call: Option<Box<Call>>,
    sandbox: &Sandbox,
) -> AttemptReport {
    match returned {
        Ok(()) => AttemptReport {
            effects: effects_of(call),
            ..AttemptReport::new(Outcome::Done)
        },
        Err(failure) => {
            let outcome = outcome_of(failure, sandbox);
            let postponed = matches!(outcome, Outcome::Postponed { .. });
            AttemptReport {
                diagnostics: (!postponed).then(|| printed(sandbox)),
                ..AttemptReport::new(outcome)
            }
        }
    }
}

fn verdicts_report(
    verdicts: Vec<types::Outcome>,
    call: Option<Box<Call>>,
    sandbox: &Sandbox,
) -> Ended {
    let verdicts: Vec<Outcome> = verdicts
        .into_iter()
        .map(|verdict| match verdict {
            types::Outcome::Done => Outcome::Done,
            types::Outcome::Failed(failure) => outcome_of(failure, sandbox),
        })
        .collect();
    let done = verdicts.contains(&Outcome::Done);
    let failed = verdicts.iter().any(|verdict| *verdict != Outcome::Done);
    let report = AttemptReport {
        effects: effects_of(call.filter(|_| done)),
        diagnostics: failed.then(|| printed(sandbox)),
        ..AttemptReport::new(Outcome::Done)
    };
    Ended { report, verdicts }
}

/// A handler that loses count cannot be believed about any message.
fn miscounted_report(found: usize, expected: usize, sandbox: &Sandbox) -> AttemptReport {
    let error = format!(
        "handle-batch returned {found} outcomes for {expected} messages: it has to return one for \
         each, in their order"
    );
    AttemptReport {
        diagnostics: Some(printed(sandbox)),
        ..AttemptReport::new(Outcome::Failed {
            reason: Reason::Trap,
            error,
            delay: None,
        })
    }
}

fn effects_of(call: Option<Box<Call>>) -> Effects {
    call.map(|call| call.transaction.finish())
        .unwrap_or_default()
}

fn outcome_of(failure: types::Failure, sandbox: &Sandbox) -> Outcome {
    let words = |text: String| cut(&sandbox.output.masked(&text), limits::MAX_REASON);
    match failure {
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
        types::Failure::Postpone(delay) => Outcome::Postponed {
            delay: Duration::from_millis(delay),
        },
    }
}

fn printed(sandbox: &Sandbox) -> Diagnostics {
    let (output_tail, output_dropped) = sandbox.output.tail();
    Diagnostics {
        backtrace: Vec::new(),
        output_tail,
        output_dropped,
    }
}

fn abnormal_report(abnormal: &Abnormal, sandbox: &Sandbox, reused: bool) -> AttemptReport {
    let error = abnormal.error.as_ref();
    if error.is_some_and(|error| failure::had_no_room(error, abnormal.phase)) {
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
