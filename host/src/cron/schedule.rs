//! When an entry ticks: a cron expression in a time zone.
//!
//! The only file that names croner. What it does where clocks change is cron's own custom: an entry
//! for one time of day (a single second, minute and hour) ticks once on such a day: when its hour is
//! left out, at the moment after the gap; when its hour comes twice, in the first. Any other, one
//! with a list of hours too, follows the time that really passes, so that it leaves out what is left
//! out and repeats what is repeated.

use std::fmt;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use gristmill_queue::Timestamp;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

/// When an entry ticks.
#[derive(Clone)]
pub struct Schedule {
    expression: String,
    zone_name: String,
    zone: TimeZone,
    cron: Cron,
}

/// Why there is no such schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression is none.
    #[error("is not a cron expression: {0}")]
    Expression(String),
    /// There is no moment that it means.
    #[error("never comes: there is no such day")]
    Never,
    /// The system knows no such zone.
    #[error("is not a time zone")]
    Zone,
}

impl Schedule {
    /// Reads an expression of five fields, or of six with seconds in front, or a name such as
    /// `@daily`, and the name of a zone of the IANA database.
    ///
    /// # Errors
    /// When one of them is none, or the expression means no moment at all.
    pub fn new(expression: &str, zone: &str) -> Result<Self, ScheduleError> {
        let words: Vec<&str> = expression.split_whitespace().collect();
        let expression = words.join(" ");
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(&expression)
            .map_err(|error| ScheduleError::Expression(in_words(&error)))?;
        let schedule = Schedule {
            expression,
            zone_name: zone.to_owned(),
            zone: TimeZone::get(zone).map_err(|_| ScheduleError::Zone)?,
            cron,
        };
        match schedule.next_after(Timestamp::ZERO) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// The expression.
    #[must_use]
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The name of the zone.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// What tells this schedule from others, also across restarts.
    #[must_use]
    pub fn id(&self) -> u64 {
        let hash = Sha256::new()
            .chain_update(&self.expression)
            .chain_update([0])
            .chain_update(&self.zone_name)
            .finalize();
        hash.iter()
            .take(8)
            .fold(0, |id, byte| (id << 8) | u64::from(*byte))
    }

    /// The first tick after a time; none, if there is none before the year 5000.
    #[must_use]
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_next_occurrence(&self.zoned(time)?, false);
        let found = at(&found.ok()?)?;
        // Whatever the library does: time goes on.
        (found > time).then_some(found)
    }

    /// The last tick that is not after a time.
    #[must_use]
    pub fn last_until(&self, time: Timestamp) -> Option<Timestamp> {
        let found = self.cron.find_previous_occurrence(&self.zoned(time)?, true);
        let found = at(&found.ok()?)?;
        (found <= time).then_some(found)
    }

    fn zoned(&self, time: Timestamp) -> Option<jiff::Zoned> {
        let ms = i64::try_from(time.unix_ms()).ok()?;
        let time = jiff::Timestamp::from_millisecond(ms).ok()?;
        Some(time.to_zoned(self.zone.clone()))
    }
}

/// What the library says, without the names of its parts.
fn in_words(error: &CronError) -> String {
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    text.trim_end_matches('.').to_owned()
}

fn at(zoned: &jiff::Zoned) -> Option<Timestamp> {
    let ms = u64::try_from(zoned.timestamp().as_millisecond()).ok()?;
    Some(Timestamp::from_unix_ms(ms))
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (&self.expression, &self.zone_name) == (&other.expression, &other.zone_name)
    }
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}", self.expression, self.zone_name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> Timestamp {
        let time: jiff::Timestamp = text.parse().unwrap();
        Timestamp::from_unix_ms(u64::try_from(time.as_millisecond()).unwrap())
    }

    /// The ticks after one time and until another, in UTC.
    fn ticks(expression: &str, zone: &str, from: &str, until: &str) -> Vec<String> {
        let schedule = Schedule::new(expression, zone).unwrap();
        let mut found = Vec::new();
        let mut now = time(from);
        while let Some(next) = schedule.next_after(now).filter(|next| *next <= time(until)) {
            now = next;
            let ms = i64::try_from(next.unix_ms()).unwrap();
            let next = jiff::Timestamp::from_millisecond(ms).unwrap();
            found.push(next.strftime("%d %H:%M:%S").to_string());
        }
        found
    }

    #[test]
    fn expressions_have_five_fields_or_seconds_too_or_a_name() {
        let of_a_day = |expression| {
            let (from, until) = ("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z");
            ticks(expression, "UTC", from, until)
        };
        assert_eq!(of_a_day("0 3 * * *"), ["21 03:00:00"]);
        assert_eq!(of_a_day("  30   5 3 * *   * "), ["21 03:05:30"]);
        assert_eq!(of_a_day("@daily"), ["22 00:00:00"]);
        assert_eq!(of_a_day("@hourly").len(), 24);
        assert_eq!(
            of_a_day("*/20 8-9 * * SAT"),
            of_a_day("0,20,40 8,9 * NOV 6")
        );
        assert_eq!(of_a_day("0 3 * * MON"), [""; 0]);
        assert_eq!(of_a_day("* * * * *").len(), 1440);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for expression in [
            "",
            "soon",
            "* * * *",
            "60 * * * *",
            "* * * * * * *",
            "@reboot",
            "0 0 0 * *",
        ] {
            let error = Schedule::new(expression, "UTC").unwrap_err();
            assert!(
                matches!(error, ScheduleError::Expression(_)),
                "{expression}: {error}"
            );
        }
        for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *"] {
            assert_eq!(Schedule::new(expression, "UTC"), Err(ScheduleError::Never));
        }
        for zone in ["", "Berlin", "Europe/Atlantis", "+01:00"] {
            assert_eq!(
                Schedule::new("@daily", zone),
                Err(ScheduleError::Zone),
                "{zone}"
            );
        }
    }

    /// On 29 March 2026 Berlin has no time from 2:00 to 3:00; that is from 1:00 to 1:00 in UTC.
    #[test]
    fn a_local_time_that_is_left_out_is_made_up_for_at_once_and_once() {
        let spring = |expression| {
            let (from, until) = ("2026-03-28T23:30:00Z", "2026-03-29T03:00:00Z");
            ticks(expression, "Europe/Berlin", from, until)
        };
        assert_eq!(spring("30 2 * * *"), ["29 01:00:00"]);
        assert_eq!(spring("30 1 * * *"), ["29 00:30:00"]);
        assert_eq!(spring("0 3 * * *"), ["29 01:00:00"]);
        // Two times of day are no longer one: the one in the gap is left out.
        assert_eq!(spring("30 2,14 * * *"), [""; 0]);
        // What ticks all the time ticks every half hour of real time.
        assert_eq!(
            spring("*/30 * * * *"),
            [
                "29 00:00:00",
                "29 00:30:00",
                "29 01:00:00",
                "29 01:30:00",
                "29 02:00:00",
                "29 02:30:00",
                "29 03:00:00"
            ]
        );
    }

    /// On 25 October 2026 Berlin has the time from 2:00 to 3:00 twice: from 0:00 to 2:00 in UTC.
    #[test]
    fn a_local_time_that_comes_twice_ticks_once_unless_it_ticks_all_the_time() {
        let autumn = |expression| {
            let (from, until) = ("2026-10-24T23:45:00Z", "2026-10-25T02:45:00Z");
            ticks(expression, "Europe/Berlin", from, until)
        };
        assert_eq!(autumn("30 2 * * *"), ["25 00:30:00"]);
        assert_eq!(autumn("30 3 * * *"), ["25 02:30:00"]);
        let twice = ["25 00:30:00", "25 01:30:00"];
        assert_eq!(autumn("30 2,14 * * *"), twice);
        assert_eq!(
            autumn("*/30 * * * *"),
            [
                "25 00:00:00",
                "25 00:30:00",
                "25 01:00:00",
                "25 01:30:00",
                "25 02:00:00",
                "25 02:30:00"
            ]
        );
    }

    #[test]
    fn another_expression_or_zone_is_another_schedule() {
        let id = |expression, zone| Schedule::new(expression, zone).unwrap().id();
        assert_eq!(id("0 3 * * *", "UTC"), id(" 0  3 * * *", "UTC"));
        assert_ne!(id("0 3 * * *", "UTC"), id("0 4 * * *", "UTC"));
        assert_ne!(id("0 3 * * *", "UTC"), id("0 3 * * *", "Europe/Berlin"));
        // It stands in the store.
        assert_eq!(id("@daily", "UTC"), DAILY);
    }

    const DAILY: u64 = 276_752_801_896_771_837;

    fn schedules() -> impl Strategy<Value = Schedule> {
        let expression = prop::sample::select(vec![
            "* * * * *",
            "30 2 * * *",
            "0 3 * * *",
            "*/7 1-3 * * *",
            "15 30 2 * * *",
            "0 0 1 * *",
            "59 1,2,3 * 3,10 SUN",
            "@weekly",
            "0 12 L * *",
            "*/45 */2 * * *",
        ]);
        let zone = prop::sample::select(vec![
            "UTC",
            "Europe/Berlin",
            "America/New_York",
            "Australia/Lord_Howe",
            "Pacific/Apia",
            "America/St_Johns",
        ]);
        (expression, zone).prop_map(|(expression, zone)| Schedule::new(expression, zone).unwrap())
    }

    proptest! {
        /// Forwards and backwards it is the same ticks, whatever the clocks do.
        #[test]
        fn a_tick_is_the_last_one_until_the_next(schedule in schedules(), ms in 1_700_000_000_000u64..1_900_000_000_000) {
            let time = Timestamp::from_unix_ms(ms);
            let next = schedule.next_after(time).unwrap();
            prop_assert!(next > time);
            prop_assert_eq!(schedule.last_until(next), Some(next));
            let before = Timestamp::from_unix_ms(next.unix_ms() - 1);
            let last = schedule.last_until(before).unwrap();
            prop_assert!(last <= time, "{last} lies between {time} and {next}");
            prop_assert_eq!(schedule.next_after(last), Some(next));
        }
    }
}
