//! The rules between the keys of a crontab entry, and between it and its queue.

use gristmill_queue::message::{InvalidMessage, Priority};
use gristmill_queue::{Envelope, NewMessage, QueueName, Timestamp, limits};
use toml::Spanned;

use super::check::{or_default, value};
use super::check_topic::Destinations;
use super::problem::{Place, Problems};
use super::raw::RawCron;
use super::section::Given;
use super::{defaults, spelling};
use crate::cron::{CronConfig, CronConfigs, Schedule, ScheduleError};

const SCHEDULE_CURE: &str = "write five fields as crontab has them (minute, hour, day, month, weekday), such as \"0 3 * * *\", or a name such as \"@daily\"";

/// Checks all entries, and builds those that are sound.
pub fn entries(
    raw: Vec<(Spanned<String>, RawCron)>,
    destinations: &Destinations<'_>,
    problems: &mut Problems<'_>,
) -> CronConfigs {
    let mut entries = CronConfigs::new();
    for (name, raw) in raw {
        check_name(&name, problems);
        let mut check = CronCheck {
            name: name.get_ref(),
            destinations,
            problems,
        };
        if let Some(entry) = check.entry(raw) {
            entries.insert(name.into_inner(), entry);
        }
    }
    entries
}

/// Names stand in addresses and in dedup ids.
fn check_name(name: &Spanned<String>, problems: &mut Problems<'_>) {
    let text = name.get_ref();
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if !(1..=defaults::MAX_CRON_NAME).contains(&text.len()) || !text.bytes().all(plain) {
        let key = format!("cron.{}", spelling::quoted(text));
        let most = defaults::MAX_CRON_NAME;
        problems.error(
            name.span(),
            &key,
            format!("{text:?} cannot be the name of a cron entry"),
            format!("use 1 to {most} letters, digits, '-', '_' and '.'"),
        );
    }
}

struct CronCheck<'c, 'p, 't> {
    name: &'c str,
    destinations: &'c Destinations<'c>,
    problems: &'p mut Problems<'t>,
}

impl CronCheck<'_, '_, '_> {
    fn key(&self, leaf: &str) -> String {
        format!("cron.{}.{leaf}", spelling::quoted(self.name))
    }

    fn error(&mut self, leaf: &str, place: Place, message: &str, cure: impl Into<Option<String>>) {
        let key = self.key(leaf);
        let message = format!("`{key}` {message}");
        self.problems.error(place, &key, message, cure.into());
    }

    fn entry(&mut self, raw: RawCron) -> Option<CronConfig> {
        let origin = self.problems.line_of(&raw.place);
        let schedule = self.schedule(&raw);
        let queue = self.needed("queue", &raw.queue, &raw.place, "name a declared queue");
        let queue = queue.and_then(|queue| self.queue("queue", &queue));
        let reply_to = raw.reply_to.clone();
        let reply_to = reply_to.and_then(|queue| self.queue("reply_to", &queue));
        let (missed, enabled) = (value(&raw.missed), value(&raw.enabled));
        let place = raw.place.clone();
        let body = raw.body.as_ref().map(Spanned::span);
        let message = message(raw, reply_to);
        let (schedule, queue) = (schedule?, queue?);
        let (_, most) = self.destinations.find(queue.as_str())?;
        // Its body is kept with its message.
        let most = most.min(limits::MAX_INLINE);
        if let Err(problem) = message.check(most, Timestamp::ZERO) {
            let place = match problem {
                InvalidMessage::BodyTooLarge { .. } => body.unwrap_or(place),
                _ => place,
            };
            let key = format!("cron.{}", spelling::quoted(self.name));
            let text = format!("`{key}`: its message would be refused: {problem}");
            self.problems.error(place, &key, text, None);
        }
        Some(CronConfig {
            schedule,
            queue,
            message,
            missed: missed.unwrap_or_default(),
            enabled: enabled.unwrap_or(true),
            origin,
        })
    }

    fn schedule(&mut self, raw: &RawCron) -> Option<Schedule> {
        let expression = self.needed("schedule", &raw.schedule, &raw.place, SCHEDULE_CURE)?;
        let zone = raw.zone.as_ref();
        let zone_name = zone.map_or(defaults::CRON_ZONE, |zone| zone.get_ref().as_str());
        match Schedule::new(expression.get_ref(), zone_name) {
            Ok(schedule) => Some(schedule),
            Err(error) => {
                let place = expression.span();
                let text = error.to_string();
                match error {
                    ScheduleError::Expression(_) => {
                        self.error("schedule", place, &text, SCHEDULE_CURE.to_owned());
                    }
                    ScheduleError::Never => self.error("schedule", place, &text, None),
                    ScheduleError::Zone => {
                        let cure = "write a name of the IANA database, such as \"Europe/Berlin\"";
                        let place = zone.map_or(place, Spanned::span);
                        self.error("zone", place, &text, cure.to_owned());
                    }
                }
                None
            }
        }
    }

    /// A value without which there is no entry.
    fn needed(
        &mut self,
        leaf: &str,
        given: &Given<String>,
        place: &Place,
        cure: &str,
    ) -> Option<Spanned<String>> {
        // One that has the wrong type was noted when it was read.
        if given.is_none() && !self.problems.blame(&[self.key(leaf)]) {
            self.error(leaf, place.clone(), "is needed", cure.to_owned());
        }
        given.clone()
    }

    fn queue(&mut self, leaf: &str, given: &Spanned<String>) -> Option<QueueName> {
        let text = given.get_ref();
        let known = self.destinations.find(text).map(|(name, _)| name);
        if known.is_none() {
            let cure = self.destinations.cure(text);
            let message = format!("names queue {text:?}, which is not declared");
            self.error(leaf, given.span(), &message, cure);
        }
        known
    }
}

fn message(raw: RawCron, reply_to: Option<QueueName>) -> NewMessage {
    let text = |given: Given<String>| given.map(Spanned::into_inner);
    NewMessage {
        blob: None,
        envelope: Envelope {
            content_type: text(raw.content_type),
            attributes: raw.attributes.into_iter().collect(),
            group: text(raw.group),
            correlation_id: text(raw.correlation_id),
            reply_to,
            message_type: text(raw.message_type),
            schema_version: text(raw.schema_version),
            source: text(raw.source),
            priority: Priority::new(or_default(&raw.priority, &defaults::CRON_PRIORITY))
                .unwrap_or_default(),
            ..Envelope::default()
        },
        ttl: value(&raw.ttl),
        ..NewMessage::with_body(text(raw.body).unwrap_or_default())
    }
}
