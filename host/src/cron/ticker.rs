//! The loop: does the ticks that are due, and sleeps until the next one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gristmill_queue::Timestamp;
use gristmill_store::{Accepted, AdminError, CronMark, Fired, Firing, LastTick, SendError};
use tokio::sync::watch;

use super::plan::{Due, Watched};
use super::{CronConfig, CronConfigs};
use crate::config::defaults::{CRON_LOOK, CRON_MIN_SLEEP};
use crate::queues::Queues;

/// The entries of a host, or of a store that no host serves. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Crontab {
    queues: Queues,
    lines: Arc<Mutex<BTreeMap<String, Line>>>,
}

/// An entry.
struct Line {
    config: CronConfig,
    /// How far it has come; nothing, if it does not tick.
    watched: Option<Watched>,
    error: Option<String>,
}

/// An entry, as an operator sees it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its name.
    pub name: String,
    /// What is configured.
    pub config: CronConfig,
    /// The last tick that fired.
    pub last: Option<LastTick>,
    /// The next tick; none, if it does not tick.
    pub next: Option<Timestamp>,
    /// Why the next tick, though it is due, is not done yet.
    pub error: Option<String>,
}

/// Why an entry could not be run by hand.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such entry.
    #[error(
        "there is no cron entry {0}: declare it with [cron.{0}] in the configuration, or see `gristmill cron`"
    )]
    Unknown(String),
    /// Its message was refused.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The store closed meanwhile.
    #[error(transparent)]
    Store(#[from] AdminError),
}

impl Crontab {
    /// Of a host; nothing ticks before [`Crontab::run`].
    #[must_use]
    pub fn new(queues: Queues) -> Self {
        Crontab {
            queues,
            lines: Arc::default(),
        }
    }

    /// Of a store that no host serves: nothing ticks, and nothing is changed.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn at_rest(queues: Queues, configs: &CronConfigs) -> Result<Self, AdminError> {
        let marks: BTreeMap<String, CronMark> = queues.cron_marks()?.into_iter().collect();
        let crontab = Crontab::new(queues);
        let now = crontab.queues.now();
        let line = |(name, config): (&String, &CronConfig)| {
            let schedule = config.schedule.id();
            let known = marks.get(name).filter(|mark| mark.schedule == schedule);
            let last = marks.get(name).and_then(|mark| mark.last);
            let mark = known.copied().unwrap_or(CronMark {
                schedule,
                done: now,
                last,
            });
            (name.clone(), Line::new(config, Some(&mark), now))
        };
        *crontab.lines() = configs.iter().map(line).collect();
        Ok(crontab)
    }

    /// Ticks until it is dropped or the store closes. `configs` tells the entries, and `changes`
    /// when they may have changed.
    pub async fn run(
        self,
        mut changes: watch::Receiver<u64>,
        configs: impl Fn() -> Option<Arc<CronConfigs>>,
    ) {
        let mut applied: Option<Arc<CronConfigs>> = None;
        loop {
            changes.mark_unchanged();
            let same = |known: &Arc<CronConfigs>, wanted| Arc::ptr_eq(known, wanted);
            if let Some(wanted) = configs()
                && !applied.as_ref().is_some_and(|known| same(known, &wanted))
            {
                if self.apply(&wanted).await.is_err() {
                    return;
                }
                applied = Some(wanted);
            }
            let now = self.queues.now();
            let (firings, wake) = self.plan(now);
            if !firings.is_empty() {
                match self.fire(firings).await {
                    // Somebody has changed the entries in the store: they are declared again.
                    Ok(true) => {
                        self.lines().clear();
                        applied = None;
                    }
                    Ok(false) => {}
                    Err(_) => return,
                }
                continue;
            }
            // The timer stands still while the machine sleeps, so it is looked at now and then; and
            // whatever the clock says, there is some rest between two looks.
            let sleep = wake.map_or(CRON_LOOK, |wake| wake.since(now));
            let sleep = sleep.clamp(CRON_MIN_SLEEP, CRON_LOOK);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() {
                    tokio::time::sleep(sleep).await;
                },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Keeps an eye on exactly these entries. What stays the same goes on as it was.
    async fn apply(&self, configs: &CronConfigs) -> Result<(), AdminError> {
        let ticking = || configs.iter().filter(|(_, config)| config.enabled);
        let entries = ticking().map(|(name, config)| config.entry(name)).collect();
        let marks = self.queues.declare_cron(entries).await?;
        let marks: BTreeMap<&String, CronMark> =
            ticking().map(|(name, _)| name).zip(marks).collect();
        let now = self.queues.now();
        let mut lines = self.lines();
        let mut before = std::mem::take(&mut *lines);
        for (name, config) in configs {
            let line = match before.remove(name) {
                Some(line) if line.config == *config => line,
                known => {
                    let same = |line: &Line| line.config.schedule == config.schedule;
                    let known = known.filter(same).and_then(|line| line.watched);
                    let since = known.map_or(now, |watched| watched.since());
                    Line::new(config, marks.get(name), since)
                }
            };
            lines.insert(name.clone(), line);
        }
        Ok(())
    }

    /// What is to be done now, at most one tick of each entry; and when to look again.
    fn plan(&self, now: Timestamp) -> (Vec<(String, Firing)>, Option<Timestamp>) {
        let mut firings = Vec::new();
        let mut wake: Option<Timestamp> = None;
        for (name, line) in self.lines().iter_mut() {
            let Some(watched) = &mut line.watched else {
                continue;
            };
            match watched.due(now) {
                Some(Due::Fire(tick)) => firings.push((name.clone(), line.config.tick(name, tick))),
                Some(Due::LeaveOut(until)) => {
                    tracing::info!("cron entry {name}: ticks were missed and are left out");
                    firings.push((name.clone(), line.config.leave_out(name, until)));
                }
                None => {
                    wake = match (wake, watched.wake()) {
                        (Some(a), Some(b)) => Some(a.min(b)),
                        (a, b) => a.or(b),
                    }
                }
            }
        }
        (firings, wake)
    }

    /// Does these, in one commit, and takes note of what became of each. Says whether the store has
    /// other entries than are declared here.
    async fn fire(&self, firings: Vec<(String, Firing)>) -> Result<bool, AdminError> {
        let ticks: Vec<(String, Timestamp)> = firings
            .iter()
            .filter_map(|(name, firing)| match firing {
                Firing::Tick { tick, .. } => Some((name.clone(), *tick)),
                Firing::ByHand(_) => None,
            })
            .collect();
        let firings = firings.into_iter().map(|(_, firing)| firing).collect();
        let fired = self.queues.fire(firings).await?;
        let now = self.queues.now();
        let mut stale = false;
        let mut lines = self.lines();
        for ((name, tick), fired) in ticks.into_iter().zip(fired) {
            let Some(line) = lines.get_mut(&name) else {
                continue;
            };
            stale |= matches!(fired, Ok(Fired::Stale));
            line.note(&name, tick, fired, now);
        }
        Ok(stale)
    }

    /// Sends the message of an entry now, whether or not it ticks. Its ticks go on as they are.
    ///
    /// # Errors
    /// When there is no such entry, or its message is refused.
    pub async fn run_now(&self, name: &str) -> Result<Accepted, RunError> {
        let now = self.queues.now();
        let by_hand = |line: &Line| line.config.by_hand(name, now);
        let firing = self.lines().get(name).map(by_hand);
        let firing = firing.ok_or_else(|| RunError::Unknown(name.to_owned()))?;
        match self.queues.fire(vec![firing]).await?.pop() {
            Some(Ok(Fired::Sent(accepted))) => Ok(accepted),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(_)) | None => Err(SendError::Unknown.into()),
        }
    }

    /// All entries, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Shown> {
        let show = |(name, line): (&String, &Line)| Shown {
            name: name.clone(),
            config: line.config.clone(),
            last: line.watched.as_ref().and_then(Watched::last),
            next: line.watched.as_ref().and_then(Watched::next),
            error: line.error.clone(),
        };
        self.lines().iter().map(show).collect()
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn new(config: &CronConfig, mark: Option<&CronMark>, since: Timestamp) -> Self {
        let watch = |mark| Watched::new(config.schedule.clone(), config.missed, mark, since);
        Line {
            config: config.clone(),
            watched: mark.filter(|_| config.enabled).map(watch),
            error: None,
        }
    }

    /// Takes note of what became of a tick.
    fn note(
        &mut self,
        name: &str,
        tick: Timestamp,
        fired: Result<Fired, SendError>,
        now: Timestamp,
    ) {
        let Some(watched) = &mut self.watched else {
            return;
        };
        match fired {
            Ok(Fired::Sent(accepted)) => {
                tracing::debug!(id = %accepted.id, "cron entry {name} has ticked");
                let last = LastTick {
                    tick,
                    fired_at: now,
                    id: accepted.id,
                };
                watched.is_done(tick, Some(last));
                self.error = None;
            }
            Ok(Fired::Skipped | Fired::Before) => watched.is_done(tick, None),
            Ok(Fired::Stale) => watched.failed(now),
            Err(error) => {
                watched.failed(now);
                let error = error.to_string();
                if self.error.as_ref() != Some(&error) {
                    tracing::warn!("cron entry {name}: its tick is tried again: {error}");
                    self.error = Some(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
