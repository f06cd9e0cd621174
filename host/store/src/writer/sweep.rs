//! The changes of a group to one table keyed by sequence, applied in one sweep.
//!
//! redb takes a run of new keys through a cursor at half the price of single inserts, and removes a
//! run at a quarter of the price of single removals. So a group collects its changes in order and
//! applies them when it ends; reads within the group look here first.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use redb::{CursorError, ReadableTable, Table};

use super::group::fatal;
use crate::error::Fatal;
use crate::log::redo::Logged;

/// Removals this close together are one run …
const GAP: u64 = 8;
/// … and a run of fewer is removed one by one.
const RUN: usize = 8;

type Rows<'t> = Table<'t, u64, &'static [u8]>;

/// What a group changes in one table.
#[derive(Default)]
pub(super) struct Sweep {
    /// Under keys that were not there.
    new: BTreeMap<u64, Vec<u8>>,
    /// Under keys that were.
    changed: BTreeMap<u64, Vec<u8>>,
    removed: BTreeSet<u64>,
}

impl Sweep {
    /// Writes under a key that is not there.
    pub fn insert(&mut self, key: u64, value: Vec<u8>) {
        if self.removed.contains(&key) {
            self.replace(key, value);
        } else {
            self.new.insert(key, value);
        }
    }

    /// Writes under a key that is there.
    pub fn replace(&mut self, key: u64, value: Vec<u8>) {
        if let Some(new) = self.new.get_mut(&key) {
            *new = value;
            return;
        }
        self.removed.remove(&key);
        self.changed.insert(key, value);
    }

    /// Removes what is under a key.
    pub fn remove(&mut self, key: u64) {
        if self.new.remove(&key).is_none() {
            self.changed.remove(&key);
            self.removed.insert(key);
        }
    }

    /// What is under a key by now.
    pub fn get<'s>(&'s self, key: u64, table: &Rows<'_>) -> Result<Option<Cow<'s, [u8]>>, Fatal> {
        if let Some(value) = self.new.get(&key).or_else(|| self.changed.get(&key)) {
            return Ok(Some(Cow::Borrowed(value)));
        }
        if self.removed.contains(&key) {
            return Ok(None);
        }
        let found = table.get(key).map_err(fatal("reading from a table"))?;
        Ok(found.map(|bytes| Cow::Owned(bytes.value().to_vec())))
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    /// Makes the changes, and has them noted.
    pub fn apply_noted(&mut self, table: &mut Logged<'_, u64, &'static [u8]>) -> Result<(), Fatal> {
        for key in &self.removed {
            table.note(key, None);
        }
        for (key, value) in self.changed.iter().chain(&self.new) {
            table.note(key, Some(&value.as_slice()));
        }
        self.apply(table.noted_elsewhere())
    }

    fn apply(&mut self, table: &mut Rows<'_>) -> Result<(), Fatal> {
        self.apply_removals(table)?;
        for (key, value) in std::mem::take(&mut self.changed) {
            table
                .insert(key, value.as_slice())
                .map_err(fatal("changing a row"))?;
        }
        apply_new(&std::mem::take(&mut self.new), table)
    }

    fn apply_removals(&mut self, table: &mut Rows<'_>) -> Result<(), Fatal> {
        let removed = std::mem::take(&mut self.removed);
        let mut run: Vec<u64> = Vec::new();
        for &key in &removed {
            if run.last().is_some_and(|&last| key - last > GAP) {
                remove_run(&run, &removed, table)?;
                run.clear();
            }
            run.push(key);
        }
        remove_run(&run, &removed, table)
    }
}

fn remove_run(run: &[u64], removed: &BTreeSet<u64>, table: &mut Rows<'_>) -> Result<(), Fatal> {
    let doing = "removing rows";
    match run {
        [first, .., last] if run.len() >= RUN => table
            .retain_in::<u64, _>(*first..=*last, |key, _| !removed.contains(&key))
            .map_err(fatal(doing)),
        _ => run
            .iter()
            .try_for_each(|key| table.remove(key).map(|_| ()).map_err(fatal(doing))),
    }
}

/// New keys nearly always follow all others; one that does not costs a search.
fn apply_new(new: &BTreeMap<u64, Vec<u8>>, table: &mut Rows<'_>) -> Result<(), Fatal> {
    let doing = "writing new rows";
    let mut rest = new.iter().peekable();
    while let Some(&(first, _)) = rest.peek() {
        let mut cursor = table
            .lower_bound_mut(Bound::Included(first))
            .map_err(fatal(doing))?;
        let mut out_of_order = None;
        for (key, value) in rest.by_ref() {
            match cursor.insert_before(key, value.as_slice()) {
                Ok(()) => {}
                Err(CursorError::UnorderedKey) => {
                    out_of_order = Some((key, value));
                    break;
                }
                Err(CursorError::Storage(error)) => return Err(fatal(doing)(error)),
                Err(error) => return Err(fatal(doing)(redb::Error::Corrupted(error.to_string()))),
            }
        }
        cursor.close().map_err(fatal(doing))?;
        if let Some((key, value)) = out_of_order {
            table.insert(key, value.as_slice()).map_err(fatal(doing))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, TableDefinition};

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("t");

    #[derive(Clone, Debug)]
    enum Change {
        Put(u64, u8),
        Remove(u64),
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let put = (0u64..200, any::<u8>()).prop_map(|(key, value)| Change::Put(key, value));
        let run = (0u64..180, 1u64..20)
            .prop_map(|(first, n)| (first..first + n).map(Change::Remove).collect::<Vec<_>>());
        let one = prop_oneof![put.prop_map(|put| vec![put]), run];
        proptest::collection::vec(one, 0..60).prop_map(|all| all.concat())
    }

    proptest! {
        #[test]
        fn a_sweep_does_what_single_changes_would(groups in proptest::collection::vec(changes(), 1..5)) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            let mut model: BTreeMap<u64, u8> = BTreeMap::new();
            for group in groups {
                let transaction = database.begin_write().unwrap();
                {
                    let mut table = transaction.open_table(TABLE).unwrap();
                    let mut sweep = Sweep::default();
                    for change in group {
                        match change {
                            Change::Put(key, value) => {
                                if model.insert(key, value).is_some() {
                                    sweep.replace(key, vec![value]);
                                } else {
                                    sweep.insert(key, vec![value]);
                                }
                            }
                            Change::Remove(key) => {
                                model.remove(&key);
                                sweep.remove(key);
                            }
                        }
                    }
                    for key in 0..200 {
                        let found = sweep.get(key, &table).unwrap().map(|value| value[0]);
                        prop_assert_eq!(found, model.get(&key).copied());
                    }
                    sweep.apply(&mut table).unwrap();
                    let held: BTreeMap<u64, u8> = table.iter().unwrap().map(|entry| {
                        let (key, value) = entry.unwrap();
                        (key.value(), value.value()[0])
                    }).collect();
                    prop_assert_eq!(&held, &model);
                }
                transaction.commit().unwrap();
            }
        }
    }
}
