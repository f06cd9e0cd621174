//! One message, by its id: where it is, and orders to change when it is due.

use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, Timestamp};
use gristmill_store::{DeadLetter, Found, Peeked};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::message::{Body, duration};
use super::view::{AttemptView, CountersView, EnvelopeView};
use super::{Api, Problem};

/// The most bytes of a body that is shown with its message.
pub const MAX_SHOWN_BODY: usize = 64 * 1024;

/// Where a message is, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// Its queue.
    pub queue: String,
    /// `ready`, `scheduled`, `in-flight` or `dead`.
    pub state: String,
    /// When it is due, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at_ms: Option<u64>,
    /// It waits behind others of its group, whenever it is due itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind_group: bool,
    /// When it was accepted.
    pub enqueued_at_ms: u64,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// When it died, if it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub died_at_ms: Option<u64>,
    /// What it died of, if it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is counted.
    pub counters: CountersView,
    /// What its sender said.
    pub envelope: EnvelopeView,
    /// Bytes of its body.
    pub size: usize,
    /// Its body has more than [`MAX_SHOWN_BODY`] bytes and is left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub body_omitted: bool,
    /// Its body.
    #[serde(flatten)]
    pub body: Body,
    /// Its ended attempts, oldest first.
    pub history: Vec<AttemptView>,
}

impl MessageView {
    /// A message as it is shown at `now`.
    #[must_use]
    pub fn of(found: Found, now: Timestamp) -> Self {
        match found {
            Found::Waiting { message, behind } => {
                let due = message.due;
                let state = if due > now { "scheduled" } else { "ready" };
                MessageView {
                    due_at_ms: Some(due.unix_ms()),
                    behind_group: behind,
                    ..Self::peeked(*message, state)
                }
            }
            Found::InFlight(message) => Self::peeked(*message, "in-flight"),
            Found::Dead(letter) => Self::dead(*letter),
        }
    }

    fn peeked(peeked: Peeked, state: &str) -> Self {
        let (message, row) = (peeked.message, peeked.row);
        MessageView {
            enqueued_at_ms: row.enqueued_at.unix_ms(),
            expires_at_ms: row.expires_at.map(Timestamp::unix_ms),
            counters: row.counters.into(),
            history: peeked.attempts.into_iter().map(AttemptView::from).collect(),
            ..Self::plain(message, state)
        }
    }

    fn dead(letter: DeadLetter) -> Self {
        MessageView {
            died_at_ms: Some(letter.died_at.unix_ms()),
            reason: Some(letter.reason.to_string()),
            counters: letter.counters.into(),
            history: letter.attempts.into_iter().map(AttemptView::from).collect(),
            ..Self::plain(letter.message, "dead")
        }
    }

    fn plain(message: gristmill_queue::Message, state: &str) -> Self {
        let size = usize::try_from(message.size()).unwrap_or(usize::MAX);
        let omitted = size > MAX_SHOWN_BODY || message.blob.is_some();
        MessageView {
            id: message.id.to_string(),
            queue: message.queue.to_string(),
            state: state.to_owned(),
            due_at_ms: None,
            behind_group: false,
            enqueued_at_ms: message.enqueued_at.unix_ms(),
            expires_at_ms: message.expires_at.map(Timestamp::unix_ms),
            died_at_ms: None,
            reason: None,
            counters: CountersView::default(),
            envelope: message.envelope.into(),
            size,
            body_omitted: omitted,
            body: if omitted {
                Body::default()
            } else {
                Body::of(&message.body)
            },
            history: Vec::new(),
        }
    }
}

/// When a message is to be due. Exactly one of these is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MoveOrder {
    /// At this time: `now`, or a date and a time with its offset or zone, such as
    /// `2026-12-24T18:00:00+01:00`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// At this time, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at_ms: Option<u64>,
    /// This long from now on, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
}

impl MoveOrder {
    /// An order that means this.
    #[must_use]
    pub fn of(to: Due) -> Self {
        use crate::config::value::Show as _;
        match to {
            Due::Now => MoveOrder {
                due: Some("now".to_owned()),
                ..MoveOrder::default()
            },
            Due::At(time) => MoveOrder {
                due_at_ms: Some(time.unix_ms()),
                ..MoveOrder::default()
            },
            Due::After(delay) => MoveOrder {
                delay: Some(delay.show()),
                ..MoveOrder::default()
            },
        }
    }
}

impl TryFrom<MoveOrder> for Due {
    type Error = Problem;

    fn try_from(order: MoveOrder) -> Result<Self, Problem> {
        match (order.due, order.due_at_ms, order.delay) {
            (Some(text), None, None) if text == "now" => Ok(Due::Now),
            (Some(text), None, None) => time(&text).map(Due::At),
            (None, Some(ms), None) => Ok(Due::At(Timestamp::from_unix_ms(ms))),
            (None, None, Some(text)) => duration("delay", &text).map(Due::After),
            _ => Err(Problem::bad_request(
                "a move names exactly one of due, due_at_ms and delay",
            )),
        }
    }
}

/// Reads a point in time: with an offset, with a zone, or both. What lies before 1970 is as early
/// as can be.
///
/// # Errors
/// When it is none, or does not say where on Earth.
pub fn time(text: &str) -> Result<Timestamp, Problem> {
    let text = text.trim();
    let zoned = || text.parse::<jiff::Zoned>().map(|zoned| zoned.timestamp());
    let found = text.parse::<jiff::Timestamp>().or_else(|_| zoned());
    let time = found.map_err(|_| {
        Problem::bad_request(format!(
            "{text:?} is not a point in time: write now, or a date, a time and its offset or zone, such as 2026-12-24T18:00:00Z or 2026-12-24T18:00[Europe/Berlin]"
        ))
    })?;
    // Rounded up, so that nothing is due before its time.
    let ms = time.as_nanosecond().div_euclid(1_000_000);
    let ms = ms + i128::from(time.as_nanosecond().rem_euclid(1_000_000) > 0);
    Ok(Timestamp::from_unix_ms(u64::try_from(ms).unwrap_or(0)))
}

/// When a message is due from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Moved {
    /// Its id.
    pub id: String,
    /// When it is due.
    pub due_at_ms: u64,
}

impl Api {
    /// Where a message is, and all that is known of it.
    ///
    /// # Errors
    /// When it is not here, or damaged.
    pub async fn find(&self, id: MessageId) -> Result<MessageView, Problem> {
        let found = self.queues.find(id).await?;
        Ok(MessageView::of(found, self.queues.now()))
    }

    /// Removes a waiting message for good.
    ///
    /// # Errors
    /// When it does not wait: it is in flight, dead, or not here.
    pub async fn cancel(&self, id: MessageId) -> Result<(), Problem> {
        Ok(self.queues.cancel(id).await?)
    }

    /// Changes when a waiting message is due.
    ///
    /// # Errors
    /// When it does not wait, or would expire first.
    pub async fn move_to(&self, id: MessageId, to: Due) -> Result<Moved, Problem> {
        let due = self.queues.move_to(id, to).await?;
        Ok(Moved {
            id: id.to_string(),
            due_at_ms: due.unix_ms(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(text: &str) -> Result<Due, Problem> {
        serde_json::from_str::<MoveOrder>(text).unwrap().try_into()
    }

    #[test]
    fn a_move_names_a_time_or_a_delay() {
        let at = |ms| Due::At(Timestamp::from_unix_ms(ms));
        for (text, due) in [
            (r#"{"due":"now"}"#, Due::Now),
            (r#"{"due":"2025-11-20T12:00:00Z"}"#, at(1_763_640_000_000)),
            (
                r#"{"due":"2025-11-20T13:00:00.0001+01:00"}"#,
                at(1_763_640_000_001),
            ),
            (
                r#"{"due":"2025-11-20T13:00[Europe/Berlin]"}"#,
                at(1_763_640_000_000),
            ),
            (r#"{"due":"1960-01-01T00:00:00Z"}"#, at(0)),
            (r#"{"due_at_ms":7}"#, at(7)),
            (r#"{"delay":"2h"}"#, Due::After(Duration::from_secs(7200))),
        ] {
            assert_eq!(read(text).unwrap(), due, "{text}");
            let order = serde_json::to_string(&MoveOrder::of(due)).unwrap();
            assert_eq!(read(&order).unwrap(), due, "{order}");
        }
        for (text, expected) in [
            ("{}", "exactly one"),
            (r#"{"due":"now","delay":"1s"}"#, "exactly one"),
            (r#"{"due":"2025-11-20T12:00:00"}"#, "offset or zone"),
            (r#"{"due":"soon"}"#, "\"soon\" is not a point in time"),
            (r#"{"delay":"soon"}"#, "not a duration"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.detail.contains(expected), "{text}: {problem}");
        }
    }
}
