//! Receipt handles: given out, read, and what becomes of settling by them.
//!
//! The fence in a handle decides, as everywhere. A handle whose lease is over does nothing; a standard queue
//! answers then as though it had, which is what its clients expect of it.

use gristmill_queue::QueueName;
use gristmill_store::{AdminError, PullError, Pulled, Received};

use super::error::{Answer, Kind, SqsError};
use super::params::Params;
use super::{Ask, settings};
use crate::queues::Receipt;

/// A handle that this host gave out.
pub struct Held {
    receipt: Receipt,
    text: String,
}

/// The handle of a message that was just received.
pub fn issue(ask: &Ask<'_>, received: &Received) -> String {
    let queues = &ask.sqs.queues;
    queues.receipt(&received.message.queue, received)
}

/// The handle that a request, or an entry of a batch, names.
///
/// # Errors
/// When it is not there, or none that was given out for the queue.
pub fn read(ask: &Ask<'_>, queue: &QueueName, given: &Params) -> Result<Held, SqsError> {
    let text = given.need("ReceiptHandle")?;
    match ask.sqs.queues.read_receipt(queue, text) {
        Ok(receipt) => Ok(Held {
            receipt,
            text: text.to_owned(),
        }),
        Err(_) => {
            let shown: String = text.chars().take(200).collect();
            let message =
                format!("The input receipt handle \"{shown}\" is not a valid receipt handle.");
            Err(SqsError::new(Kind::ReceiptHandleIsInvalid, message))
        }
    }
}

/// Settles by handles, all that can be in one commit. Says of each what became of it.
///
/// # Errors
/// When the queue is gone, or the store closed meanwhile.
pub async fn settle(
    ask: &Ask<'_>,
    queue: &QueueName,
    orders: Vec<Result<(Held, Pulled), SqsError>>,
) -> Result<Vec<Answer>, SqsError> {
    let good = orders.iter().flatten();
    let verdicts: Vec<_> = good
        .map(|(held, pulled)| (held.receipt.fence, pulled.clone()))
        .collect();
    let mut settled = if verdicts.is_empty() {
        Vec::new()
    } else {
        let settling = ask.sqs.queues.settle_pulled(queue.clone(), verdicts);
        settling.await?
    }
    .into_iter();
    let mut answers = Vec::with_capacity(orders.len());
    for order in orders {
        let answer = match order {
            Err(error) => Err(error),
            Ok((held, pulled)) => match settled.next() {
                Some(Ok(())) => Ok(()),
                Some(Err(PullError::TooLong)) => Err(SqsError::parameter(format!(
                    "Value {} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for the message is beyond the limit [43200 seconds]",
                    seconds(&pulled)
                ))),
                Some(Err(PullError::LeaseLost)) => lost(ask, queue, &held, &pulled).await,
                None => Err(SqsError::new(
                    Kind::ServiceUnavailable,
                    "It is not known what became of the message.",
                )),
            },
        };
        answers.push(answer.map(|()| super::actions::nothing()));
    }
    Ok(answers)
}

fn seconds(pulled: &Pulled) -> u64 {
    match pulled {
        Pulled::Extend { visibility } => visibility.as_secs(),
        _ => 0,
    }
}

/// What is answered when the lease is over.
async fn lost(
    ask: &Ask<'_>,
    queue: &QueueName,
    held: &Held,
    pulled: &Pulled,
) -> Result<(), SqsError> {
    if *pulled != Pulled::Ack {
        let reason = "Message does not exist or is not available for visibility timeout change.";
        return Err(SqsError::value(&held.text, "ReceiptHandle", reason));
    }
    if !settings::is_fifo(queue) {
        return Ok(());
    }
    // Deleting twice is fine; deleting what was given to somebody else since is not.
    match ask.sqs.queues.find(held.receipt.id).await {
        Err(AdminError::UnknownMessage(_)) => Ok(()),
        _ => {
            let reason = "The receipt handle has expired.";
            Err(SqsError::value(&held.text, "ReceiptHandle", reason))
        }
    }
}
