//! Reading numbers, durations and sizes from a table, within their bounds.
//!
//! The second half of [`section`](super::section).

use std::fmt::Display;
use std::time::Duration;

use bytesize::ByteSize;
use toml::Spanned;
use toml::de::DeValue;

use super::defaults::Bounds;
use super::problem::Problems;
use super::section::{Given, Section};
use super::value::{self, Show};

const DURATION_CURE: &str =
    "write a number and a unit in quotes, such as \"30s\", \"1h 30m\" or \"14d\"";
const SIZE_CURE: &str =
    "write a number and a unit in quotes, such as \"64MiB\", or a number of bytes";

impl Section<'_, '_> {
    /// Takes a value if it is within its bounds.
    fn within<T: PartialOrd + Show>(
        &self,
        name: &str,
        value: Spanned<T>,
        bounds: &Bounds<T>,
        problems: &mut Problems<'_>,
    ) -> Given<T> {
        let typed = value.get_ref();
        if *typed >= bounds.min && *typed <= bounds.max {
            return Some(value);
        }
        let (min, max) = (bounds.min.show(), bounds.max.show());
        self.bad(
            name,
            value.span(),
            &format!("is out of bounds: {min} to {max}"),
            None,
            problems,
        );
        None
    }

    /// A whole number.
    pub fn integer<T>(
        &self,
        name: &str,
        bounds: &Bounds<T>,
        problems: &mut Problems<'_>,
    ) -> Given<T>
    where
        T: TryFrom<i128> + PartialOrd + Display + Show + Copy,
    {
        let value = self.raw(name)?;
        let Some(number) = whole(value.get_ref()) else {
            let cure = if value.get_ref().is_str() {
                "write it without quotes"
            } else {
                ""
            };
            self.wrong_type(name, value, "a whole number", cure, problems);
            return None;
        };
        // What does not fit the type is out of bounds all the more.
        let Ok(number) = T::try_from(number) else {
            let message = format!("is out of bounds: {} to {}", bounds.min, bounds.max);
            self.bad(name, value.span(), &message, None, problems);
            return None;
        };
        self.within(name, Spanned::new(value.span(), number), bounds, problems)
    }

    /// A number, whole or not.
    pub fn number(
        &self,
        name: &str,
        bounds: &Bounds<f64>,
        problems: &mut Problems<'_>,
    ) -> Given<f64> {
        let value = self.raw(name)?;
        let text = match value.get_ref() {
            DeValue::Float(number) => number.as_str(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            _ => "",
        };
        let Ok(number) = text.parse() else {
            self.wrong_type(name, value, "a number", "", problems);
            return None;
        };
        self.within(name, Spanned::new(value.span(), number), bounds, problems)
    }

    /// A duration, with its unit.
    pub fn duration(
        &self,
        name: &str,
        bounds: &Bounds<Duration>,
        problems: &mut Problems<'_>,
    ) -> Given<Duration> {
        let value = self.raw(name)?;
        let length = match value.get_ref() {
            DeValue::String(text) => value::duration(text),
            DeValue::Integer(number) => {
                let cure = format!("write the unit, such as \"{}s\"", number.as_str());
                self.wrong_type(name, value, "a duration", &cure, problems);
                return None;
            }
            _ => {
                self.wrong_type(name, value, "a duration", DURATION_CURE, problems);
                return None;
            }
        };
        let Some(length) = length else {
            self.bad(
                name,
                value.span(),
                "is not a duration",
                DURATION_CURE.to_owned(),
                problems,
            );
            return None;
        };
        self.within(name, Spanned::new(value.span(), length), bounds, problems)
    }

    /// A size, with its unit or in bytes.
    pub fn size(
        &self,
        name: &str,
        bounds: &Bounds<ByteSize>,
        problems: &mut Problems<'_>,
    ) -> Given<ByteSize> {
        let value = self.raw(name)?;
        let size = match value.get_ref() {
            DeValue::String(text) => value::size(text),
            // A negative size is no size; one that is too large is out of bounds.
            other => match whole(other) {
                Some(number) => u64::try_from(number).ok().map(ByteSize::b),
                None => {
                    self.wrong_type(name, value, "a size", SIZE_CURE, problems);
                    return None;
                }
            },
        };
        let Some(size) = size else {
            self.bad(
                name,
                value.span(),
                "is not a size",
                SIZE_CURE.to_owned(),
                problems,
            );
            return None;
        };
        self.within(name, Spanned::new(value.span(), size), bounds, problems)
    }
}

impl Section<'_, '_> {
    /// A rate: how many within which time.
    pub fn rate(
        &self,
        name: &str,
        bounds: &Bounds<u32>,
        problems: &mut Problems<'_>,
    ) -> Given<(u32, Duration)> {
        const CURE: &str = "write a number and a time, such as \"5/s\", \"300/min\" or \"1000/h\"";
        let value = self.raw(name)?;
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(name, value, "a rate", CURE, problems);
            return None;
        };
        let Some((count, per)) = value::rate(text) else {
            self.bad(
                name,
                value.span(),
                "is not a rate",
                CURE.to_owned(),
                problems,
            );
            return None;
        };
        let count = self.within(name, Spanned::new(value.span(), count), bounds, problems)?;
        Some(Spanned::new(value.span(), (count.into_inner(), per)))
    }
}

fn whole(value: &DeValue<'_>) -> Option<i128> {
    let number = value.as_integer()?;
    // More digits than this are out of every bound, whatever they are.
    Some(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
}
