//! One delivery of several messages: one call, one transaction, an outcome for each.

use std::sync::Arc;

use gristmill_queue::outcome::{Diagnostics, HandedBack, Usage};
use gristmill_queue::{Effects, Message, Outcome, Transaction};

use super::EndingFlag;
use super::call::{Ended, Input};
use super::instance::{Call, Messages};
use super::version::HandlerVersion;
use super::wire::WitMessage;

/// Messages of one queue on their way into a handler together.
pub struct BatchDelivery {
    /// The messages, each with the number of its attempt, from 1. At least one.
    pub messages: Vec<(Arc<Message>, u32)>,
    /// How many attempts there may be.
    pub max_attempts: Option<u32>,
    /// What the handler sends and stores goes in here.
    pub transaction: Transaction,
    /// Whether the handler should wind up.
    pub ending: EndingFlag,
}

/// How a delivery of several messages ended.
#[derive(Debug)]
pub struct BatchReport {
    /// What becomes of each message, in their order.
    pub outcomes: Vec<Outcome>,
    /// What to commit with the acks; empty unless one of the outcomes is `Done`.
    pub effects: Effects,
    /// What the delivery used as a whole.
    pub usage: Usage,
    /// What it left behind, if a message failed.
    pub diagnostics: Option<Diagnostics>,
}

impl HandlerVersion {
    /// Runs one delivery of several messages. If it traps, overruns a limit or returns another
    /// number of outcomes, nobody knows whose fault that is: all are handed back, to be run one by
    /// one. That of a single message is its own.
    ///
    /// Cancel it by dropping the future, and poll it as [`HandlerVersion::run`].
    pub async fn run_batch(self: &Arc<Self>, delivery: BatchDelivery) -> BatchReport {
        let (messages, attempts): (Vec<_>, Vec<_>) = delivery.messages.into_iter().unzip();
        let forms = messages.iter().zip(attempts.iter().copied());
        let forms: Vec<WitMessage> = forms
            .map(|(message, attempt)| WitMessage::new(message, attempt))
            .collect();
        let views: Vec<_> = forms
            .iter()
            .zip(&messages)
            .map(|(form, message)| form.view(message))
            .collect();
        let call = Box::new(Call {
            attempt: attempts.first().copied().unwrap_or(1),
            messages: Messages::Batch(messages.clone()),
            max_attempts: delivery.max_attempts,
            previous_failure: None,
            transaction: delivery.transaction,
            ending: delivery.ending,
            progress: None,
            large: None,
            damaged: false,
        });
        let ended = self.conduct(call, &Input::Batch(&views), false).await;
        self.report(ended, messages.len())
    }

    fn report(&self, ended: Ended, count: usize) -> BatchReport {
        let Ended { report, verdicts } = ended;
        let outcomes = match report.outcome {
            Outcome::Done => verdicts,
            own if count == 1 => vec![own],
            Outcome::HandedBack(HandedBack::NoInstance) => {
                vec![Outcome::HandedBack(HandedBack::NoInstance); count]
            }
            failed => {
                if let Outcome::Failed { reason, error, .. } = failed {
                    let handler = self.name();
                    tracing::warn!(handler, %reason, "a batch of {count} messages failed and is delivered one by one: {error}");
                }
                vec![Outcome::HandedBack(HandedBack::BatchFailed); count]
            }
        };
        BatchReport {
            outcomes,
            effects: report.effects,
            usage: report.usage,
            diagnostics: report.diagnostics,
        }
    }
}
