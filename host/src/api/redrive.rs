//! Redrives: what is asked for, what goes on, and one letter with another body.

use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::{MessageId, QueueName};
use gristmill_store::{DeadFilter, Destination, RedriveOrder, RedriveUnderWay, Redriven};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, DeadGroupView, FilterView, Problem};

/// Which dead letters are to be taken back, where to, and how fast.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedriveIn {
    /// Which ones.
    pub filter: FilterView,
    /// Into this queue instead of the one in which they died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The queue takes what dies in others: each message goes back to where it died.
    pub to_source: bool,
    /// The queue takes what dies in others, and all that waits in it goes on to the queue of `to`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub onward: bool,
    /// How fast, such as `50/s`; as fast as can be unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Only count them.
    pub dry_run: bool,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedriveOut {
    /// How many were taken, or would be.
    pub count: u64,
    /// The number under which it goes on by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redrive: Option<u64>,
}

/// A redrive that goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RedriveView {
    /// Its number.
    pub redrive: u64,
    /// The queue whose letters are taken.
    pub queue: String,
    /// Which ones.
    pub filter: FilterView,
    /// Where to, if not back into that queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Each goes back to where it died.
    pub to_source: bool,
    /// All that waits in the queue goes there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub onward: bool,
    /// How fast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// When it began.
    pub started_at_ms: u64,
    /// How many letters it has taken.
    pub done: u64,
}

/// The id of the message that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    /// Its id.
    pub id: String,
}

/// Writes a rate as it is typed.
fn show_rate((count, per): (u32, Duration)) -> String {
    match per.as_secs() {
        1 => format!("{count}/s"),
        60 => format!("{count}/min"),
        3600 => format!("{count}/h"),
        _ => format!("{count}/d"),
    }
}

/// Reads the rate of a redrive.
///
/// # Errors
/// When it is none.
pub fn parse_rate(text: &str) -> Result<(u32, Duration), Problem> {
    crate::config::value::rate(text)
        .filter(|&(count, _)| (1..=1_000_000).contains(&count))
        .ok_or_else(|| {
            Problem::bad_request(format!(
                "{text:?} is not a rate: write 1 to 1000000 and a time, such as \"50/s\", \"300/min\" or \"1000/h\""
            ))
        })
}

impl RedriveIn {
    /// The same as it is asked over the socket.
    #[must_use]
    pub fn of(order: &RedriveOrder, dry_run: bool) -> Self {
        let to = match &order.to {
            Destination::Queue(queue) | Destination::Onward(queue) => Some(queue.to_string()),
            Destination::Home | Destination::Source => None,
        };
        RedriveIn {
            filter: (&order.filter).into(),
            to,
            to_source: order.to == Destination::Source,
            onward: matches!(order.to, Destination::Onward(_)),
            rate: order.rate.map(show_rate),
            dry_run,
        }
    }
}

impl TryFrom<RedriveIn> for RedriveOrder {
    type Error = Problem;

    fn try_from(asked: RedriveIn) -> Result<Self, Problem> {
        let to = match (asked.to, asked.to_source) {
            (Some(queue), false) if asked.onward => Destination::Onward(
                QueueName::new(&queue).map_err(|error| Problem::bad_request(error.to_string()))?,
            ),
            (None, false) => Destination::Home,
            (None, true) => Destination::Source,
            (Some(queue), false) => Destination::Queue(
                QueueName::new(&queue).map_err(|error| Problem::bad_request(error.to_string()))?,
            ),
            (Some(_), true) => {
                return Err(Problem::bad_request(
                    "say either where the letters go or that they go back to their source, and not both",
                ));
            }
        };
        Ok(RedriveOrder {
            filter: asked.filter.try_into()?,
            to,
            rate: asked.rate.as_deref().map(parse_rate).transpose()?,
        })
    }
}

impl From<RedriveUnderWay> for RedriveView {
    fn from(one: RedriveUnderWay) -> Self {
        let asked = RedriveIn::of(&one.order, false);
        RedriveView {
            redrive: one.number,
            queue: one.queue.to_string(),
            filter: asked.filter,
            to: asked.to,
            to_source: asked.to_source,
            onward: asked.onward,
            rate: asked.rate,
            started_at_ms: one.started_at.unix_ms(),
            done: one.done,
        }
    }
}

impl Api {
    /// Takes dead letters back, or only counts them. Without a rate it is done when this returns.
    ///
    /// # Errors
    /// When there is no such queue, or the one where they are to go is not declared.
    pub async fn redrive(
        &self,
        queue: QueueName,
        order: RedriveOrder,
        dry_run: bool,
    ) -> Result<RedriveOut, Problem> {
        if dry_run {
            let to_source = order.to == Destination::Source;
            let groups = self.dead_groups(queue, order.filter, to_source).await?;
            let count = groups.iter().map(|group| group.count).sum();
            let redrive = None;
            return Ok(RedriveOut { count, redrive });
        }
        let redriven = self.service().redrive(queue, order).await?;
        Ok(match redriven {
            Redriven::Done(count) => RedriveOut {
                count,
                redrive: None,
            },
            Redriven::UnderWay(number) => RedriveOut {
                count: 0,
                redrive: Some(number),
            },
        })
    }

    /// The dead letters of a queue that a filter means, grouped by what they died of. With
    /// `to_source`, the messages that wait in the queue and died in another.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn dead_groups(
        &self,
        queue: QueueName,
        filter: DeadFilter,
        to_source: bool,
    ) -> Result<Vec<DeadGroupView>, Problem> {
        if to_source {
            let groups = self.service().returnable_groups(queue, &filter).await?;
            return Ok(groups.iter().map(DeadGroupView::from).collect());
        }
        self.read(move |queues| {
            let mut views = Vec::new();
            for group in queues.dead_groups(&queue, &filter)? {
                let latest = super::item(queues, &queue, &group.latest)?;
                views.push(DeadGroupView::of(&group, latest));
            }
            Ok(views)
        })
        .await
    }

    /// Sends a dead letter again with another body, and removes it.
    ///
    /// # Errors
    /// When there is no such letter, or the body is too large for the queue.
    pub async fn redrive_edited(
        &self,
        queue: QueueName,
        id: MessageId,
        body: Bytes,
    ) -> Result<Edited, Problem> {
        let id = self.service().redrive_edited(queue, id, body).await?;
        Ok(Edited { id: id.to_string() })
    }

    /// All redrives that go on by themselves.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn redrives(&self) -> Result<Vec<RedriveView>, Problem> {
        let all = self.service().redrives().await?;
        Ok(all.into_iter().map(RedriveView::from).collect())
    }

    /// Ends a redrive where it is. Says how many letters it has taken.
    ///
    /// # Errors
    /// When it is not under way.
    pub async fn cancel_redrive(&self, number: u64) -> Result<u64, Problem> {
        Ok(self.service().cancel_redrive(number).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redrive_is_read_and_written_and_what_contradicts_itself_is_refused() {
        let asked = RedriveIn {
            to: Some("orders".into()),
            rate: Some("300/min".into()),
            ..RedriveIn::default()
        };
        let order = RedriveOrder::try_from(asked.clone()).unwrap();
        assert_eq!(order.rate, Some((300, Duration::from_secs(60))));
        assert_eq!(RedriveIn::of(&order, false), asked);
        let both = RedriveIn {
            to_source: true,
            ..asked
        };
        let problem = RedriveOrder::try_from(both).unwrap_err();
        assert!(problem.detail.contains("not both"), "{problem}");
        for rate in ["0/s", "fast", "5"] {
            let asked = RedriveIn {
                rate: Some(rate.into()),
                ..RedriveIn::default()
            };
            let problem = RedriveOrder::try_from(asked).unwrap_err();
            assert!(problem.detail.contains("is not a rate"), "{problem}");
        }
    }
}
