//! How durations, times, sizes, rates and foreign texts are written for people.

use bytesize::ByteSize;
use jiff::tz::TimeZone;

/// A duration in microseconds, with the two units that matter: `1.2 ms`, `3.4 s`, `2 h 5 min`.
pub fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => tenths(us / 100, "ms"),
        1_000_000..60_000_000 => tenths(us / 100_000, "s"),
        _ => span(us / 1_000_000),
    }
}

/// A duration in whole seconds: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let first = UNITS
        .iter()
        .position(|(size, _)| seconds >= *size)
        .unwrap_or(3);
    let (size, unit) = UNITS[first];
    let whole = format!("{} {unit}", seconds / size);
    match UNITS.get(first + 1) {
        Some((smaller, name)) if seconds % size >= *smaller => {
            format!("{whole} {} {name}", seconds % size / smaller)
        }
        _ => whole,
    }
}

/// How long before `now` something was, or how long after.
pub fn relative(at_ms: u64, now_ms: u64) -> String {
    if at_ms <= now_ms {
        format!("{} ago", span((now_ms - at_ms) / 1000))
    } else {
        format!("in {}", span((at_ms - now_ms).div_ceil(1000)))
    }
}

/// A point in time, to the millisecond, in the zone of this machine.
pub fn time(at_ms: u64) -> String {
    time_in(at_ms, TimeZone::system())
}

fn time_in(at_ms: u64, zone: TimeZone) -> String {
    let at = i64::try_from(at_ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    match at {
        Some(at) => at
            .to_zoned(zone)
            .strftime("%Y-%m-%d %H:%M:%S%.3f %:z")
            .to_string(),
        None => format!("{at_ms} ms"),
    }
}

/// A size: `17 B`, `1.5 KiB`.
pub fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().iec().to_string()
}

/// A rate: `0`, `0.3`, `12`.
pub fn rate(per_second: f64) -> String {
    if per_second < 0.05 {
        "0".to_owned()
    } else if per_second < 9.95 {
        format!("{per_second:.1}")
    } else {
        format!("{per_second:.0}")
    }
}

/// A number of things: `1 message`, `2 messages`.
pub fn count(number: u64, thing: &str) -> String {
    if number == 1 {
        format!("1 {thing}")
    } else {
        format!("{number} {thing}s")
    }
}

fn tenths(tenths: u64, unit: &str) -> String {
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

/// A foreign text on one line: whatever could move the cursor, colour the screen or turn the
/// direction of writing is shown, not done.
pub fn line(text: &str) -> String {
    escape(text, false)
}

/// The same, but line ends and tabs stay.
pub fn lines(text: &str) -> String {
    escape(text, true)
}

/// A foreign text on one line of at most `limit` characters.
pub fn preview(text: &str, limit: usize) -> String {
    let mut cut: String = text.chars().take(limit + 1).collect();
    if cut.chars().count() > limit {
        cut.pop();
        cut.push('…');
    }
    line(&cut)
}

fn escape(text: &str, keep_lines: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' if keep_lines => safe.push(c),
            c if c.is_control() || turns_direction(c) => safe.extend(c.escape_default()),
            c => safe.push(c),
        }
    }
    safe
}

/// Marks that reorder what stands beside them.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_short() {
        for (us, expected) in [
            (0, "0 µs"),
            (999, "999 µs"),
            (1_000, "1 ms"),
            (1_250, "1.2 ms"),
            (999_999, "999.9 ms"),
            (3_400_000, "3.4 s"),
            (60_000_000, "1 min"),
            (200_000_000, "3 min 20 s"),
            (7_500_000_000, "2 h 5 min"),
            (86_400_000_000, "1 d"),
            (273_600_000_000, "3 d 4 h"),
        ] {
            assert_eq!(micros(us), expected);
        }
        assert_eq!(span(86_401), "1 d");
        assert_eq!(relative(1_000, 46_000), "45 s ago");
        assert_eq!(relative(46_001, 1_000), "in 46 s");
        assert_eq!(relative(5, 5), "0 s ago");
    }

    #[test]
    fn times_sizes_rates_and_counts() {
        assert_eq!(
            time_in(1_763_640_000_123, TimeZone::UTC),
            "2025-11-20 12:00:00.123 +00:00"
        );
        assert_eq!(time_in(u64::MAX, TimeZone::UTC), format!("{} ms", u64::MAX));
        assert_eq!(size(17), "17 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(
            [rate(0.0), rate(0.3), rate(9.96), rate(1234.4)],
            ["0", "0.3", "10", "1234"]
        );
        assert_eq!(
            [count(0, "line"), count(1, "line"), count(2, "line")],
            ["0 lines", "1 line", "2 lines"]
        );
    }

    #[test]
    fn a_foreign_text_cannot_act_on_the_terminal() {
        assert_eq!(line("a\u{1b}[2Jb\nc\td"), "a\\u{1b}[2Jb\\nc\\td");
        assert_eq!(lines("a\r\nb\tc\u{9b}"), "a\\r\nb\tc\\u{9b}");
        assert_eq!(line("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(preview("grün und blau", 4), "grün…");
        assert_eq!(preview("grün", 4), "grün");
    }

    proptest! {
        #[test]
        fn nothing_dangerous_is_left(text: String) {
            prop_assert!(!line(&text).chars().any(char::is_control));
            prop_assert!(!preview(&text, 10).chars().any(char::is_control));
            prop_assert!(!lines(&text).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
    }
}
