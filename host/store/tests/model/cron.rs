//! The crontab: a tick of a declared entry is done once, and its message with it.

use gristmill_queue::{MessageId, Timestamp};
use gristmill_store::{CronEntry, Fired, Firing, SendError, Sent, Stamped};

use super::parcel::Parcel;
use super::reference::Reference;
use super::script::{ENTRIES, Tick};
use super::world::{Asked, World, poll_once};

/// How far an entry has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub schedule: u64,
    /// Its ticks up to here are done.
    pub done: u64,
    /// The last tick that fired, when, and its message.
    pub last: Option<(u64, u64, MessageId)>,
}

/// What has to become of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Due {
    Fires,
    Left,
    DoneBefore,
    NotDeclared,
}

/// A tick, and the message that is to be sent for it.
pub struct Asking {
    pub tick: Tick,
    pub at: u64,
    pub message: Option<Parcel>,
}

impl Reference {
    /// New entries and those with another schedule start now.
    pub fn declare_cron(&mut self, schedules: &[Option<u64>]) {
        for (entry, schedule) in ENTRIES.iter().zip(schedules) {
            let known = self.crontab.remove(*entry);
            let Some(schedule) = *schedule else { continue };
            let entry_now = match known {
                Some(known) if known.schedule == schedule => known,
                other => Entry {
                    schedule,
                    done: self.now,
                    last: other.and_then(|entry| entry.last),
                },
            };
            self.crontab.insert((*entry).to_owned(), entry_now);
        }
    }

    fn fate_of(&self, tick: &Tick, at: u64) -> Due {
        if tick.by_hand {
            return Due::Fires;
        }
        match self.crontab.get(ENTRIES[tick.entry]) {
            Some(entry) if entry.schedule == tick.schedule => match &tick.sending {
                _ if at <= entry.done => Due::DoneBefore,
                Some(_) => Due::Fires,
                None => Due::Left,
            },
            _ => Due::NotDeclared,
        }
    }

    fn done(&mut self, tick: &Tick, at: u64, sent: Option<MessageId>) {
        let now = self.now;
        if let Some(entry) = self.crontab.get_mut(ENTRIES[tick.entry])
            && !tick.by_hand
        {
            entry.done = at;
            entry.last = sent.map(|id| (at, now, id)).or(entry.last);
        }
    }
}

impl World {
    pub fn crontab(&mut self, schedules: &[Option<u64>]) {
        self.reference.declare_cron(schedules);
        let declared: Vec<CronEntry> = ENTRIES
            .iter()
            .zip(schedules)
            .filter_map(|(entry, schedule)| {
                Some(CronEntry {
                    name: (*entry).to_owned(),
                    schedule: (*schedule)?,
                })
            })
            .collect();
        let marks = self.rig.wait(self.rig.store.declare_cron(declared.clone()));
        for (entry, mark) in declared.iter().zip(marks.unwrap()) {
            let expected = &self.reference.crontab[&entry.name];
            assert_eq!(mark.done.unix_ms(), expected.done, "start of {entry:?}");
        }
    }

    pub fn ask_fire(&mut self, tick: &Tick) -> Asked {
        let second = (self.reference.now / 1000).cast_signed() + tick.ahead;
        let at = second.cast_unsigned() * 1000;
        let mut message = tick.sending.as_ref().map(|sending| self.prepare(sending));
        if let Some(message) = &mut message {
            message.tick = Some(at);
        }
        let stamped = message.as_ref().map(|parcel| {
            Box::new(Stamped {
                outgoing: parcel.outgoing(),
                stamps: vec![("gristmill-tick", at.to_string())],
            })
        });
        let firing = match stamped {
            Some(stamped) if tick.by_hand => Firing::ByHand(stamped),
            message => Firing::Tick {
                entry: CronEntry {
                    name: ENTRIES[tick.entry].to_owned(),
                    schedule: tick.schedule,
                },
                tick: Timestamp::from_unix_ms(at),
                message,
            },
        };
        let asking = Asking {
            tick: tick.clone(),
            at,
            message,
        };
        let store = self.rig.store.clone();
        let asked = async move { store.fire(vec![firing]).await.map(|mut all| all.remove(0)) };
        Asked::Fire(asking, poll_once(asked))
    }

    pub fn judge_fire(&mut self, asking: &Asking, answer: Result<Fired, SendError>) {
        let Asking { tick, at, message } = asking;
        match self.reference.fate_of(tick, *at) {
            Due::NotDeclared => assert_eq!(answer, Ok(Fired::Stale)),
            Due::DoneBefore => assert_eq!(answer, Ok(Fired::Before)),
            Due::Left => {
                assert_eq!(answer, Ok(Fired::Skipped));
                self.reference.done(tick, *at, None);
            }
            Due::Fires => {
                let batch: Vec<_> = message.iter().cloned().collect();
                let sent = answer.map(|fired| match fired {
                    Fired::Sent(accepted) => vec![Sent {
                        accepted,
                        copies: None,
                    }],
                    other => panic!("{other:?} instead of a message for {tick:?}"),
                });
                let accepted = sent.as_ref().ok().map(|sent| sent[0].accepted);
                if self.judge_send(&batch, sent, false) {
                    let id = accepted.map(|accepted| accepted.id);
                    self.reference.done(tick, *at, id);
                }
            }
        }
    }

    pub fn check_crontab(&self) {
        let marks = self.rig.store.cron_marks().unwrap();
        let marks = marks.into_iter().map(|(name, mark)| {
            let last = mark
                .last
                .map(|last| (last.tick.unix_ms(), last.fired_at.unix_ms(), last.id));
            let entry = Entry {
                schedule: mark.schedule,
                done: mark.done.unix_ms(),
                last,
            };
            (name, entry)
        });
        let expected = self.reference.crontab.clone();
        assert!(marks.eq(expected), "{:?}", self.reference.crontab);
    }
}
