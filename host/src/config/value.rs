//! Durations and sizes, as text and back.
//!
//! Knows how a person writes them; does not know which key they belong to. What is written by
//! [`Show`] is read back to the same value.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Reads a duration with units: `30s`, `1h 30m`, `14d`. A day is 24 hours, a week seven of them;
/// months and years have no fixed length and are refused.
pub fn duration(text: &str) -> Option<Duration> {
    let span: Span = text.trim().parse().ok()?;
    let length: SignedDuration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(length).ok()
}

/// Reads a duration that was typed on the command line.
///
/// # Errors
/// When it is none, with the cure.
pub fn typed(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "write a number and a unit, such as 30s, 1h30m or 14d".to_owned())
}

/// Reads a size with a unit: `64MiB`, `256 KiB`, `1.5GB`; a bare number counts bytes.
pub fn size(text: &str) -> Option<ByteSize> {
    text.trim().parse().ok()
}

/// Reads a rate: `5/s`, `300/min`, `1000/h`, `1/d`; how many within which time.
pub fn rate(text: &str) -> Option<(u32, Duration)> {
    const UNITS: [(&str, u64); 5] = [("s", 1), ("min", 60), ("m", 60), ("h", 3600), ("d", 86_400)];
    let (count, unit) = text.trim().split_once('/')?;
    let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit.trim())?;
    let count = count.trim();
    let is_number = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    // More digits than fit are out of bounds, whatever they are.
    let count = count.parse().unwrap_or(u32::MAX);
    is_number.then_some((count, Duration::from_secs(seconds)))
}

/// How a value is written in the file and in messages.
pub trait Show {
    /// The text.
    fn show(&self) -> String;
}

impl Show for Duration {
    fn show(&self) -> String {
        const UNITS: [(u128, &str); 5] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "m"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
        ];
        let nanos = self.as_nanos();
        if nanos == 0 {
            return "0s".to_owned();
        }
        UNITS
            .iter()
            .find(|(unit, _)| nanos.is_multiple_of(*unit))
            .map_or_else(
                || format!("{nanos}ns"),
                |(unit, name)| format!("{}{name}", nanos / unit),
            )
    }
}

impl Show for ByteSize {
    fn show(&self) -> String {
        const UNITS: [(u64, &str); 5] = [
            (1 << 50, "PiB"),
            (1 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        let bytes = self.as_u64();
        UNITS
            .iter()
            .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit))
            .map_or_else(
                || format!("{bytes}B"),
                |(unit, name)| format!("{}{name}", bytes / unit),
            )
    }
}

macro_rules! show_as_displayed {
    ($($kind:ty),*) => {
        $(impl Show for $kind {
            fn show(&self) -> String {
                self.to_string()
            }
        })*
    };
}

show_as_displayed!(u8, u32, u64, f64);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("30s", 30),
            ("1h 30m", 5400),
            ("1h30m", 5400),
            ("14d", 14 * 86_400),
            ("2w", 14 * 86_400),
            ("1 day", 86_400),
            ("PT30S", 30),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "30",
            "-5s",
            "5s ago",
            "1 month",
            "1y",
            "soon",
            "99999999999999999999s",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("256 KiB", 256 << 10),
            ("1MB", 1_000_000),
            ("17", 17),
            ("17B", 17),
            ("1.5KiB", 1536),
        ] {
            assert_eq!(size(text), Some(ByteSize::b(bytes)), "{text}");
        }
        for bad in ["", "-1", "MiB", "64 MiBB", "lots", "ü"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn rates_are_read_as_people_write_them() {
        for (text, count, seconds) in [
            ("5/s", 5, 1),
            ("300 / min", 300, 60),
            ("300/m", 300, 60),
            (" 1000/h ", 1000, 3600),
            ("1/d", 1, 86_400),
            ("99999999999/s", u32::MAX, 1),
        ] {
            assert_eq!(
                rate(text),
                Some((count, Duration::from_secs(seconds))),
                "{text}"
            );
        }
        for bad in [
            "", "5", "/s", "5/", "5/ms", "-5/s", "+5/s", "1.5/s", "5/s/s", "5 per s",
        ] {
            assert_eq!(rate(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(nanos in 0..3_000_000_000_000_000_000u64, bytes: u64) {
            let time = Duration::from_nanos(nanos);
            prop_assert_eq!(duration(&time.show()), Some(time));
            let length = ByteSize::b(bytes);
            prop_assert_eq!(size(&length.show()), Some(length));
        }

        #[test]
        fn no_text_makes_them_panic(text in ".*") {
            let _ = duration(&text);
            let _ = size(&text);
            let _ = rate(&text);
        }
    }
}
