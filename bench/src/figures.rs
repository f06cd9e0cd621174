//! Waits and how they are spread; medians of runs.

use std::time::Duration;

/// Times that were waited, in microseconds.
#[derive(Clone, Debug, Default)]
pub struct Waits(Vec<u32>);

impl Waits {
    pub fn add(&mut self, wait: Duration) {
        self.0
            .push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn join(&mut self, other: Waits) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The wait that so many of a hundred do not exceed, in milliseconds.
    pub fn percentile(&mut self, percent: usize) -> f64 {
        if self.0.is_empty() {
            return f64::NAN;
        }
        let at = (self.0.len() - 1) * percent / 100;
        let (_, found, _) = self.0.select_nth_unstable(at);
        f64::from(*found) / 1000.0
    }
}

/// The middle of some figures, with the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Median {
    pub least: f64,
    pub middle: f64,
    pub greatest: f64,
}

impl Median {
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let at = |at: usize| figures.get(at).copied().unwrap_or(f64::NAN);
        Median {
            least: at(0),
            middle: at(figures.len() / 2),
            greatest: at(figures.len().saturating_sub(1)),
        }
    }
}

/// A whole number with its thousands apart.
pub fn grouped(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A figure with as many digits as say something.
pub fn short(figure: f64) -> String {
    match figure {
        f if f.is_nan() => "–".to_owned(),
        f if f >= 1000.0 => grouped(f),
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_medians() {
        let mut waits = Waits::default();
        for ms in (1..=100).rev() {
            waits.add(Duration::from_millis(ms));
        }
        assert_eq!(waits.percentile(50), 50.0);
        assert_eq!(waits.percentile(99), 99.0);
        assert!(Waits::default().percentile(50).is_nan());
        let median = Median::of([3.0, 1.0, 2.0]);
        assert_eq!(
            (median.least, median.middle, median.greatest),
            (1.0, 2.0, 3.0)
        );
    }

    #[test]
    fn figures_can_be_read() {
        assert_eq!(grouped(1_234_567.2), "1,234,567");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(short(0.1234), "0.12");
        assert_eq!(short(12.34), "12.3");
        assert_eq!(short(123.4), "123");
        assert_eq!(short(12_345.0), "12,345");
    }
}
