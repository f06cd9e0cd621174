//! What was typed about an entry of the crontab.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::only_keys_of;
use crate::config::defaults;
use crate::config::keys::Table;
use crate::config::problem::{Place, Problems};
use crate::config::section::{Given, Section};
use crate::cron::Missed;

/// `[cron.NAME]`
pub struct RawCron {
    /// Where the table begins: its name.
    pub place: Place,
    pub schedule: Given<String>,
    pub zone: Given<String>,
    pub queue: Given<String>,
    pub missed: Given<Missed>,
    pub enabled: Given<bool>,
    pub body: Given<String>,
    pub content_type: Given<String>,
    pub attributes: BTreeMap<String, String>,
    pub message_type: Given<String>,
    pub schema_version: Given<String>,
    pub source: Given<String>,
    pub group: Given<String>,
    pub correlation_id: Given<String>,
    pub reply_to: Given<String>,
    pub priority: Given<u8>,
    pub ttl: Given<Duration>,
}

impl RawCron {
    /// Reads the table of an entry.
    pub fn read(
        name: &Spanned<String>,
        cron: &Section<'_, '_>,
        problems: &mut Problems<'_>,
    ) -> Self {
        const MISSED: [(&str, Missed); 3] = [
            ("skip", Missed::Skip),
            ("last", Missed::Last),
            ("all", Missed::All),
        ];
        only_keys_of(Table::Cron, cron, &[], problems);
        RawCron {
            place: name.span(),
            schedule: cron.text("schedule", problems),
            zone: cron.text("zone", problems),
            queue: cron.text("queue", problems),
            missed: cron.choice("missed", &MISSED, problems),
            enabled: cron.flag("enabled", problems),
            body: cron.text("body", problems),
            content_type: cron.text("content_type", problems),
            attributes: cron.pairs("attributes", problems),
            message_type: cron.text("type", problems),
            schema_version: cron.text("schema_version", problems),
            source: cron.text("source", problems),
            group: cron.text("group", problems),
            correlation_id: cron.text("correlation_id", problems),
            reply_to: cron.text("reply_to", problems),
            priority: cron.integer("priority", &defaults::CRON_PRIORITY.bounds, problems),
            ttl: cron.duration("ttl", &defaults::TTL, problems),
        }
    }
}
