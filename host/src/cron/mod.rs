//! The crontab: messages that are sent on a schedule.
//!
//! [`schedule`] knows when an entry ticks, `plan` decides what is to be done about it at a given
//! time, and [`Crontab`] is the thin loop between them, the clock of the queues and the store. That
//! a tick fires once is the store's doing: its message and the note that it is done are one commit.

mod plan;
pub mod schedule;
mod ticker;

use std::collections::BTreeMap;

use gristmill_queue::{NewMessage, QueueName, Timestamp};
use gristmill_store::{CronEntry, Firing, Outgoing, Stamped};

pub use plan::Missed;
pub use schedule::{Schedule, ScheduleError};
pub use ticker::{Crontab, RunError, Shown};

/// The attribute that names the entry a message was sent for.
pub const CRON_ATTRIBUTE: &str = "gristmill-cron";
/// The attribute with the tick a message was sent for, in UTC, such as `2026-11-21T03:00:00Z`.
pub const TICK_ATTRIBUTE: &str = "gristmill-tick";
/// The attribute of a message that was sent for an entry because somebody asked for it.
pub const BY_HAND_ATTRIBUTE: &str = "gristmill-by-hand";

/// An entry of the crontab, as it is configured.
#[derive(Clone, Debug)]
pub struct CronConfig {
    /// When it ticks.
    pub schedule: Schedule,
    /// The queue its messages go to.
    pub queue: QueueName,
    /// The message, but for what tells its tick.
    pub message: NewMessage,
    /// What becomes of ticks that could not be done in time.
    pub missed: Missed,
    /// Whether it ticks at all.
    pub enabled: bool,
    /// The line of the file that declares it.
    pub origin: usize,
}

/// Where it stands in the file makes no difference to an entry.
impl PartialEq for CronConfig {
    fn eq(&self, other: &Self) -> bool {
        let CronConfig {
            schedule,
            queue,
            message,
            missed,
            enabled,
            origin: _,
        } = self;
        (schedule, queue, message, missed, enabled)
            == (
                &other.schedule,
                &other.queue,
                &other.message,
                &other.missed,
                &other.enabled,
            )
    }
}

/// All entries, by name.
pub type CronConfigs = BTreeMap<String, CronConfig>;

impl CronConfig {
    /// The entry as the store knows it.
    fn entry(&self, name: &str) -> CronEntry {
        CronEntry {
            name: name.to_owned(),
            schedule: self.schedule.id(),
        }
    }

    /// The message of a tick. Within the queue's window its dedup id keeps it single even if it is
    /// sent another way.
    fn tick(&self, name: &str, tick: Timestamp) -> Firing {
        let mut message = self.message.clone();
        message.dedup_id = Some(format!("cron:{name}:{}", utc(tick)));
        Firing::Tick {
            entry: self.entry(name),
            tick,
            message: Some(self.stamped(name, tick, message, false)),
        }
    }

    /// All ticks until then are left out.
    fn leave_out(&self, name: &str, until: Timestamp) -> Firing {
        Firing::Tick {
            entry: self.entry(name),
            tick: until,
            message: None,
        }
    }

    /// The message as though there were a tick now.
    fn by_hand(&self, name: &str, now: Timestamp) -> Firing {
        Firing::ByHand(self.stamped(name, now, self.message.clone(), true))
    }

    fn stamped(
        &self,
        name: &str,
        tick: Timestamp,
        message: NewMessage,
        by_hand: bool,
    ) -> Box<Stamped> {
        let mut stamps = vec![
            (CRON_ATTRIBUTE, name.to_owned()),
            (TICK_ATTRIBUTE, utc(tick)),
        ];
        if by_hand {
            stamps.push((BY_HAND_ATTRIBUTE, "true".to_owned()));
        }
        let outgoing = Outgoing {
            queue: self.queue.clone(),
            message,
        };
        Box::new(Stamped { outgoing, stamps })
    }
}

/// A time in UTC, as RFC 3339 writes it.
fn utc(time: Timestamp) -> String {
    let ms = i64::try_from(time.unix_ms()).ok();
    let time = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(String::new, |time| time.to_string())
}
