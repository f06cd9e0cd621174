//! A durable store of keys and values, private to the handler.
//!
//! Reads see what this delivery has written. Writes become visible to others with the ack, or never.
//! A delivery behaves as if it ran alone: if another one changed what this one has read, the host
//! runs it again at once, without counting an attempt.
//!
//! Keys have 1 to 512 bytes, values at most 256 KiB. A delivery touches at most 1,000 keys and
//! writes at most 4 MiB, unless the handler is configured otherwise.
//!
//! ```
//! use gristmill_sdk::prelude::*;
//!
//! #[handler]
//! fn handle(message: Message) -> Result<(), Failure> {
//!     state::add("seen", 1)?;
//!     let last: Option<String> = state::get_json("last")?;
//!     state::set_json("last", &message.id)?;
//!     println!("after {last:?}");
//!     Ok(())
//! }
//! # fn main() {
//! # let mut delivery = gristmill_sdk::testing::Delivery::new();
//! # delivery.run(handle, Message::with_text("")).unwrap();
//! # assert_eq!(delivery.counter("seen"), 1);
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::state as host;

/// The value of a key.
///
/// # Errors
/// See [`Error`].
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key)
}

/// The value of a key, read as JSON.
///
/// # Errors
/// See [`Error`]; [`Error::NotJson`] if the value is not the JSON expected.
pub fn get_json<T: DeserializeOwned>(key: &str) -> Result<Option<T>, Error> {
    let Some(value) = host::get(key)? else {
        return Ok(None);
    };
    serde_json::from_slice(&value)
        .map(Some)
        .map_err(|error| Error::NotJson {
            key: key.to_owned(),
            problem: error.to_string(),
        })
}

/// Sets the value of a key. A counter that is set is a counter no more.
///
/// # Errors
/// See [`Error`].
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Error> {
    host::set(key, value.as_ref())
}

/// Sets the value of a key to JSON.
///
/// # Errors
/// See [`Error`]; [`Error::NotJson`] if the value cannot be written as JSON.
pub fn set_json<T: Serialize + ?Sized>(key: &str, value: &T) -> Result<(), Error> {
    let value = serde_json::to_vec(value).map_err(|error| Error::NotJson {
        key: key.to_owned(),
        problem: error.to_string(),
    })?;
    host::set(key, &value)
}

/// Removes a key; it need not exist.
///
/// # Errors
/// See [`Error`].
pub fn remove(key: &str) -> Result<(), Error> {
    host::remove(key)
}

/// Adds to a counter, which starts at 0 and wraps around.
///
/// Deliveries that only add to the same counter never disturb each other, which makes this the way
/// to count. Reading it with [`counter`] does conflict with those who add.
///
/// # Errors
/// See [`Error`]; [`Error::NotACounter`] if the key holds what `add` did not make.
pub fn add(key: &str, delta: i64) -> Result<(), Error> {
    host::add(key, delta)
}

/// What a counter stands at; 0 if there is none.
///
/// # Errors
/// See [`Error`]; [`Error::NotACounter`] if the value is not 8 bytes long, as a counter is.
pub fn counter(key: &str) -> Result<i64, Error> {
    let Some(value) = host::get(key)? else {
        return Ok(0);
    };
    let bytes = <[u8; 8]>::try_from(value).map_err(|_| Error::NotACounter {
        key: key.to_owned(),
    })?;
    Ok(i64::from_le_bytes(bytes))
}

/// All keys that start with `prefix`, in byte order.
///
/// They are fetched in pages while one goes, so who stops early conflicts with fewer others. Keys
/// may be written and removed meanwhile; what sorts after the current page is seen.
#[must_use]
pub fn keys(prefix: &str) -> Keys {
    Keys {
        prefix: prefix.to_owned(),
        after: None,
        page: VecDeque::new(),
        more: true,
    }
}

/// At most `limit` keys (and at most 1,000) that start with `prefix` and sort after `after`.
///
/// # Errors
/// See [`Error`].
pub fn page(prefix: &str, after: Option<&str>, limit: u32) -> Result<Vec<String>, Error> {
    host::list_keys(prefix, after, limit)
}

/// How many keys [`Keys`] fetches at a time.
const PAGE_KEYS: u32 = 100;

/// The keys with a prefix; see [`keys`]. Ends after the first error.
#[derive(Debug)]
pub struct Keys {
    prefix: String,
    after: Option<String>,
    page: VecDeque<String>,
    more: bool,
}

impl Iterator for Keys {
    type Item = Result<String, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.page.is_empty() && self.more {
            match host::list_keys(&self.prefix, self.after.as_deref(), PAGE_KEYS) {
                Ok(page) => {
                    self.more = page.len() == PAGE_KEYS as usize;
                    self.after = page.last().cloned();
                    self.page = page.into();
                }
                Err(error) => {
                    self.more = false;
                    return Some(Err(error));
                }
            }
        }
        self.page.pop_front().map(Ok)
    }
}

/// Why a key or value could not be read or written.
///
/// With `?` it becomes a retry: a full store or a missing limit is cured by an operator, and until
/// then the message must not be lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Keys have 1 to 512 bytes.
    InvalidKey {
        /// The length of the key, in bytes.
        length: usize,
    },
    /// The value is too large.
    TooLarge {
        /// The key.
        key: String,
        /// The most bytes allowed.
        limit: u64,
    },
    /// The handler's store is full, or this delivery has touched as much as it may.
    QuotaExceeded,
    /// The key holds a value that [`add`] did not make.
    NotACounter {
        /// The key.
        key: String,
    },
    /// The store failed; the text says how.
    Unavailable(String),
    /// The value is not JSON, or not the JSON expected.
    NotJson {
        /// The key.
        key: String,
        /// What is wrong.
        problem: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::InvalidKey { length } => write!(
                f,
                "a state key must have 1 to 512 bytes, but this one has {length}"
            ),
            Error::TooLarge { key, limit } => write!(
                f,
                "the value for state key {key:?} is too large: at most {limit} bytes are allowed"
            ),
            Error::QuotaExceeded => f.write_str(
                "the state of this handler is full, or this delivery has touched as many keys or bytes as it may: raise the limit in the configuration of the handler",
            ),
            Error::NotACounter { key } => write!(
                f,
                "state key {key:?} holds no counter: it was set, not added to; use another key, or remove it first"
            ),
            Error::Unavailable(problem) => write!(f, "the state is unavailable: {problem}"),
            Error::NotJson { key, problem } => write!(
                f,
                "the value of state key {key:?} is not the JSON expected: {problem}"
            ),
        }
    }
}

impl std::error::Error for Error {}
