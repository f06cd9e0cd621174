//! Redrives: started, going on group by group at their rate, cancelled; back from the dead in
//! original order.

use std::collections::VecDeque;

use gristmill_queue::board::QueueId;
use gristmill_queue::rate::Bucket;
use gristmill_queue::{QueueName, Timestamp};
use redb::ReadableTable;

use super::Writer;
use super::group::{Group, fatal};
use crate::error::{AdminError, Fatal};
use crate::filter::DeadFilter;
use crate::ops::{Redrive, Reply};
use crate::redrive::{Destination, RedriveUnderWay, Redriven, paced};
use crate::{dead, record};

/// How many messages are redriven or purged, or die with their group, in one group of operations.
pub(super) const CHUNK: usize = 500;
/// How many dead letters are looked at for these.
const LOOK: usize = 10_000;
/// The shortest rest of a redrive that has a rate, in milliseconds: its commits are to be few.
const REST_MS: u64 = 20;

/// A redrive under way.
pub(crate) struct Running {
    redrive: RedriveUnderWay,
    /// What its rate leaves.
    bucket: Option<Bucket>,
    /// The messages that are still to be looked at, of a queue that takes what dies in others.
    waiting: Option<VecDeque<u64>>,
    /// Whether it stands in the file.
    written: bool,
    /// When it goes on.
    next: Timestamp,
    reply: Option<Reply<Result<Redriven, AdminError>>>,
}

impl Running {
    pub fn new(redrive: RedriveUnderWay, written: bool) -> Self {
        Running {
            bucket: redrive.order.rate.map(|rate| Bucket::new(paced(rate))),
            next: redrive.started_at,
            redrive,
            waiting: None,
            written,
            reply: None,
        }
    }
}

impl Writer {
    /// Starts a redrive. What is not taken in the first step is written down with it, and goes on by
    /// itself, also after a restart. Each letter is moved in one transaction.
    pub(super) fn redrive(
        &mut self,
        redrive: Redrive,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let Redrive {
            queue,
            order,
            reply,
        } = redrive;
        let to = match &order.to {
            Destination::Queue(to) | Destination::Onward(to) => Some(to),
            Destination::Home | Destination::Source => None,
        };
        let undeclared = to.filter(|to| {
            let to = self.board.find(to.as_str());
            !to.is_some_and(|to| self.board.is_declared(to))
        });
        let refused = match undeclared {
            _ if self.board.find(queue.as_str()).is_none() => {
                Some(AdminError::UnknownQueue(queue.clone()))
            }
            Some(to) => Some(AdminError::Undeclared(to.clone())),
            None => None,
        };
        if let Some(refused) = refused {
            self.answer(reply, Err(refused));
            return Ok(());
        }
        let redrive = RedriveUnderWay {
            number: self.ordinal(),
            queue,
            order,
            started_at: now,
            after: 0,
            done: 0,
        };
        let mut running = Running::new(redrive, false);
        running.reply = Some(reply);
        self.step(running, group, now)
    }

    /// Goes on with the redrives whose time it is.
    pub(super) fn go_on_redriving(
        &mut self,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let due = self.redrives.iter().filter(|(_, one)| one.next <= now);
        let due: Vec<u64> = due.map(|(&number, _)| number).collect();
        for number in due {
            if let Some(running) = self.redrives.remove(&number) {
                self.step(running, group, now)?;
            }
        }
        Ok(())
    }

    /// Ends the redrives of a queue, or into it, that is deleted.
    pub(super) fn end_redrives_of(
        &mut self,
        queue: &QueueName,
        group: &mut Group<'_>,
    ) -> Result<(), Fatal> {
        let touches = |one: &RedriveUnderWay| {
            let to = match &one.order.to {
                Destination::Queue(to) | Destination::Onward(to) => Some(to),
                Destination::Home | Destination::Source => None,
            };
            one.queue == *queue || to == Some(queue)
        };
        let ended = self
            .redrives
            .iter()
            .filter(|(_, one)| touches(&one.redrive));
        let ended: Vec<u64> = ended.map(|(&number, _)| number).collect();
        for number in ended {
            if let Some(running) = self.redrives.remove(&number) {
                if running.written {
                    group.remove_redrive(number)?;
                }
                if let Some(reply) = running.reply {
                    self.answer(reply, Ok(Redriven::Done(running.redrive.done)));
                }
            }
        }
        Ok(())
    }

    /// When the next redrive goes on.
    pub(super) fn next_redrive(&self) -> Option<Timestamp> {
        self.redrives.values().map(|one| one.next).min()
    }

    fn step(
        &mut self,
        mut running: Running,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let number = running.redrive.number;
        running.next = now;
        let finished = match running.redrive.order.to {
            Destination::Source | Destination::Onward(_) => {
                self.return_some(&mut running, group, now)?
            }
            Destination::Home | Destination::Queue(_) => {
                self.redrive_some(&mut running, group, now)?
            }
        };
        if finished {
            if running.written {
                group.remove_redrive(number)?;
            }
            if let Some(reply) = running.reply {
                self.answer(reply, Ok(Redriven::Done(running.redrive.done)));
            }
            return Ok(());
        }
        group.put_redrive(&running.redrive)?;
        running.written = true;
        if running.bucket.is_some() {
            running.next = running
                .next
                .max(Timestamp::from_unix_ms(now.unix_ms() + REST_MS));
            if let Some(reply) = running.reply.take() {
                self.answer(reply, Ok(Redriven::UnderWay(number)));
            }
        }
        self.redrives.insert(number, running);
        Ok(())
    }

    /// Takes some letters out of the dead store. Says whether it was the last.
    fn redrive_some(
        &mut self,
        running: &mut Running,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<bool, Fatal> {
        let redrive = &mut running.redrive;
        let Some(queue) = self.board.find(redrive.queue.as_str()) else {
            return Ok(true);
        };
        let to = match &redrive.order.to {
            Destination::Queue(to) => self.board.find(to.as_str()),
            Destination::Home | Destination::Source | Destination::Onward(_) => Some(queue),
        };
        let Some(to) = to.filter(|&to| to == queue || self.board.is_declared(to)) else {
            tracing::error!(redrive = redrive.number, queue = %redrive.queue, "the queue to which dead letters were redriven is no longer declared: the rest stays dead");
            return Ok(true);
        };
        let filter = redrive.order.filter.clone();
        let found = self.find_dead(queue, &filter, redrive.after, CHUNK, group)?;
        for letter in found.letters {
            // What dies again while the redrive goes on is not taken back twice.
            if letter.died_at <= redrive.started_at {
                if let Some(bucket) = &mut running.bucket
                    && !bucket.take(now)
                {
                    running.next = bucket.opens_at();
                    return Ok(false);
                }
                redrive.done +=
                    u64::from(self.redrive_one(queue, to, letter.sequence, group, now)?);
            }
            redrive.after = letter.sequence;
        }
        redrive.after = redrive.after.max(found.seen);
        Ok(!found.more)
    }

    /// Takes some messages out of a queue, back to where they died. Says whether it was the last.
    fn return_some(
        &mut self,
        running: &mut Running,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<bool, Fatal> {
        let redrive = &mut running.redrive;
        let Some(queue) = self.board.find(redrive.queue.as_str()) else {
            return Ok(true);
        };
        let waiting = running.waiting.get_or_insert_with(|| {
            let after = redrive.after;
            let mut waiting: Vec<u64> = self.board.waiting(queue).collect();
            waiting.retain(|&sequence| sequence > after);
            waiting.sort_unstable();
            waiting.into()
        });
        let (mut looked, mut taken) = (0, 0);
        while let Some(&sequence) = waiting.front() {
            if looked == LOOK || taken == CHUNK {
                return Ok(false);
            }
            looked += 1;
            let found = self.returnable(queue, redrive, sequence, group)?;
            if let Some((row, message)) = found {
                if let Some(bucket) = &mut running.bucket
                    && !bucket.take(now)
                {
                    running.next = bucket.opens_at();
                    return Ok(false);
                }
                let onto = match &redrive.order.to {
                    Destination::Onward(to) => Some(to.clone()),
                    _ => None,
                };
                let went = self.return_one(&row, message, onto, group, now)?;
                (redrive.done, taken) = (redrive.done + u64::from(went), taken + 1);
            }
            redrive.after = sequence;
            waiting.pop_front();
        }
        Ok(true)
    }

    /// Ends a redrive where it is. Says how many it has taken.
    pub(super) fn cancel_redrive(
        &mut self,
        number: u64,
        reply: Reply<Result<u64, AdminError>>,
        group: &mut Group<'_>,
    ) -> Result<(), Fatal> {
        let Some(running) = self.redrives.remove(&number) else {
            self.answer(reply, Err(AdminError::UnknownRedrive(number)));
            return Ok(());
        };
        let done = running.redrive.done;
        group.remove_redrive(number)?;
        if let Some(waits) = running.reply {
            self.answer(waits, Ok(Redriven::Done(done)));
        }
        self.answer(reply, Ok(done));
        Ok(())
    }

    /// All redrives under way, the oldest first.
    pub(super) fn redrives(&mut self, reply: Reply<Vec<RedriveUnderWay>>) {
        let all = self.redrives.values();
        let all = all.map(|running| running.redrive.clone()).collect();
        self.answer(reply, all);
    }

    /// The next dead letters of a queue that a filter means, in original order, at most `most`. One
    /// whose row is damaged is meant only by who means all of them.
    pub(super) fn find_dead(
        &self,
        queue: QueueId,
        filter: &DeadFilter,
        after: u64,
        most: usize,
        group: &mut Group<'_>,
    ) -> Result<FoundDead, Fatal> {
        let all = *filter == DeadFilter::default();
        let doing = "listing the dead";
        let mut found = FoundDead::default();
        let range = (queue.0, after.saturating_add(1))..=(queue.0, u64::MAX);
        for (looked, entry) in group
            .dead_index()?
            .range(range)
            .map_err(fatal(doing))?
            .enumerate()
        {
            if found.letters.len() == most || looked == LOOK {
                found.more = true;
                break;
            }
            let (key, bytes) = entry.map_err(fatal(doing))?;
            let sequence = key.value().1;
            found.seen = sequence;
            let died_at = match dead::decode_summary(sequence, bytes.value()) {
                Ok(summary) if filter.means(&summary) => summary.died_at,
                Err(_) if all => Timestamp::ZERO,
                Ok(_) | Err(_) => continue,
            };
            found.letters.push(FoundLetter { sequence, died_at });
        }
        if filter.asks_envelope() {
            let name = self.board.name(queue);
            let letters = group.dead()?;
            let mut meant = Vec::with_capacity(found.letters.len());
            for letter in found.letters {
                let sequence = letter.sequence;
                let bytes = letters.get(sequence).map_err(fatal(doing))?;
                let message = bytes.and_then(|bytes| {
                    let record = dead::record(sequence, bytes.value()).ok()?;
                    record::decode(sequence, name.clone(), record).ok()
                });
                if message.is_some_and(|message| filter.means_envelope(&message.envelope)) {
                    meant.push(letter);
                }
            }
            found.letters = meant;
        }
        Ok(found)
    }
}

/// Some of the dead letters that are meant.
#[derive(Default)]
pub(super) struct FoundDead {
    pub letters: Vec<FoundLetter>,
    /// The number of the last that was looked at.
    pub seen: u64,
    /// There may be more behind it.
    pub more: bool,
}

/// A dead letter that is meant.
pub(super) struct FoundLetter {
    pub sequence: u64,
    pub died_at: Timestamp,
}
