//! `store check`: redb's own check of the file, then every record of every table, what they say of
//! each other, and every large body. Changes nothing, but that what only the log has is brought into a
//! file that is sound.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use super::cross::Checker;
use super::pages::PageFile;
use super::report::{CheckReport, Problem, RESCUE, TableReport};
use super::walk::{self, Lost, Named};
use super::{KNOWN, Known, PROGRESS_EVERY, Progress, lock_store, overlay};
use crate::OpenError;
use crate::error::panicked;

/// Checks the store in a folder that no host has open.
///
/// redb panics over some damage, and over a little of that once more while it cleans up, which ends the
/// process. Who cannot bear that gives [`check_store_by`] a verifier that asks another process.
///
/// # Errors
/// When there is none, another process has it open, or the disk cannot be read. Damage is no error:
/// it stands in the report.
pub fn check_store(folder: &Path, progress: Progress<'_>) -> Result<CheckReport, OpenError> {
    check_store_by(&verify_file, folder, progress)
}

/// Has redb check a file, or says why it may not be read as it is.
pub type Verifier<'v> = &'v dyn Fn(&Path) -> Result<(), String>;

/// The same as [`check_store`], with somebody else who has redb check the file.
///
/// # Errors
/// As there.
pub fn check_store_by(
    verify: Verifier<'_>,
    folder: &Path,
    progress: Progress<'_>,
) -> Result<CheckReport, OpenError> {
    let (_lock, file) = lock_store(folder)?;
    let unusable = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let mut report = CheckReport::default();
    progress("the file", 0, 1);
    match verify(&file) {
        Err(what) => report.add(Problem::of("file", "", what, RESCUE)),
        Ok(()) => match super::finish_log(folder, &file) {
            Ok(false) => {}
            Ok(true) => report.remarks.push(
                "the host that had the store last was not closed: what only the log had is in the file now, as after a start"
                    .to_owned(),
            ),
            Err(error) => {
                let what = format!("the log does not fit the file: {error}");
                report.add(Problem::of("log", "", what, RESCUE));
            }
        },
    }
    progress("the file", 1, 1);
    let (pages, roots) = PageFile::open(&file).map_err(unusable)?;
    report.bytes = pages.length();
    let mut checker = Checker::new(folder, report);
    // The slot that counts comes first; if it is damaged, redb has said so.
    let root = roots.first().copied().flatten();
    let (tables, lost) = walk::tables(&pages, root);
    if lost > 0 {
        let what = "the list of tables cannot be read whole";
        checker.problem(Problem::of("file", "", what, RESCUE));
    }
    let of = tables.values().map(|table| table.definition.length).sum();
    let mut done = 0;
    for known in KNOWN {
        let Some(Named {
            definition: table, ..
        }) = tables.get(known.name)
        else {
            let what = format!("there is no table {}", known.name);
            checker.problem(Problem::of("file", "", what, RESCUE));
            continue;
        };
        let lost = walk::walk(&pages, table.root, known.shape, known.order, &mut |pair| {
            checker.record(&known, pair);
            done += 1;
            if done % PROGRESS_EVERY == 0 {
                progress(known.name, done, of);
            }
        });
        finish(&mut checker, &known, table.length, &lost);
        if known.name == "meta" {
            checker.is_ours(&file)?;
        }
    }
    for name in tables.keys() {
        if !KNOWN.iter().any(|known| known.name == name) {
            checker.remark(format!(
                "table {name:?} is not known to this build and was not checked"
            ));
        }
    }
    checker.cross();
    checker.bodies(progress).map_err(unusable)?;
    Ok(checker.into_report())
}

fn finish(checker: &mut Checker<'_>, known: &Known, length: u64, lost: &[Lost]) {
    let (sound, damaged) = checker.end_of_table();
    checker.tables(TableReport {
        name: known.name,
        sound,
        damaged,
        unreadable: lost.len() as u64,
    });
    for lost in lost {
        let what = "a part of the table cannot be read, or is not as it was written";
        let record = bounds(known, lost);
        checker.problem(Problem::of(known.name, record, what, RESCUE));
    }
    if lost.is_empty() && sound + damaged != length {
        let what = format!(
            "it should have {length} records, but has {}",
            sound + damaged
        );
        checker.problem(Problem::of(known.name, "", what, RESCUE));
    }
}

/// Which records a lost part may have had, as far as their keys are numbers.
fn bounds(known: &Known, lost: &Lost) -> String {
    if known.shape.key != Some(8) {
        return String::new();
    }
    let number = |key: &Option<Vec<u8>>| {
        let key: Option<[u8; 8]> = key.as_deref().and_then(|key| key.try_into().ok());
        key.map(u64::from_be_bytes)
    };
    match (number(&lost.after), number(&lost.to)) {
        (None, None) => String::new(),
        (after, None) => format!("{} and above", after.unwrap_or(0) + 1),
        (after, Some(to)) => format!("{} to {to}", after.map_or(0, |after| after + 1)),
    }
}

/// Has redb check a file from its first page to its last, without a change to it. It may repair what it
/// has before it, which is not the file.
///
/// # Errors
/// What redb finds, in words.
pub fn verify_file(file: &Path) -> Result<(), String> {
    let look = || -> Result<bool, redb::Error> { Ok(overlay::open(file)?.check_integrity()?) };
    let looked = std::panic::catch_unwind(AssertUnwindSafe(look));
    match looked.unwrap_or_else(|cause| Err(panicked(cause.as_ref()))) {
        Ok(true) => Ok(()),
        Ok(false) => Err("redb finds the file damaged, and would repair it".to_owned()),
        Err(error) => Err(format!("redb finds the file damaged: {error}")),
    }
}
