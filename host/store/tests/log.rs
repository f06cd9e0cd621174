//! The log beside the file: what a commit costs, and what a start does with a log that is not as it was left.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod memory;
mod moment;

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{
    Declaration, OpenError, Options, Outgoing, Salvage, Store, check_store, salvage_store,
};
use memory::folder;
use redb::backends::FileBackend;
use redb::{Database, ReadableTable, StorageBackend, TableDefinition};

const QUEUE: &str = "orders";
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const PAGE: usize = 4096;

fn name() -> QueueName {
    QueueName::new(QUEUE).unwrap()
}

fn options() -> Options {
    Options {
        queues: vec![Declaration {
            name: name(),
            policy: QueuePolicy::default(),
        }],
        ..Options::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

fn open(folder: &Path) -> Store {
    Store::open(folder, options()).unwrap().0
}

fn send(store: &Store, body: &str) {
    let message = NewMessage::with_body(body.to_owned());
    let queue = name();
    block_on(store.send(vec![Outgoing { queue, message }])).unwrap();
}

fn waiting(store: &Store) -> Vec<String> {
    let peeked = block_on(store.peek(name(), 100)).unwrap();
    let bodies = peeked.iter().map(|peeked| peeked.message.body.to_vec());
    bodies
        .map(|body| String::from_utf8(body).unwrap())
        .collect()
}

/// What a host leaves that sends so much, one commit each, and is killed.
fn killed(bodies: &[&str]) -> tempfile::TempDir {
    killed_with(options(), bodies)
}

fn killed_with(options: Options, bodies: &[&str]) -> tempfile::TempDir {
    let (alive, left) = (folder(), folder());
    let (store, _) = Store::open(alive.path(), options).unwrap();
    bodies.iter().for_each(|body| send(&store, body));
    moment::copy(alive.path(), left.path(), &["store.redb", "store.log"]);
    block_on(store.close());
    left
}

fn opened(folder: &Path) -> Vec<String> {
    let store = open(folder);
    let found = waiting(&store);
    block_on(store.close());
    found
}

fn refused(folder: &Path) -> OpenError {
    Store::open(folder, options()).err().unwrap()
}

/// Where the records begin of which the changes have a body.
fn record_with(log: &[u8], body: &str) -> usize {
    let found = log
        .windows(body.len())
        .position(|part| part == body.as_bytes());
    found.unwrap() / PAGE * PAGE
}

#[derive(Debug)]
struct Counting(FileBackend, Arc<AtomicU64>);

impl StorageBackend for Counting {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write(offset, bytes)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}

#[test]
fn a_commit_is_one_sync_of_the_log_and_none_of_the_file() {
    let folder = folder();
    let syncs = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
    let [of_file, of_log] = syncs.clone();
    let counting = |syncs| {
        move |file: File| -> io::Result<Box<dyn StorageBackend>> {
            let file = FileBackend::new(file).map_err(io::Error::other)?;
            Ok(Box::new(Counting(file, syncs)))
        }
    };
    let options = Options {
        open_file: Some(Box::new(counting(of_file))),
        open_log: Some(Box::new(counting(of_log))),
        ..options()
    };
    let (store, _) = Store::open(folder.path(), options).unwrap();
    send(&store, "the log has its length now");
    let count = || [0, 1].map(|file: usize| syncs[file].load(Ordering::SeqCst));
    let before = count();
    (0..5).for_each(|number| send(&store, &number.to_string()));
    let after = count();
    assert_eq!([after[0] - before[0], after[1] - before[1]], [0, 5]);
    block_on(store.close());
}

#[test]
fn a_store_that_no_host_has_closed_is_refused_without_its_log_and_opened_when_it_is_back() {
    let left = killed(&["a", "b"]);
    let log = left.path().join("store.log");
    let kept = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let error = refused(left.path());
    assert!(matches!(error, OpenError::LogMissing { .. }), "{error}");
    let told = error.to_string();
    assert!(told.contains("put it back beside store.redb"), "{told}");
    let report = check_store(left.path(), &mut |_, _, _| ()).unwrap();
    assert!(!report.is_sound(), "{report:?}");
    fs::write(&log, kept).unwrap();
    assert_eq!(opened(left.path()), ["a", "b"]);
    // A host has closed it since: the file has everything.
    fs::remove_file(&log).unwrap();
    assert_eq!(opened(left.path()), ["a", "b"]);
}

#[test]
fn the_log_of_another_store_is_not_taken_for_its_own() {
    let (one, other) = (killed(&["mine"]), killed(&["theirs", "and theirs"]));
    let kept = fs::read(one.path().join("store.log")).unwrap();
    fs::copy(other.path().join("store.log"), one.path().join("store.log")).unwrap();
    let told = refused(one.path()).to_string();
    assert!(told.contains("the log of another store"), "{told}");
    fs::write(one.path().join("store.log"), kept).unwrap();
    assert_eq!(opened(one.path()), ["mine"]);
    // A new store in a folder that has an old log.
    fs::remove_file(other.path().join("store.redb")).unwrap();
    assert_eq!(opened(other.path()), Vec::<String>::new());
}

#[test]
fn what_follows_a_damaged_record_is_not_done_and_what_precedes_it_is() {
    let left = killed(&["first one", "second one", "third one"]);
    let log = left.path().join("store.log");
    let mut bytes = fs::read(&log).unwrap();
    let second = record_with(&bytes, "second one");
    bytes[second + 40] ^= 1;
    fs::write(&log, &bytes).unwrap();
    assert_eq!(opened(left.path()), ["first one"]);
}

#[test]
fn a_log_that_begins_too_late_is_refused_and_salvage_takes_what_both_have() {
    let left = killed(&["first one", "second one", "third one"]);
    let log = left.path().join("store.log");
    let bytes = fs::read(&log).unwrap();
    let second = record_with(&bytes, "second one");
    fs::write(&log, &bytes[second..]).unwrap();
    let told = refused(left.path()).to_string();
    assert!(told.contains("what is between is missing"), "{told}");
    let report = check_store(left.path(), &mut |_, _, _| ()).unwrap();
    assert!(!report.is_sound(), "{report:?}");
    let to = left.path().join("rescued");
    let how = Salvage {
        names: vec![name()],
        ..Salvage::default()
    };
    salvage_store(left.path(), &to, how, &mut |_, _, _| ()).unwrap();
    assert_eq!(opened(&to), ["second one", "third one"]);
}

/// A log of which each half takes four commits, and whose checkpoints are not done before they have to be.
fn in_halves() -> Options {
    Options {
        log_bytes: 8 * PAGE as u64,
        checkpoint_by_hand: Some(Box::new(|| 0)),
        ..options()
    }
}

#[test]
fn a_start_does_again_what_both_halves_of_the_log_have() {
    // Some are larger than a half, so that the database makes their commits durable.
    let body = |number: usize| {
        "body ".repeat(if number.is_multiple_of(7) { 5000 } else { 1 }) + &number.to_string()
    };
    let bodies: Vec<String> = (10..40).map(body).collect();
    let bodies: Vec<&str> = bodies.iter().map(String::as_str).collect();
    for sent in 1..bodies.len() {
        let left = killed_with(in_halves(), &bodies[..sent]);
        let report = check_store(left.path(), &mut |_, _, _| ()).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(opened(left.path()), bodies[..sent], "{sent} were sent");
    }
}

#[test]
fn a_log_is_refused_if_its_older_half_misses_what_the_newer_one_follows() {
    let bodies = ["one", "two", "three", "four", "five", "six"].map(|body| format!("the {body}"));
    let left = killed_with(in_halves(), &bodies.each_ref().map(String::as_str));
    let log = left.path().join("store.log");
    let sound = fs::read(&log).unwrap();
    let mut damaged = sound.clone();
    damaged[record_with(&sound, "the two") + 40] ^= 1;
    fs::write(&log, &damaged).unwrap();
    let told = refused(left.path()).to_string();
    assert!(told.contains("what is between is missing"), "{told}");
    fs::write(&log, &sound).unwrap();
    assert_eq!(opened(left.path()), bodies);
}

#[test]
fn a_log_that_was_longer_is_cut_when_the_file_has_all_of_it() {
    let left = killed(&["a", "b"]);
    let log = left.path().join("store.log");
    let open = || Store::open(left.path(), in_halves()).unwrap().0;
    let store = open();
    assert_eq!(fs::metadata(&log).unwrap().len(), 9 * PAGE as u64);
    let more = ["c", "d", "e", "f", "g", "h", "i"];
    more.iter().for_each(|body| send(&store, body));
    block_on(store.close());
    let store = open();
    assert_eq!(waiting(&store), [&["a", "b"], &more[..]].concat());
    block_on(store.close());
}

/// Copies what a store has that is alive, as it is after a kill.
fn copied(folder: &Path) -> tempfile::TempDir {
    let left = self::folder();
    moment::copy(folder, left.path(), &["store.redb", "store.log"]);
    left
}

#[test]
fn a_log_whose_second_half_was_being_made_has_it_whole_before_it_is_written() {
    for pages in 1..5 {
        let left = killed_with(in_halves(), &["a"]);
        let log = fs::OpenOptions::new()
            .write(true)
            .open(left.path().join("store.log"));
        log.unwrap().set_len((4 + pages) * PAGE as u64).unwrap();
        let (store, _) = Store::open(left.path(), in_halves()).unwrap();
        // Three pages each, so that a half has room for one.
        let mut sent = vec!["a".to_owned()];
        for more in ["b", "c", "d"] {
            let body = more.repeat(9000);
            send(&store, &body);
            sent.push(body);
            assert_eq!(opened(copied(left.path()).path()), sent, "{pages} pages");
        }
        block_on(store.close());
    }
}

#[test]
fn a_store_of_the_first_format_gets_its_log_with_the_next_start() {
    let folder = folder();
    let store = open(folder.path());
    send(&store, "old");
    block_on(store.close());
    fs::remove_file(folder.path().join("store.log")).unwrap();
    let database = Database::open(folder.path().join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(META)
        .unwrap()
        .insert("format", 1)
        .unwrap();
    {
        // Its row of the clock had no number of the commit.
        let index = TableDefinition::<u64, &[u8]>::new("index");
        let mut index = transaction.open_table(index).unwrap();
        let row = index.get(u64::MAX).unwrap().unwrap().value()[..24].to_vec();
        let sum = xxhash_rust::xxh3::xxh3_64_with_seed(&row, u64::MAX);
        let row = [row.as_slice(), &sum.to_le_bytes()[..4]].concat();
        index.insert(u64::MAX, row.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let store = open(folder.path());
    send(&store, "new");
    let left = self::folder();
    for file in ["store.redb", "store.log"] {
        fs::copy(folder.path().join(file), left.path().join(file)).unwrap();
    }
    block_on(store.close());
    assert_eq!(opened(left.path()), ["old", "new"]);
}
