//! Why a message was not handled, and how ordinary errors become that.

use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a message was not handled, and what is to happen with it.
///
/// Whatever the handler sent and stored is dropped with any of these. Reasons are kept with the
/// message, up to 4 KiB, and shown to operators: never put a secret into one.
///
/// Every ordinary error turns into a [`Failure::Retry`] that carries its whole chain, so `?` does
/// the cautious thing: nothing is lost by an error that nobody thought about. For errors that no
/// repetition will cure there is [`OrReject`].
///
/// It is deliberately no [`Error`] itself: that is what lets all other errors convert into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work later: deliver again after the back-off of the queue. If this was the last
    /// attempt, the message is dead.
    Retry {
        /// Why.
        reason: String,
    },
    /// As `Retry`, with a delay chosen by the handler.
    RetryAfter {
        /// Why.
        reason: String,
        /// The least time to wait, in whole milliseconds. The host caps it at the longest back-off
        /// of the queue.
        delay: Duration,
    },
    /// It will never work: the message is dead now.
    Reject {
        /// Why.
        reason: String,
    },
    /// It is not its turn: deliver again after the delay. The attempt is not counted, but a message
    /// that was postponed 100 times is dead at the next.
    Postpone {
        /// The least time to wait, in whole milliseconds.
        delay: Duration,
    },
}

impl Failure {
    /// It may work later; see [`Failure::Retry`].
    #[must_use]
    pub fn retry(reason: impl Into<String>) -> Self {
        Failure::Retry {
            reason: reason.into(),
        }
    }

    /// It may work after this delay; see [`Failure::RetryAfter`].
    #[must_use]
    pub fn retry_after(reason: impl Into<String>, delay: Duration) -> Self {
        Failure::RetryAfter {
            reason: reason.into(),
            delay,
        }
    }

    /// It will never work; see [`Failure::Reject`].
    #[must_use]
    pub fn reject(reason: impl Into<String>) -> Self {
        Failure::Reject {
            reason: reason.into(),
        }
    }

    /// It is not its turn; see [`Failure::Postpone`].
    #[must_use]
    pub fn postpone(delay: Duration) -> Self {
        Failure::Postpone { delay }
    }

    /// Why, if this failure has a reason.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Failure::Retry { reason }
            | Failure::RetryAfter { reason, .. }
            | Failure::Reject { reason } => Some(reason),
            Failure::Postpone { .. } => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Retry { reason } => write!(f, "retry: {reason}"),
            Failure::RetryAfter { reason, delay } => write!(f, "retry after {delay:?}: {reason}"),
            Failure::Reject { reason } => write!(f, "reject: {reason}"),
            Failure::Postpone { delay } => write!(f, "postpone for {delay:?}"),
        }
    }
}

impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::retry(chain(&error))
    }
}

/// The texts of an error and of all that caused it, outermost first.
///
/// Some errors already end with the text of their source; that is not said twice.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

/// What a handler may return: `()`, `Result<(), Failure>`, or `Result<(), E>` with any error that
/// converts into [`Failure`].
pub trait Verdict {
    /// `Ok` acknowledges the message.
    ///
    /// # Errors
    /// When the message was not handled.
    fn into_result(self) -> Result<(), Failure>;
}

impl Verdict for () {
    fn into_result(self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<E: Into<Failure>> Verdict for Result<(), E> {
    fn into_result(self) -> Result<(), Failure> {
        self.map_err(Into::into)
    }
}

/// Turns what no repetition will cure into a [`Failure::Reject`].
///
/// ```
/// use gristmill_sdk::prelude::*;
///
/// fn quantity(message: &Message) -> Result<u32, Failure> {
///     let text = message.attribute("quantity").or_reject("no quantity is given")?;
///     text.parse().or_reject("the quantity is not a number")
/// }
///
/// let message = Message::with_text("").with_attribute("quantity", "many");
/// let failure = quantity(&message).unwrap_err();
/// assert_eq!(
///     failure,
///     Failure::reject("the quantity is not a number: invalid digit found in string")
/// );
/// ```
pub trait OrReject<T> {
    /// The value, or a rejection that says `what` and, if there is an error, its whole chain.
    ///
    /// # Errors
    /// When there is no value.
    fn or_reject(self, what: &str) -> Result<T, Failure>;
}

impl<T, E: Error> OrReject<T> for Result<T, E> {
    fn or_reject(self, what: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::reject(format!("{what}: {}", chain(&error))))
    }
}

impl<T> OrReject<T> for Option<T> {
    fn or_reject(self, what: &str) -> Result<T, Failure> {
        self.ok_or_else(|| Failure::reject(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Layer(&'static str, Option<Box<Layer>>);

    impl fmt::Display for Layer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Layer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|inner| inner as &dyn Error)
        }
    }

    #[test]
    fn an_error_becomes_a_retry_with_its_whole_chain() {
        let disk = Layer("no space left", None);
        let write = Layer("cannot write the page", Some(Box::new(disk)));
        let outer = Layer("cannot store the invoice", Some(Box::new(write)));
        assert_eq!(
            Failure::from(outer),
            Failure::retry("cannot store the invoice: cannot write the page: no space left")
        );
    }

    #[test]
    fn a_source_that_is_already_told_is_not_told_twice() {
        let inner = Layer("no space left", None);
        let outer = Layer("cannot write: no space left", Some(Box::new(inner)));
        assert_eq!(
            Failure::from(outer),
            Failure::retry("cannot write: no space left")
        );
    }

    #[test]
    fn handlers_may_return_nothing_a_failure_or_any_error() {
        assert_eq!(().into_result(), Ok(()));
        let rejected: Result<(), Failure> = Err(Failure::reject("no"));
        assert_eq!(rejected.into_result(), Err(Failure::reject("no")));
        let failed: Result<(), std::num::ParseIntError> = "x".parse::<u8>().map(|_| ());
        assert_eq!(
            failed.into_result(),
            Err(Failure::retry("invalid digit found in string"))
        );
    }

    #[test]
    fn the_question_mark_works_for_errors_and_failures_alike() {
        fn handle(text: &str) -> Result<u8, Failure> {
            let number: u8 = text.parse()?;
            if number == 7 {
                return Err(Failure::postpone(Duration::from_secs(7)));
            }
            Ok(number)
        }
        assert_eq!(handle("3"), Ok(3));
        assert!(matches!(handle("x"), Err(Failure::Retry { .. })));
        assert!(matches!(handle("7"), Err(Failure::Postpone { .. })));
    }

    #[test]
    fn what_is_missing_can_be_rejected() {
        assert_eq!(Some(1).or_reject("nothing there"), Ok(1));
        assert_eq!(
            None::<u8>.or_reject("nothing there"),
            Err(Failure::reject("nothing there"))
        );
        assert_eq!(
            "x".parse::<u8>().or_reject("no number"),
            Err(Failure::reject("no number: invalid digit found in string"))
        );
    }
}
