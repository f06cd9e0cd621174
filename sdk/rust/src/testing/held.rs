//! What the fake holds back until the handler returns: the state as this delivery sees it, and
//! what it has sent. The rules are the host's; a property test compares the two.

use std::collections::{BTreeMap, BTreeSet};

use super::{Sent, limits};
use crate::state::Error;

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) bytes: Vec<u8>,
    /// Whether `add` made it.
    pub(crate) counter: bool,
}

impl Value {
    pub(crate) fn counter(count: i64) -> Self {
        Value {
            bytes: count.to_le_bytes().to_vec(),
            counter: true,
        }
    }

    pub(crate) fn plain(bytes: Vec<u8>) -> Self {
        Value {
            bytes,
            counter: false,
        }
    }

    pub(crate) fn count(&self) -> i64 {
        self.bytes
            .as_slice()
            .try_into()
            .map_or(0, i64::from_le_bytes)
    }
}

/// Everything that a rollback undoes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) state: BTreeMap<String, Value>,
    pub(crate) sent: Vec<Sent>,
    sent_bytes: u64,
    /// The size of the value of each key that was changed; 0 for one removed.
    written: BTreeMap<String, u64>,
}

/// The changes so far, the marks among them, and what a rollback does not undo.
#[derive(Debug)]
pub(crate) struct Held {
    /// How many messages the delivery has: the limits are for each.
    messages: usize,
    pub(crate) changes: Changes,
    marks: Vec<Changes>,
    touched: BTreeSet<String>,
    /// Lists, and keys in them.
    listed: usize,
}

impl Held {
    pub(crate) fn over(state: BTreeMap<String, Value>, messages: usize) -> Self {
        Held {
            messages,
            changes: Changes {
                state,
                ..Changes::default()
            },
            marks: Vec::new(),
            touched: BTreeSet::new(),
            listed: 0,
        }
    }

    /// Whether a body of this size may still be sent.
    pub(crate) fn has_room_for(&self, size: u64) -> bool {
        let (sends, bytes) = (limits::MAX_SENDS, limits::MAX_SEND_BYTES);
        self.changes.sent.len() < limits::count(sends, self.messages, limits::MAX_BATCH_SENDS)
            && self.changes.sent_bytes + size <= limits::bytes(bytes, self.messages)
    }

    pub(crate) fn push(&mut self, sent: Sent) {
        self.changes.sent_bytes += sent.message.body.len() as u64;
        self.changes.sent.push(sent);
    }

    pub(crate) fn mark(&mut self) -> u32 {
        self.marks.push(self.changes.clone());
        u32::try_from(self.marks.len() - 1).expect("fewer marks than a u32 counts")
    }

    /// Says whether there is such a mark.
    pub(crate) fn rollback_to(&mut self, mark: u32) -> bool {
        let index = mark as usize;
        let Some(changes) = self.marks.get(index) else {
            return false;
        };
        self.changes = changes.clone();
        self.marks.truncate(index + 1);
        true
    }

    pub(crate) fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.touch(key)?;
        let value = self.changes.state.get(key);
        Ok(value.map(|value| value.bytes.clone()))
    }

    pub(crate) fn set(&mut self, key: &str, value: &[u8]) -> Result<(), Error> {
        if value.len() as u64 > limits::MAX_STATE_VALUE {
            return Err(Error::TooLarge {
                key: key.to_owned(),
                limit: limits::MAX_STATE_VALUE,
            });
        }
        self.touch(key)?;
        self.account(key, value.len() as u64)?;
        let value = Value::plain(value.to_vec());
        self.changes.state.insert(key.to_owned(), value);
        Ok(())
    }

    pub(crate) fn remove(&mut self, key: &str) -> Result<(), Error> {
        self.touch(key)?;
        self.account(key, 0)?;
        self.changes.state.remove(key);
        Ok(())
    }

    pub(crate) fn add(&mut self, key: &str, delta: i64) -> Result<(), Error> {
        self.touch(key)?;
        let before = match self.changes.state.get(key) {
            Some(value) if !value.counter => {
                return Err(Error::NotACounter {
                    key: key.to_owned(),
                });
            }
            Some(value) => value.count(),
            None => 0,
        };
        self.account(key, 8)?;
        let sum = Value::counter(before.wrapping_add(delta));
        self.changes.state.insert(key.to_owned(), sum);
        Ok(())
    }

    pub(crate) fn list_keys(
        &mut self,
        prefix: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        if let Some(long) = [prefix, after.unwrap_or_default()]
            .into_iter()
            .find(|text| text.len() > limits::MAX_STATE_KEY)
        {
            return Err(Error::InvalidKey { length: long.len() });
        }
        if self.listed >= self.max_keys() * limits::LISTED_PER_KEY {
            return Err(Error::QuotaExceeded);
        }
        let limit = limit.min(limits::MAX_LISTED_KEYS) as usize;
        let keys = self.changes.state.keys();
        let keys: Vec<String> = keys
            .filter(|key| key.starts_with(prefix))
            .filter(|key| after.is_none_or(|after| key.as_str() > after))
            .take(limit)
            .cloned()
            .collect();
        self.listed += 1 + keys.len();
        Ok(keys)
    }

    fn max_keys(&self) -> usize {
        let most = limits::MAX_BATCH_STATE_KEYS;
        limits::count(limits::MAX_STATE_KEYS, self.messages, most)
    }

    fn touch(&mut self, key: &str) -> Result<(), Error> {
        if key.is_empty() || key.len() > limits::MAX_STATE_KEY {
            return Err(Error::InvalidKey { length: key.len() });
        }
        if !self.touched.contains(key) {
            if self.touched.len() >= self.max_keys() {
                return Err(Error::QuotaExceeded);
            }
            self.touched.insert(key.to_owned());
        }
        Ok(())
    }

    /// What is written counts once per key. The host also counts what a rollback would bring back;
    /// the fake is more generous there.
    fn account(&mut self, key: &str, bytes: u64) -> Result<(), Error> {
        let written = &mut self.changes.written;
        let before = written.get(key).copied().unwrap_or(0);
        let total = written.values().sum::<u64>() - before + bytes;
        if total > limits::bytes(limits::MAX_STATE_BYTES, self.messages) {
            return Err(Error::QuotaExceeded);
        }
        written.insert(key.to_owned(), bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: usize) -> String {
        format!("key/{i:04}")
    }

    #[test]
    fn each_limit_refuses_at_its_border() {
        let mut held = Held::over(BTreeMap::new(), 1);
        let longest = "k".repeat(limits::MAX_STATE_KEY);
        assert_eq!(held.get(&longest), Ok(None));
        assert_eq!(held.get(""), Err(Error::InvalidKey { length: 0 }));
        let longer = format!("{longest}k");
        assert!(matches!(
            held.set(&longer, b""),
            Err(Error::InvalidKey { length: 513 })
        ));

        let largest = vec![0; 256 * 1024];
        assert_eq!(held.set("a", &largest), Ok(()));
        let larger = vec![0; 256 * 1024 + 1];
        assert!(matches!(
            held.set("a", &larger),
            Err(Error::TooLarge { .. })
        ));
        for i in 1..16 {
            assert_eq!(held.set(&key(i), &largest), Ok(()));
        }
        assert_eq!(held.set("b", b"x"), Err(Error::QuotaExceeded));
        assert_eq!(held.set("a", b"x"), Ok(()), "a value written over is free");

        let mut held = Held::over(BTreeMap::new(), 1);
        for i in 0..limits::MAX_STATE_KEYS {
            assert_eq!(held.get(&key(i)), Ok(None));
        }
        assert_eq!(held.get(&key(1000)), Err(Error::QuotaExceeded));
        assert_eq!(held.get(&key(0)), Ok(None), "a key is counted once");

        let mut held = Held::over(BTreeMap::new(), 1);
        for _ in 0..limits::MAX_STATE_KEYS * limits::LISTED_PER_KEY {
            assert_eq!(held.list_keys("", None, 10), Ok(vec![]));
        }
        assert_eq!(held.list_keys("", None, 10), Err(Error::QuotaExceeded));
    }

    #[test]
    fn only_what_add_made_is_a_counter() {
        let mut held = Held::over(BTreeMap::new(), 1);
        assert_eq!(held.add("n", i64::MAX), Ok(()));
        assert_eq!(held.add("n", 1), Ok(()), "it wraps around");
        assert_eq!(held.get("n"), Ok(Some(i64::MIN.to_le_bytes().to_vec())));
        assert_eq!(held.set("n", &1i64.to_le_bytes()), Ok(()));
        assert!(matches!(held.add("n", 1), Err(Error::NotACounter { .. })));
        assert_eq!(held.remove("n"), Ok(()));
        assert_eq!(held.add("n", 1), Ok(()));
    }

    #[test]
    fn a_rollback_forgets_later_marks_and_keeps_its_own() {
        let mut held = Held::over(BTreeMap::new(), 1);
        held.set("a", b"1").unwrap();
        let first = held.mark();
        held.set("a", b"2").unwrap();
        let second = held.mark();
        held.set("a", b"3").unwrap();
        assert!(held.rollback_to(first));
        assert_eq!(held.get("a"), Ok(Some(b"1".to_vec())));
        assert!(!held.rollback_to(second));
        assert!(held.rollback_to(first));
    }
}
