//! Names, validated once.

use std::fmt;
use std::sync::Arc;

/// The name of a queue: 1 to 80 of `A–Z a–z 0–9 _ -`, optionally followed by `.fifo`.
///
/// The rule is that of the SQS API, so that every queue can be reached through it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Arc<str>);

/// A text that is not a queue name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is not a queue name: use 1 to 80 letters, digits, '-' and '_', optionally followed by '.fifo'"
)]
pub struct InvalidQueueName {
    /// The text, cut to 100 characters.
    pub name: String,
}

impl QueueName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// When the text is empty, too long, or has other characters.
    pub fn new(name: &str) -> Result<Self, InvalidQueueName> {
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        let valid = (1..=80).contains(&name.len())
            && !stem.is_empty()
            && stem
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if valid {
            Ok(QueueName(name.into()))
        } else {
            Err(InvalidQueueName {
                name: name.chars().take(100).collect(),
            })
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for QueueName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::str::FromStr for QueueName {
    type Err = InvalidQueueName;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::new(s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule_of_sqs() {
        for good in ["a", "orders", "Orders_2-b", "orders.fifo", &"x".repeat(80)] {
            assert!(QueueName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".fifo",
            "a.b",
            "a/b",
            "../x",
            "a b",
            "ü",
            "a\0",
            "a.fifo.fifo",
            &"x".repeat(81),
        ] {
            assert!(QueueName::new(bad).is_err(), "{bad}");
        }
    }
}
