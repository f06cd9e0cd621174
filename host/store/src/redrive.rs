//! A redrive under way, as it is kept in the file: it goes on where it was whenever the host dies.

use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::rate::Rate;
use gristmill_queue::{MessageId, NewMessage, QueueName, Timestamp};

use crate::filter::DeadFilter;
use crate::ops::{Op, Outgoing, Redrive, Reply};
use crate::tlv::{self, Fields, Malformed, Writer};
use crate::{AdminError, Staged, Store, check};

/// Where dead letters are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Destination {
    /// From the dead store of a queue back into the queue.
    #[default]
    Home,
    /// From the dead store of a queue into another one.
    Queue(QueueName),
    /// Out of a queue that takes what dies in others, each back to where it died.
    Source,
    /// Out of a queue that takes what dies in others, all into another one, also what did not die.
    Onward(QueueName),
}

/// What is to be redriven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedriveOrder {
    /// Which letters.
    pub filter: DeadFilter,
    /// Where to.
    pub to: Destination,
    /// How many, within which time; as fast as can be if there is none.
    pub rate: Option<(u32, Duration)>,
}

/// What became of a [`RedriveOrder`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is done: so many letters were taken.
    Done(u64),
    /// It goes on by itself, under this number.
    UnderWay(u64),
}

/// A redrive under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedriveUnderWay {
    /// Its number, which is not used twice.
    pub number: u64,
    /// The queue whose letters are taken.
    pub queue: QueueName,
    /// Which letters, and where to.
    pub order: RedriveOrder,
    /// When it began. What died later is not taken.
    pub started_at: Timestamp,
    /// The number of the last message that it has dealt with.
    pub after: u64,
    /// How many letters it has taken.
    pub done: u64,
}

/// A rate that may be asked of a redrive: it comes in a tenth of a second's worth at a time.
pub(crate) fn paced((count, per): (u32, Duration)) -> Rate {
    let per_ms = per.as_millis().max(1);
    let tenth = u128::from(count) * 100 / per_ms;
    Rate::new(
        count.max(1),
        per.max(Duration::from_millis(1)),
        Some(u32::try_from(tenth).unwrap_or(u32::MAX).max(1)),
    )
}

/// A dead letter that is sent again with another body.
pub(crate) struct Edited {
    pub queue: QueueName,
    pub id: MessageId,
    /// Only its body counts.
    pub message: NewMessage,
    /// That body, if it is large.
    pub staged: Vec<Staged>,
    pub reply: Reply<Result<MessageId, AdminError>>,
}

impl Store {
    /// Takes dead letters back into their queue, in original order. Says how many, when all are there.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn redrive(&self, queue: QueueName, filter: DeadFilter) -> Result<u64, AdminError> {
        let order = RedriveOrder {
            filter,
            ..RedriveOrder::default()
        };
        match self.start_redrive(queue, order).await? {
            Redriven::Done(count) => Ok(count),
            Redriven::UnderWay(_) => Ok(0),
        }
    }

    /// Starts a redrive. Without a rate, it is done when this returns; with one, it goes on by itself,
    /// also over restarts, unless little is to be done.
    ///
    /// # Errors
    /// When there is no such queue, or the one where the letters are to go is not declared.
    pub async fn start_redrive(
        &self,
        queue: QueueName,
        order: RedriveOrder,
    ) -> Result<Redriven, AdminError> {
        self.ask(|reply| {
            Op::Redrive(Box::new(Redrive {
                queue,
                order,
                reply,
            }))
        })
        .await?
    }

    /// Sends a dead letter again with another body, and removes it: a new message with the old id as
    /// causation id. Returns the new one's id.
    ///
    /// # Errors
    /// When there is no such letter, or the body is too large for the queue.
    pub async fn redrive_edited(
        &self,
        queue: QueueName,
        id: MessageId,
        body: Bytes,
    ) -> Result<MessageId, AdminError> {
        let message = NewMessage::with_body(body);
        let (new, staged) = self.spill(vec![Outgoing { queue, message }]).await?;
        let Some(new) = new.into_iter().next() else {
            return Err(AdminError::Closed);
        };
        self.redrive_edited_staged(new, id, staged).await
    }

    /// As [`Store::redrive_edited`], with a body that is stored already, if it is large; of the message
    /// only its body counts.
    ///
    /// # Errors
    /// As there.
    pub async fn redrive_edited_staged(
        &self,
        new: Outgoing,
        id: MessageId,
        staged: Vec<Staged>,
    ) -> Result<MessageId, AdminError> {
        let Outgoing { queue, message } = new;
        self.ask(|reply| {
            Op::RedriveEdited(Box::new(Edited {
                queue,
                id,
                message,
                staged,
                reply,
            }))
        })
        .await?
    }

    /// Ends a redrive where it is. Says how many letters it has taken.
    ///
    /// # Errors
    /// When it is not under way.
    pub async fn cancel_redrive(&self, number: u64) -> Result<u64, AdminError> {
        self.ask(|reply| Op::CancelRedrive { number, reply })
            .await?
    }

    /// All redrives under way, the oldest first.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn redrives(&self) -> Result<Vec<RedriveUnderWay>, AdminError> {
        self.ask(|reply| Op::Redrives { reply }).await
    }
}

mod tag {
    pub const QUEUE: u8 = 1;
    pub const FILTER: u8 = 2;
    pub const TO: u8 = 3;
    pub const SOURCE: u8 = 4;
    pub const RATE_COUNT: u8 = 5;
    pub const RATE_MS: u8 = 6;
    pub const STARTED_AT: u8 = 7;
    pub const AFTER: u8 = 8;
    pub const DONE: u8 = 9;
}

/// Writes a redrive.
pub(crate) fn encode(redrive: &RedriveUnderWay) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut to = Writer(&mut bytes);
    to.text(tag::QUEUE, Some(redrive.queue.as_str()));
    to.nested(tag::FILTER, |to| redrive.order.filter.encode(to));
    match &redrive.order.to {
        Destination::Home => {}
        Destination::Queue(queue) => to.text(tag::TO, Some(queue.as_str())),
        Destination::Source => to.number(tag::SOURCE, 1),
        Destination::Onward(queue) => {
            to.text(tag::TO, Some(queue.as_str()));
            to.number(tag::SOURCE, 1);
        }
    }
    if let Some((count, per)) = redrive.order.rate {
        to.number(tag::RATE_COUNT, u64::from(count));
        let per = u64::try_from(per.as_millis()).unwrap_or(u64::MAX);
        to.number(tag::RATE_MS, per);
    }
    to.number(tag::STARTED_AT, redrive.started_at.unix_ms());
    to.number(tag::AFTER, redrive.after);
    to.number(tag::DONE, redrive.done);
    check::seal(redrive.number, &mut bytes);
    bytes
}

/// Reads and verifies the redrive of that number.
pub(crate) fn decode(number: u64, bytes: &[u8]) -> Result<RedriveUnderWay, Malformed> {
    let mut queue = None;
    let mut order = RedriveOrder::default();
    let (mut count, mut per) = (None, None);
    let (mut started_at, mut after, mut done) = (0, 0, 0);
    let named = |value| QueueName::new(&tlv::text(value)?).map_err(|_| Malformed);
    for field in Fields(check::open(number, bytes)?) {
        let (tag, value) = field?;
        match tag {
            tag::QUEUE => queue = Some(named(value)?),
            tag::FILTER => order.filter = DeadFilter::decode(value)?,
            tag::TO => order.to = Destination::Queue(named(value)?),
            tag::SOURCE => {
                order.to = match order.to {
                    Destination::Queue(queue) => Destination::Onward(queue),
                    _ => Destination::Source,
                }
            }
            tag::RATE_COUNT => count = Some(tlv::small(value)?),
            tag::RATE_MS => per = Some(Duration::from_millis(tlv::number(value)?)),
            tag::STARTED_AT => started_at = tlv::number(value)?,
            tag::AFTER => after = tlv::number(value)?,
            tag::DONE => done = tlv::number(value)?,
            _ => return Err(Malformed),
        }
    }
    order.rate = count.zip(per);
    Ok(RedriveUnderWay {
        number,
        queue: queue.ok_or(Malformed)?,
        order,
        started_at: Timestamp::from_unix_ms(started_at),
        after,
        done,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gristmill_queue::Reason;

    #[test]
    fn a_redrive_reads_back_whole_and_damage_is_found() {
        let name = |name| QueueName::new(name).unwrap();
        let filter = DeadFilter {
            ids: vec![MessageId::from_bytes([7; 16])],
            reason: Some(Reason::Trap),
            fingerprint: Some(0),
            handler: Some("ab12".into()),
            since: Some(Timestamp::from_unix_ms(5)),
            until: Some(Timestamp::from_unix_ms(9)),
            attributes: vec![("tenant".into(), String::new()), ("a".into(), "b".into())],
            message_type: Some("order.placed".into()),
            source: Some("shop".into()),
        };
        for (to, rate) in [
            (Destination::Home, None),
            (
                Destination::Queue(name("other")),
                Some((50, Duration::from_secs(1))),
            ),
            (Destination::Source, Some((1, Duration::from_secs(86_400)))),
            (Destination::Onward(name("third")), None),
        ] {
            let redrive = RedriveUnderWay {
                number: 12,
                queue: name("orders"),
                order: RedriveOrder {
                    filter: filter.clone(),
                    to,
                    rate,
                },
                started_at: Timestamp::from_unix_ms(8),
                after: 77,
                done: 3,
            };
            let bytes = encode(&redrive);
            assert_eq!(decode(12, &bytes), Ok(redrive));
            assert_eq!(decode(13, &bytes), Err(Malformed));
            for i in 0..bytes.len() {
                let mut damaged = bytes.clone();
                damaged[i] ^= 4;
                assert_eq!(decode(12, &damaged), Err(Malformed), "byte {i}");
            }
        }
    }
}
