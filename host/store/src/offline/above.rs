//! What the log of a store has that its file has not: the newest of every record that it names.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use redb::backends::FileBackend;

use crate::log::{self, readable_records};

/// What is under a key; nothing, if it was removed.
type Newest = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What the log has, by table.
#[derive(Default)]
pub(super) struct Above(HashMap<&'static str, Newest>);

impl Above {
    /// Reads the log in a folder, from after the last commit that the file has. Without knowing that one, all
    /// of it: some may have been removed since. What cannot be read is none.
    pub fn read(folder: &Path, last: Option<u64>) -> Self {
        let mut above = Above::default();
        let file = File::open(folder.join(log::FILE)).ok();
        let Some(file) = file.and_then(|file| FileBackend::new(file).ok()) else {
            return above;
        };
        for record in readable_records(&file) {
            if last.is_some_and(|last| record.number <= last) {
                continue;
            }
            for change in record.by_table() {
                let Ok((table, key, value)) = change else {
                    break;
                };
                let newest = above.0.entry(table).or_default();
                newest.insert(key.to_vec(), value.map(<[u8]>::to_vec));
            }
        }
        above
    }

    /// Whether the log says what is under a key of a table, or that nothing is.
    pub fn tells(&self, table: &str, key: &[u8]) -> bool {
        let newest = self.0.get(table);
        newest.is_some_and(|newest| newest.contains_key(key))
    }

    /// Whether it says that nothing is under a key.
    pub fn removed(&self, table: &str, key: &[u8]) -> bool {
        let newest = self.0.get(table).and_then(|newest| newest.get(key));
        newest.is_some_and(Option::is_none)
    }

    /// What it has of a table.
    pub fn of(&self, table: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
        let newest = self.0.get(table).into_iter().flatten();
        newest.filter_map(|(key, value)| Some((key.as_slice(), value.as_deref()?)))
    }
}
