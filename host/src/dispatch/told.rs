//! A line of the log for each delivery: for who develops a handler. Nobody else asks for it, and then
//! nothing is put into words.

use std::time::Duration;

use gristmill_queue::outcome::cut;
use gristmill_queue::{Message, Outcome};

/// The target of these lines, below which nothing else is logged.
pub const DELIVERIES: &str = "delivery";

/// Characters of a reason that fit into a line; the message keeps all of it.
const MAX_REASON: usize = 120;

/// Whether anybody asks for it.
pub(super) fn is_asked() -> bool {
    tracing::enabled!(target: DELIVERIES, tracing::Level::DEBUG)
}

/// Logs how a delivery of a message has ended.
pub(super) fn tell(message: &Message, attempt: u32, outcome: &Outcome, took: Duration) {
    if is_asked() {
        tracing::debug!(target: DELIVERIES, "{}", line(message, attempt, outcome, took));
    }
}

fn line(message: &Message, attempt: u32, outcome: &Outcome, took: Duration) -> String {
    let ms = took.as_secs_f64() * 1000.0;
    let again = if attempt > 1 {
        format!(", attempt {attempt}")
    } else {
        String::new()
    };
    let became = became(outcome);
    format!(
        "{} {} {ms:.1} ms{again}: {became}",
        message.queue, message.id
    )
}

fn became(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Done => "done".to_owned(),
        Outcome::Failed { reason, error, .. } => format!("{reason}: {}", short(error)),
        Outcome::Rejected { error } => format!("rejected: {}", short(error)),
        Outcome::Postponed { delay } => format!("postponed for {delay:?}"),
        Outcome::HandedBack(why) => format!("handed back: {why:?}"),
    }
}

/// The first line, as far as it fits, with nothing in it that acts on a terminal.
fn short(reason: &str) -> String {
    let first = reason.lines().next().unwrap_or_default();
    let mut safe = String::with_capacity(first.len());
    for c in first.chars() {
        if c.is_control() {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    cut(&safe, MAX_REASON)
}

#[cfg(test)]
mod tests {
    use gristmill_queue::{Envelope, IdSource, QueueName, Reason, Timestamp};

    use super::*;

    #[test]
    fn a_delivery_is_one_line_that_does_not_act_on_the_terminal() {
        let message = Message {
            id: IdSource::new(1, 7).mint(Timestamp::from_unix_ms(1000)),
            queue: QueueName::new("orders").unwrap(),
            enqueued_at: Timestamp::ZERO,
            expires_at: None,
            envelope: Envelope::default(),
            body: bytes::Bytes::new(),
            blob: None,
        };
        let took = Duration::from_micros(1230);
        let done = line(&message, 1, &Outcome::Done, took);
        assert_eq!(done, format!("orders {} 1.2 ms: done", message.id));
        let failed = Outcome::Failed {
            reason: Reason::Trap,
            error: format!("bad\u{1b}[2J{}\nsecond", "x".repeat(500)),
            delay: None,
        };
        let failed = line(&message, 3, &failed, took);
        assert!(
            failed.contains("1.2 ms, attempt 3: trap: bad\\u{1b}[2Jxxx"),
            "{failed}"
        );
        assert!(failed.len() < 250 && !failed.contains("second"), "{failed}");
    }
}
