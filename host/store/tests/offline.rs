//! Checking, compacting and rescuing a store that nobody has open.
//!
//! `GRISTMILL_OFFLINE_SEED` and `GRISTMILL_OFFLINE_RUNS` choose which damage and how much.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod memory;
mod damage {
    pub mod apart;
    pub mod inflict;
    pub mod random;
    pub mod specimen;
}

use std::collections::BTreeMap;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use damage::apart::{ENDED, apart};
use damage::inflict::Damage;
use damage::random::Random;
use damage::specimen::{Seen, Specimen};
use gristmill_store::{
    Beneath, CheckReport, CompactError, OpenError, Salvage, Salvaged, Space, check_store,
    compact_store, compact_store_on, salvage_store,
};
use memory::folder;
use redb::{ReadableDatabase, ReadableTable, TableDefinition};

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn silent() -> impl FnMut(&str, u64, u64) {
    |_: &str, _, _| ()
}

/// A folder with that file in it.
fn with_file(file: &[u8]) -> tempfile::TempDir {
    let folder = folder();
    std::fs::write(folder.path().join("store.redb"), file).unwrap();
    folder
}

fn check(file: &[u8]) -> CheckReport {
    let folder = with_file(file);
    let report = check_store(folder.path(), &mut silent()).unwrap();
    let after = std::fs::read(folder.path().join("store.redb")).unwrap();
    assert!(after == file, "the check has changed the file");
    report
}

/// What was rescued of such a file, and the new file.
fn salvage(file: &[u8]) -> (Salvaged, Vec<u8>) {
    let folder = with_file(file);
    let to = folder.path().join("rescued");
    let how = Salvage {
        names: Specimen::queues(),
        certain_only: false,
    };
    let salvaged = salvage_store(folder.path(), &to, how, &mut silent()).unwrap();
    let after = std::fs::read(folder.path().join("store.redb")).unwrap();
    assert!(after == file, "the damaged file was changed");
    (salvaged, std::fs::read(to.join("store.redb")).unwrap())
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows<K: redb::Key + 'static, V: redb::Value + 'static>(
    from: &redb::ReadTransaction,
    name: &str,
) -> Result<Rows, redb::Error> {
    let table = from.open_table(TableDefinition::<K, V>::new(name))?;
    let mut rows = Vec::new();
    for row in table.iter()? {
        let (key, value) = row?;
        let key = K::as_bytes(&key.value()).as_ref().to_vec();
        rows.push((key, V::as_bytes(&value.value()).as_ref().to_vec()));
    }
    Ok(rows)
}

/// All that redb reads of a file; nothing, if it stops somewhere.
fn stored(file: &[u8]) -> Option<Vec<Rows>> {
    let folder = with_file(file);
    let read = || -> Result<Vec<Rows>, redb::Error> {
        let database = redb::Database::open(folder.path().join("store.redb"))?;
        // If redb panics, it is not closed: it would panic again.
        let database = ManuallyDrop::new(database);
        let from = database.begin_read()?;
        type Bytes = &'static [u8];
        let mut all = vec![
            rows::<&str, u64>(&from, "meta")?,
            rows::<&str, (u32, bool)>(&from, "queue")?,
            rows::<&str, Bytes>(&from, "cron")?,
            rows::<Bytes, Bytes>(&from, "state")?,
            rows::<Bytes, Bytes>(&from, "dedup")?,
            rows::<(u64, Bytes), ()>(&from, "dedup_expiry")?,
            rows::<(u32, u64), Bytes>(&from, "dead_index")?,
            rows::<(u32, u64), Bytes>(&from, "held")?,
        ];
        for name in [
            "message",
            "index",
            "history",
            "dead",
            "lease",
            "redrive",
            "blob",
            "quarantine",
        ] {
            all.push(rows::<u64, Bytes>(&from, name)?);
        }
        drop(from);
        drop(ManuallyDrop::into_inner(database));
        Ok(all)
    };
    catch_unwind(AssertUnwindSafe(read)).ok()?.ok()
}

#[test]
fn a_sound_store_is_found_sound_and_every_table_is_counted() {
    let report = check(&Specimen::make().file);
    assert!(report.is_sound(), "{:#?}", report.problems);
    assert_eq!(report.remarks, Vec::<String>::new());
    let counts: BTreeMap<&str, u64> = report
        .tables
        .iter()
        .map(|table| (table.name, table.sound))
        .collect();
    assert_eq!(counts.len(), 17);
    for table in [
        "meta",
        "queue",
        "index",
        "message",
        "history",
        "dead",
        "dead_index",
        "dedup",
        "dedup_expiry",
        "held",
        "lease",
        "cron",
        "state",
    ] {
        assert!(counts[table] > 0, "{table}: {counts:?}");
    }
    assert_eq!(counts["index"], counts["message"] + 1, "the clock's too");
}

#[test]
fn the_check_finds_all_damage_that_changes_what_is_stored() {
    let seed = from_environment("GRISTMILL_OFFLINE_SEED", 1);
    let runs = from_environment("GRISTMILL_OFFLINE_RUNS", 300);
    let specimen = Specimen::make();
    let whole = stored(&specimen.file).unwrap();
    // redb's own panics are expected, and turned into errors.
    std::panic::set_hook(Box::new(|_| ()));
    let name = "the_check_finds_all_damage_that_changes_what_is_stored";
    let told = apart(name, seed, runs, |seed| {
        let damage = Damage::draw(&mut Random::new(seed), &specimen.file);
        let damaged = damage.inflict(&specimen.file);
        let changes = stored(&damaged).as_ref() != Some(&whole);
        let sound = catch_unwind(AssertUnwindSafe(|| check(&damaged).is_sound()));
        match (changes, sound) {
            (_, Err(_)) | (true, Ok(true)) => format!("missed: seed {seed}, {damage:?}"),
            (true, Ok(false)) => "found".to_owned(),
            (false, Ok(false)) => "found, and harmless".to_owned(),
            (false, Ok(true)) => "harmless".to_owned(),
        }
    });
    let _ = std::panic::take_hook();
    let missed = told.iter().filter(|told| told.starts_with("missed"));
    let missed: Vec<&str> = missed.map(String::as_str).collect();
    let count = |what: &str| told.iter().filter(|told| *told == what).count() as u64;
    // Whoever is ended by it has found it as well.
    let harmful = count("found") + count(ENDED);
    let found = harmful + count("found, and harmless");
    eprintln!("{runs} times damaged: {harmful} changed what is stored, {found} were found");
    assert!(missed.is_empty(), "missed:\n{}", missed.join("\n"));
    assert!(harmful > runs / 4, "the damage does too little: {harmful}");
}

/// An old page of the tree that names the tables leads to tables as they once were, all of whose pages
/// are sound: what they have may have been handled since, and groups halted.
#[test]
fn an_old_list_of_the_tables_is_not_believed() {
    const PAGE: usize = 4096;
    let mut specimen = Specimen::make();
    let lists = |page: &&[u8]| {
        let has = |name: &[u8]| page.windows(name.len()).any(|found| found == name);
        has(b"dedup_expiry") && has(b"quarantine")
    };
    let file = specimen.file.clone();
    let pages = file.chunks(PAGE).enumerate();
    let lists: Vec<usize> = pages
        .filter(|(_, page)| lists(page))
        .map(|(number, _)| number * PAGE)
        .collect();
    let mut harmful = 0;
    for (from, to) in lists
        .iter()
        .flat_map(|from| lists.iter().map(move |to| (*from, *to)))
        .filter(|(from, to)| from != to)
    {
        let damaged = Damage::Misplaced { from, to }.inflict(&file);
        let (salvaged, rescued) = salvage(&damaged);
        specimen.again = salvaged.tables.iter().any(|table| table.doubtful > 0);
        harmful += u64::from(specimen.again);
        let seen = specimen.examine(&rescued);
        assert!(
            matches!(seen, Ok(Seen::Worked { .. })),
            "{from} to {to}: {seen:?} {salvaged:?}"
        );
        assert!(!specimen.again || salvaged.paused, "{salvaged:?}");
    }
    assert!(harmful > 0, "{} lists", lists.len());
}

#[test]
fn all_is_rescued_but_what_lies_in_the_damaged_page() {
    let seed = from_environment("GRISTMILL_OFFLINE_SEED", 1);
    let runs = from_environment("GRISTMILL_OFFLINE_RUNS", 300);
    let mut specimen = Specimen::make();
    let (salvaged, file) = salvage(&specimen.file);
    let unhurt = specimen.examine(&file);
    assert!(
        matches!(
            unhurt,
            Ok(Seen::Worked {
                lost: 0,
                told: false
            })
        ),
        "{unhurt:?} {salvaged:?}"
    );
    std::panic::set_hook(Box::new(|_| ()));
    let mut failures = Vec::new();
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seed..seed + runs {
        let damage = Damage::draw(&mut Random::new(seed), &specimen.file);
        let damaged = damage.inflict(&specimen.file);
        let allowed = specimen.kept_in(&specimen.file[damage.page()]);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let (salvaged, file) = salvage(&damaged);
            specimen.again = salvaged.tables.iter().any(|table| table.doubtful > 0);
            (specimen.examine(&file), salvaged)
        }));
        let outcome = match outcome {
            Ok((Ok(Seen::Worked { lost: 0, .. }), _)) => "all rescued",
            Ok((Ok(Seen::Worked { lost, .. }), _)) if lost <= allowed => "lost with their page",
            Ok((seen, salvaged)) => {
                failures.push(format!(
                    "seed {seed}, {damage:?}: {seen:?}, at most {allowed} may be lost: {salvaged:?}"
                ));
                "wrong"
            }
            Err(_) => {
                failures.push(format!("seed {seed}, {damage:?}: a panic"));
                "panic"
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    let _ = std::panic::take_hook();
    eprintln!("{runs} times damaged: {outcomes:#?}");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(
        outcomes.len() == 2,
        "the damage does too little: {outcomes:?}"
    );
}

#[test]
fn a_file_whose_header_is_gone_is_rescued_from_its_pages() {
    let mut specimen = Specimen::make();
    let mut damaged = specimen.file.clone();
    damaged[..4096].fill(0);
    let (salvaged, file) = salvage(&damaged);
    assert!(
        salvaged.tables.iter().any(|table| table.doubtful > 0),
        "{salvaged:?}"
    );
    assert!(salvaged.paused);
    specimen.again = true;
    let seen = specimen.examine(&file);
    assert!(
        matches!(seen, Ok(Seen::Worked { lost: 0, .. })),
        "{seen:?}: {salvaged:?}"
    );
    let report = check(&file);
    assert!(report.is_sound(), "{:?}", report.problems);
    // Who wants only what is certain, gets nothing here.
    let folder = with_file(&damaged);
    let how = Salvage {
        certain_only: true,
        ..Salvage::default()
    };
    let to = folder.path().join("certain");
    let salvaged = salvage_store(folder.path(), &to, how, &mut silent()).unwrap();
    assert!(salvaged.tables.iter().all(|table| table.rescued == 0));
}

#[test]
fn compacting_keeps_all_and_gives_space_back() {
    let specimen = Specimen::make();
    let folder = with_file(&specimen.file);
    let file = folder.path().join("store.redb");
    // An interrupted one has left this.
    std::fs::write(folder.path().join("store.redb.compacting"), "half").unwrap();
    let before = stored(&specimen.file).unwrap();
    let compacted = compact_store(folder.path(), &mut silent()).unwrap();
    assert_eq!(compacted.before, specimen.file.len() as u64);
    let now = std::fs::read(&file).unwrap();
    assert_eq!(now.len() as u64, compacted.after);
    assert!(
        stored(&now).unwrap() == before,
        "something is not as it was"
    );
    assert!(!folder.path().join("store.redb.compacting").exists());
    let seen = specimen.examine(&now);
    assert!(matches!(seen, Ok(Seen::Worked { lost: 0, .. })), "{seen:?}");
}

#[test]
fn a_store_is_not_compacted_where_there_is_no_room_for_two() {
    const MIB: u64 = 1024 * 1024;
    let specimen = Specimen::make();
    let folder = with_file(&specimen.file);
    let beneath = |free| Beneath {
        space: Some(Box::new(move || Ok(Space { free, total: free }))),
        ..Beneath::default()
    };
    let refused = compact_store_on(folder.path(), beneath(64 * MIB), &mut silent()).unwrap_err();
    let CompactError::NoRoom { needed, free, .. } = refused else {
        panic!("{refused}");
    };
    assert_eq!(free, 64 * MIB);
    assert!(needed > 64 * MIB && needed <= 64 * MIB + specimen.file.len() as u64);
    let file = folder.path().join("store.redb");
    assert!(std::fs::read(file).unwrap() == specimen.file);
    assert!(!folder.path().join("store.redb.compacting").exists());
    compact_store_on(folder.path(), beneath(needed), &mut silent()).unwrap();
}

#[test]
fn a_damaged_store_is_not_compacted() {
    let mut damaged = Specimen::make().file;
    let half = damaged.len() / 2;
    damaged[4096..half].fill(0xff);
    let folder = with_file(&damaged);
    std::panic::set_hook(Box::new(|_| ()));
    let refused = compact_store(folder.path(), &mut silent());
    let _ = std::panic::take_hook();
    let refused = refused.unwrap_err();
    assert!(
        matches!(
            refused,
            CompactError::Damaged(_) | CompactError::Failed { .. }
        ),
        "{refused}"
    );
    assert!(std::fs::read(folder.path().join("store.redb")).unwrap() == damaged);
}

#[test]
fn where_there_is_no_store_none_is_made() {
    let folder = folder();
    let nowhere = folder.path().join("nowhere");
    let refused = check_store(&nowhere, &mut silent()).unwrap_err();
    assert!(matches!(refused, OpenError::NoStore { .. }), "{refused}");
    let refused = compact_store(&nowhere, &mut silent()).unwrap_err();
    assert!(
        refused.to_string().starts_with("there is no store in"),
        "{refused}"
    );
    assert!(!nowhere.exists());
}
