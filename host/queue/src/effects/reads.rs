//! What a delivery has read, each thing once.
//!
//! The commit asks of every [`Read`] whether it is still so. Reading the same again must not make
//! the set grow, or a handler that polls a key would fill the host's memory.

use std::collections::BTreeMap;

use super::{EffectLimits, Read, StateError, Version};
use crate::limits;

#[derive(Default)]
pub(super) struct ReadSet {
    reads: Vec<Read>,
    /// Keys read or written, with what is in `reads` about them.
    touched: BTreeMap<String, Touched>,
    /// Lists, and keys in them.
    listed: usize,
}

#[derive(Default)]
struct Touched {
    version: Option<Option<Version>>,
    /// It was read with two versions: the commit is going to fail, whatever comes.
    torn: bool,
    adds_to: bool,
}

impl ReadSet {
    /// Counts a key against the quota, and checks that it is one.
    pub fn touch(&mut self, key: &str, limits: &EffectLimits) -> Result<(), StateError> {
        if key.is_empty() || key.len() > limits::MAX_STATE_KEY {
            return Err(StateError::InvalidKey);
        }
        if self.touched.contains_key(key) {
            return Ok(());
        }
        if self.touched.len() >= limits.max_state_keys {
            return Err(StateError::QuotaExceeded);
        }
        self.touched.insert(key.to_owned(), Touched::default());
        Ok(())
    }

    /// A touched key was read, and had this version.
    pub fn note_version(&mut self, key: &str, version: Option<Version>) {
        let touched = self.touched.entry(key.to_owned()).or_default();
        match touched.version {
            None => touched.version = Some(version),
            Some(earlier) if earlier == version || touched.torn => return,
            Some(_) => touched.torn = true,
        }
        self.reads.push(Read::Key(key.to_owned(), version));
    }

    /// A touched key was seen to be absent or a counter.
    pub fn note_adds_to(&mut self, key: &str) {
        let touched = self.touched.entry(key.to_owned()).or_default();
        if !touched.adds_to {
            touched.adds_to = true;
            self.reads.push(Read::AddsTo(key.to_owned()));
        }
    }

    /// Whether the quota allows another list.
    pub fn check_list(&self, limits: &EffectLimits) -> Result<(), StateError> {
        let most = limits
            .max_state_keys
            .saturating_mul(limits::LISTED_PER_TOUCHED_KEY);
        if self.listed >= most {
            return Err(StateError::QuotaExceeded);
        }
        Ok(())
    }

    /// A range was listed.
    pub fn note_range(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        keys: Vec<String>,
    ) {
        self.listed += 1 + keys.len();
        self.reads.push(Read::Range {
            prefix: prefix.to_owned(),
            after: after.map(str::to_owned),
            limit,
            keys,
        });
    }

    pub fn finish(self) -> Vec<Read> {
        self.reads
    }
}
