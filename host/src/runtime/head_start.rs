//! What compiling a plain JavaScript file does not have to do again.
//!
//! Such a file brings no code: its component is the engine, and only the engine's memory is the file's.
//! So the first file that is compiled leaves behind the code that evaluates a file, and the machine
//! code of each function under the hash of what it was made of; the next ones find it. It is made and
//! used by the child that compiles, which has no paths: it is handed over on the child's standard
//! streams, before the module and after the code, and the host keeps it in the cache without looking
//! into it.
//!
//! It is for the engine of this host alone, never for modules that somebody brings: they have nothing in
//! common, and one could fill it. An engine has so many functions, so it ends to grow by itself; a few
//! hash differently from run to run (in this version of the compiler, tables for exceptions of a
//! function that was compiled before stay with the next), and so few are not worth writing it again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use wasmtime::CacheStore;

/// Of what version the bytes are: the first of them, and part of the name of the file.
pub(super) const VERSION: [u8; 8] = *b"gm-head1";
/// The most bytes that are kept; the engine of today needs a quarter.
pub(super) const MAX: usize = 64 * 1024 * 1024;
/// Fewer new functions than this are not kept.
const WORTH_KEEPING: usize = 128;
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

    /// What the next file is to be given; `None` if that is the same again.
    pub(super) fn encode(&self) -> Option<Vec<u8>> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if self.evaluator.is_empty() || made.len() < WORTH_KEEPING {
            return None;
        }
        let mut bytes = VERSION.to_vec();
        put(&mut bytes, &self.evaluator);
        let known = self.functions.iter();
        for (key, code) in known.chain(made.iter().map(|(key, code)| (key, code))) {
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
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.push((key, value));
        true
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
fn put(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// Bytes with their number before them, and what follows.
pub(super) fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, after) = bytes.split_first_chunk::<8>()?;
    after.split_at_checked(usize::try_from(u64::from_le_bytes(*size)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> Key {
        let mut key = [7; KEY];
        key[..2].copy_from_slice(&number.to_le_bytes());
        key
    }

    fn filled() -> HeadStart {
        let mut head = HeadStart::default();
        head.begin(b"evaluates".to_vec());
        for number in 0..200 {
            assert!(head.insert(&key(number), number.to_le_bytes().to_vec()));
        }
        head
    }

    #[test]
    fn the_next_file_finds_what_the_first_one_compiled() {
        let first = filled();
        let next = HeadStart::decode(&first.encode().unwrap()).unwrap();
        assert_eq!(next.evaluator(), Some(b"evaluates".as_slice()));
        assert_eq!(next.get(&key(7)).as_deref(), Some([7, 0].as_slice()));
        assert_eq!(next.get(&key(200)), None);
        assert_eq!(next.get(&[7; 5]), None, "a hash of another length");
        assert_eq!(next.encode(), None, "nothing is new");
    }

    #[test]
    fn many_new_functions_are_kept_beside_the_old_ones_and_a_few_are_not() {
        let next = HeadStart::decode(&filled().encode().unwrap()).unwrap();
        for number in 1001..1128 {
            next.insert(&key(number), vec![1]);
        }
        assert_eq!(next.encode(), None);
        next.insert(&key(1128), vec![1]);
        let third = HeadStart::decode(&next.encode().unwrap()).unwrap();
        assert!(third.get(&key(0)).is_some() && third.get(&key(1128)).is_some());
    }

    #[test]
    fn what_would_be_too_large_is_not_kept() {
        let head = filled();
        head.insert(&key(200), vec![0; MAX]);
        assert_eq!(head.encode(), None);
    }

    #[test]
    fn another_engine_begins_anew() {
        let mut head = HeadStart::decode(&filled().encode().unwrap()).unwrap();
        head.begin(b"other".to_vec());
        assert_eq!(head.get(&key(7)), None);
        assert_eq!(head.evaluator(), Some(b"other".as_slice()));
    }

    #[test]
    fn what_was_cut_off_or_is_of_another_version_is_no_head_start() {
        let whole = filled().encode().unwrap();
        for end in [0, 4, VERSION.len(), VERSION.len() + 3, whole.len() - 1] {
            assert!(HeadStart::decode(&whole[..end]).is_none(), "{end}");
        }
        let mut newer = whole;
        newer[7] += 1;
        assert!(HeadStart::decode(&newer).is_none());
        assert!(HeadStart::decode(b"").is_none());
    }
}
