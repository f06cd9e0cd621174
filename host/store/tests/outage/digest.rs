//! Which commit a file holds: one number for the content of all tables but `meta`, which also counts
//! how often the file was opened.

use gristmill_store::replay;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};
use xxhash_rust::xxh3::Xxh3;

use super::disk::Disk;
use super::image::Image;

/// Tables with numbers as keys.
const BY_NUMBER: [&str; 8] = [
    "message",
    "index",
    "history",
    "dead",
    "lease",
    "redrive",
    "blob",
    "quarantine",
];
const BY_PAIR: [&str; 2] = ["dead_index", "held"];
const BY_BYTES: [&str; 2] = ["state", "dedup"];

/// Opens the file as redb does, and tells what is in it; checked through and through, if asked.
pub fn digest(image: &Image, check: bool) -> Result<u64, String> {
    let disk = Disk::with(image.clone());
    let log = disk.log();
    let mut builder = Builder::new();
    builder.set_cache_size(1024 * 1024);
    let database = builder.create_with_backend(disk.file());
    let mut database = database.map_err(|error| format!("it cannot be opened: {error}"))?;
    if check {
        match database.check_integrity() {
            Ok(true) => {}
            other => return Err(format!("its integrity: {other:?}")),
        }
    }
    replay(&log, &database).map_err(|error| format!("its log: {error}"))?;
    content(&database).map_err(|error| format!("it cannot be read: {error}"))
}

fn content(database: &Database) -> Result<u64, redb::Error> {
    let reading = database.begin_read()?;
    let mut hash = Xxh3::new();
    let mut add = |part: &[u8]| {
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    let mut tables: Vec<String> = { reading.list_tables()? }
        .map(|table| table.name().to_owned())
        .collect();
    tables.sort_unstable();
    for name in &tables {
        let name = name.as_str();
        add(name.as_bytes());
        if BY_NUMBER.contains(&name) {
            let table = reading.open_table(TableDefinition::<u64, &[u8]>::new(name))?;
            for row in table.iter()? {
                let (key, value) = row?;
                add(&key.value().to_le_bytes());
                add(value.value());
            }
        } else if BY_PAIR.contains(&name) {
            let table = reading.open_table(TableDefinition::<(u32, u64), &[u8]>::new(name))?;
            for row in table.iter()? {
                let (key, value) = row?;
                add(&key.value().0.to_le_bytes());
                add(&key.value().1.to_le_bytes());
                add(value.value());
            }
        } else if BY_BYTES.contains(&name) {
            let table = reading.open_table(TableDefinition::<&[u8], &[u8]>::new(name))?;
            for row in table.iter()? {
                let (key, value) = row?;
                add(key.value());
                add(value.value());
            }
        } else if name == "dedup_expiry" {
            let table = reading.open_table(TableDefinition::<(u64, &[u8]), ()>::new(name))?;
            for row in table.iter()? {
                let (key, _) = row?;
                add(&key.value().0.to_le_bytes());
                add(key.value().1);
            }
        } else if name == "cron" || name == "made" {
            let table = reading.open_table(TableDefinition::<&str, &[u8]>::new(name))?;
            for row in table.iter()? {
                let (key, value) = row?;
                add(key.value().as_bytes());
                add(value.value());
            }
        } else if name == "queue" {
            let table = reading.open_table(TableDefinition::<&str, (u32, bool)>::new(name))?;
            for row in table.iter()? {
                let (key, value) = row?;
                add(key.value().as_bytes());
                let (number, paused) = value.value();
                add(&number.to_le_bytes());
                add(&[u8::from(paused)]);
            }
        } else {
            assert_eq!(name, "meta", "a table that is not looked at");
        }
    }
    Ok(hash.digest())
}
