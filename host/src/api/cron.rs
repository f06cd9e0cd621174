//! The crontab, as it is shown and run by hand.

use std::sync::Arc;

use gristmill_queue::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Api, Code, Problem, Sent};
use crate::cron::{CronConfigs, Crontab, Missed, RunError, Shown};

/// An entry of the crontab, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CronView {
    /// Its name.
    pub name: String,
    /// When it ticks: a cron expression …
    pub schedule: String,
    /// … in this time zone.
    pub zone: String,
    /// The queue its messages go to.
    pub queue: String,
    /// Whether it ticks.
    pub enabled: bool,
    /// What becomes of missed ticks: `skip`, `last` or `all`.
    pub missed: String,
    /// The last tick that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_tick_at_ms: Option<u64>,
    /// When that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fired_at_ms: Option<u64>,
    /// The message of the last tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_message: Option<String>,
    /// The next tick; none, if it does not tick.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_tick_at_ms: Option<u64>,
    /// Why the next tick, though it is due, is not done yet. It is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl From<Shown> for CronView {
    fn from(shown: Shown) -> Self {
        let config = shown.config;
        let missed = match config.missed {
            Missed::Skip => "skip",
            Missed::Last => "last",
            Missed::All => "all",
        };
        CronView {
            name: shown.name,
            schedule: config.schedule.expression().to_owned(),
            zone: config.schedule.zone().to_owned(),
            queue: config.queue.to_string(),
            enabled: config.enabled,
            missed: missed.to_owned(),
            last_tick_at_ms: shown.last.map(|last| last.tick.unix_ms()),
            last_fired_at_ms: shown.last.map(|last| last.fired_at.unix_ms()),
            last_message: shown.last.map(|last| last.id.to_string()),
            next_tick_at_ms: shown.next.map(Timestamp::unix_ms),
            error: shown.error,
        }
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Unknown(_) => Problem::new(Code::CronNotFound, error.to_string()),
            RunError::Send(error) => error.into(),
            RunError::Store(error) => error.into(),
        }
    }
}

/// Where the entries are.
#[derive(Clone)]
pub(super) enum Entries {
    /// They tick.
    Ticking(Crontab),
    /// No host runs: this is what is configured.
    AtRest(Arc<CronConfigs>),
}

impl Api {
    /// With the crontab of the host.
    #[must_use]
    pub fn with_crontab(mut self, crontab: Crontab) -> Self {
        self.crontab = Entries::Ticking(crontab);
        self
    }

    /// With the entries of a configuration that no host serves.
    #[must_use]
    pub fn with_cron_configs(mut self, configs: Arc<CronConfigs>) -> Self {
        self.crontab = Entries::AtRest(configs);
        self
    }

    /// All entries of the crontab, by name.
    ///
    /// # Errors
    /// When no host runs and the store cannot be read.
    pub fn cron(&self) -> Result<Vec<CronView>, Problem> {
        let shown = self.crontab()?.list().into_iter();
        Ok(shown.map(CronView::from).collect())
    }

    fn crontab(&self) -> Result<Crontab, Problem> {
        match &self.crontab {
            Entries::Ticking(crontab) => Ok(crontab.clone()),
            Entries::AtRest(configs) => Ok(Crontab::at_rest(self.queues.clone(), configs)?),
        }
    }

    /// Sends the message of an entry now, as though it ticked. Its ticks go on as they are.
    ///
    /// # Errors
    /// When there is no such entry, or its message is refused.
    pub async fn run_cron(&self, name: &str) -> Result<Sent, Problem> {
        Ok(self.crontab()?.run_now(name).await?.into())
    }
}
