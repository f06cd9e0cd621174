//! Ticks of the crontab: each is done once, in the commit that holds its message.

use std::collections::HashSet;

use gristmill_queue::Timestamp;
use redb::ReadableTable;

use super::Writer;
use super::group::{Group, fatal};
use crate::cron::{self, CronEntry, CronMark, LastTick};
use crate::error::{Fatal, SendError};
use crate::ops::{Accepted, Fired, Firing, Reply, Stamped};
use crate::topics::Sent;

impl Writer {
    /// Declares exactly these entries. One that is new, or has another schedule, starts now; what is
    /// known of one that is gone is forgotten.
    pub(super) fn declare_cron(
        &mut self,
        entries: &[CronEntry],
        reply: Reply<Vec<CronMark>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let declared: HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let mut gone = Vec::new();
        for row in group
            .cron()?
            .iter()
            .map_err(fatal("listing cron entries"))?
        {
            let (name, _) = row.map_err(fatal("listing cron entries"))?;
            if !declared.contains(name.value()) {
                gone.push(name.value().to_owned());
            }
        }
        for name in gone {
            group.changes();
            let removed = group.cron()?.remove(name.as_str());
            removed.map_err(fatal("forgetting a cron entry"))?;
        }
        let mut marks = Vec::with_capacity(entries.len());
        for entry in entries {
            let known = self.mark_of(&entry.name, group)?;
            let mark = match known {
                Some(mark) if mark.schedule == entry.schedule => mark,
                other => {
                    let mark = CronMark {
                        schedule: entry.schedule,
                        done: now,
                        last: other.and_then(|mark| mark.last),
                    };
                    put_mark(&entry.name, &mark, group)?;
                    mark
                }
            };
            marks.push(mark);
        }
        self.answer(reply, marks);
        Ok(())
    }

    /// Does ticks, each by itself: one that cannot be done now does not keep the others.
    pub(super) fn fire(
        &mut self,
        firings: Vec<Firing>,
        reply: Reply<Vec<Result<Fired, SendError>>>,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<(), Fatal> {
        let mut fired = Vec::with_capacity(firings.len());
        for firing in firings {
            fired.push(self.fire_one(firing, group, now)?);
        }
        self.answer(reply, fired);
        Ok(())
    }

    fn fire_one(
        &mut self,
        firing: Firing,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<Fired, SendError>, Fatal> {
        let (entry, tick, message) = match firing {
            Firing::ByHand(message) => {
                let sent = self.send_stamped(*message, group, now)?;
                return Ok(sent.map(Fired::Sent));
            }
            Firing::Tick {
                entry,
                tick,
                message,
            } => (entry, tick, message),
        };
        let mark = self.mark_of(&entry.name, group)?;
        let Some(mark) = mark.filter(|mark| mark.schedule == entry.schedule) else {
            return Ok(Ok(Fired::Stale));
        };
        if tick <= mark.done {
            return Ok(Ok(Fired::Before));
        }
        let (fired, last) = match message {
            None => (Fired::Skipped, mark.last),
            Some(message) => match self.send_stamped(*message, group, now)? {
                Err(error) => return Ok(Err(error)),
                Ok(accepted) => {
                    let last = LastTick {
                        tick,
                        fired_at: now,
                        id: accepted.id,
                    };
                    (Fired::Sent(accepted), Some(last))
                }
            },
        };
        let mark = CronMark {
            done: tick,
            last,
            ..mark
        };
        put_mark(&entry.name, &mark, group)?;
        Ok(Ok(fired))
    }

    pub(super) fn send_stamped(
        &mut self,
        message: Stamped,
        group: &mut Group<'_>,
        now: Timestamp,
    ) -> Result<Result<Accepted, SendError>, Fatal> {
        let Stamped { outgoing, stamps } = message;
        let taken = self.take_batch(vec![(outgoing, None)], &stamps, group, now)?;
        let first = |all: Vec<Sent>| all.first().map(|sent| sent.accepted);
        Ok(taken.and_then(|all| first(all).ok_or(SendError::Unknown)))
    }

    fn mark_of(&self, name: &str, group: &mut Group<'_>) -> Result<Option<CronMark>, Fatal> {
        cron::read(&**group.cron()?, name).map_err(fatal("reading a cron entry"))
    }
}

fn put_mark(name: &str, mark: &CronMark, group: &mut Group<'_>) -> Result<(), Fatal> {
    group.changes();
    cron::write(group.cron()?, name, mark).map_err(fatal("writing a cron entry"))
}
