//! What compiling a plain JavaScript file does not have to do again.
//!
//! Such a file brings no code: its component is the engine, and only the engine's memory is the file's.
//! So the first file that is compiled leaves behind the code that evaluates a file, and the machine
//! code of each function under the hash of what it was made of; the next ones find it. It is made and
//! used by the child that compiles, which has no paths: it is handed over on the child's standard
//! streams, before the module and after the code, and the host keeps it in the cache without looking
//! into it.
//!
//! One engine has so many functions, and only what a file without a head start compiles is kept, so it
//! does not grow. It is for the engine of this host alone, never for modules that somebody brings: what
//! one of them made compilable would be found by others.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use wasmtime::CacheStore;

/// Of what version the bytes are: the first of them, and part of the name of the file.
pub(super) const VERSION: [u8; 8] = *b"gm-head1";
/// The most bytes that are kept; the engine of today needs a sixth.
pub(super) const MAX: usize = 64 * 1024 * 1024;
/// Bytes of the hash under which a function is known.
const KEY: usize = 32;

type Key = [u8; KEY];

/// Empty for the first file, and for all that are no JavaScript.
#[derive(Default)]
pub(super) struct HeadStart {
    /// The code that evaluates a file; empty if there is none.
    evaluator: Vec<u8>,
    /// Of the handler, by the hash of what each was made of.
    functions: HashMap<Key, Vec<u8>>,
    /// Those that were not there.
    made: Mutex<Vec<(Key, Vec<u8>)>>,
    is_first: bool,
}

impl HeadStart {
    /// `None` if these bytes are not what [`encode`](Self::encode) writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&VERSION)?;
        let (evaluator, mut rest) = sized(rest)?;
        let mut functions = HashMap::new();
        while !rest.is_empty() {
            let (key, after) = rest.split_first_chunk::<KEY>()?;
            let (code, after) = sized(after)?;
            functions.insert(*key, code.to_vec());
            rest = after;
        }
        Some(HeadStart {
            evaluator: evaluator.to_vec(),
            functions,
            ..HeadStart::default()
        })
    }

    /// What the next file is to be given, if this was the first.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        if !self.is_first {
            return None;
        }
        let mut bytes = VERSION.to_vec();
        put(&mut bytes, &self.evaluator);
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, code) in made.iter() {
            bytes.extend_from_slice(key);
            put(&mut bytes, code);
        }
        (bytes.len() <= MAX).then_some(bytes)
    }

    /// The code that evaluates a file.
    pub(super) fn evaluator(&self) -> Option<&[u8]> {
        (!self.evaluator.is_empty()).then_some(self.evaluator.as_slice())
    }

    /// Begins anew, with this code that evaluates a file.
    pub(super) fn begin(&mut self, evaluator: Vec<u8>) {
        *self = HeadStart {
            evaluator,
            is_first: true,
            ..HeadStart::default()
        };
    }
}

impl CacheStore for HeadStart {
    fn get(&self, key: &[u8]) -> Option<Cow<'_, [u8]>> {
        let key = Key::try_from(key).ok()?;
        Some(Cow::Borrowed(self.functions.get(&key)?))
    }

    fn insert(&self, key: &[u8], value: Vec<u8>) -> bool {
        let Ok(key) = Key::try_from(key) else {
            return false;
        };
        // With a head start these are few, and nobody wants them.
        if self.is_first {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.push((key, value));
        }
        self.is_first
    }
}

impl fmt::Debug for HeadStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadStart")
            .field("evaluator", &self.evaluator.len())
            .field("functions", &self.functions.len())
            .finish_non_exhaustive()
    }
}

/// Puts bytes with their number before them.
pub(super) fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// Bytes with their number before them, and what follows.
pub(super) fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, after) = bytes.split_first_chunk::<8>()?;
    after.split_at_checked(usize::try_from(u64::from_le_bytes(*size)).ok()?)
}
