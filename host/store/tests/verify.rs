//! The start after one that ended because the store failed: everything is read again.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Declaration, Leased, Options, Outgoing, Recovery, Sink, Store};
use redb::{ReadableTable, TableDefinition};

const MESSAGE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("message");

/// Breaks the writer.
struct Clumsy;

impl Sink for Clumsy {
    fn deliver(self: Arc<Self>, _leased: Vec<Leased>) {
        panic!("dropped it");
    }
}

fn queue() -> QueueName {
    QueueName::new("q").unwrap()
}

fn options() -> Options {
    Options {
        queues: vec![Declaration {
            name: queue(),
            policy: QueuePolicy::default(),
        }],
        inline_bytes: 1024,
        ..Options::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

/// A store with three messages, the last of which is large, that has just failed.
fn failed() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (told, fatal) = mpsc::channel();
    let options = Options {
        on_fatal: Some(Box::new(move |fatal| told.send(fatal.to_string()).unwrap())),
        ..options()
    };
    let (store, recovery) = Store::open(folder.path(), options).unwrap();
    assert_eq!(recovery.verified, None);
    for body in [vec![1; 10], vec![2; 10], vec![3; 200_000]] {
        let message = NewMessage::with_body(body);
        let queue = queue();
        block_on(store.send(vec![Outgoing { queue, message }])).unwrap();
    }
    assert!(!marker(folder.path()));
    store.attach(queue(), 1, Arc::new(Clumsy));
    let fatal = fatal.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(fatal.contains("dropped it"), "{fatal}");
    block_on(store.close());
    assert!(marker(folder.path()));
    folder
}

fn marker(folder: &Path) -> bool {
    folder.join("verify").exists()
}

fn reopen(folder: &Path) -> Recovery {
    let (store, recovery) = Store::open(folder, options()).unwrap();
    block_on(store.close());
    recovery
}

#[test]
fn the_start_after_a_failure_reads_every_record_and_the_one_after_it_does_not() {
    let folder = failed();
    let recovery = reopen(folder.path());
    assert_eq!((recovery.verified, recovery.waiting), (Some(3), 3));
    assert_eq!(recovery.quarantined, 0);
    assert!(!marker(folder.path()));
    assert_eq!(reopen(folder.path()).verified, None);
}

#[test]
fn what_is_damaged_is_put_aside_before_anything_is_delivered() {
    let folder = failed();
    let database = redb::Database::open(folder.path().join("store.redb")).unwrap();
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(MESSAGE).unwrap();
        let (key, mut record) = {
            let (key, record) = table.first().unwrap().unwrap();
            (key.value(), record.value().to_vec())
        };
        let last = record.len() - 1;
        record[last] ^= 1;
        table.insert(key, record.as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);
    let mut large = std::fs::read_dir(folder.path().join("blobs")).unwrap();
    let large = large.next().unwrap().unwrap().path();
    let mut body = std::fs::read(&large).unwrap();
    body[100_000] ^= 1;
    std::fs::write(&large, body).unwrap();

    let recovery = reopen(folder.path());
    assert_eq!((recovery.verified, recovery.waiting), (Some(3), 1));
    assert_eq!(recovery.quarantined, 2);
    let recovery = reopen(folder.path());
    assert_eq!((recovery.verified, recovery.waiting), (None, 1));
    assert_eq!(recovery.quarantined, 2, "they stay where they are");
}

#[test]
fn a_start_that_could_not_verify_leaves_that_to_the_next() {
    let folder = failed();
    // Where no folder may be: opening fails after the file was verified.
    let inflight = folder.path().join("inflight");
    let _ = std::fs::remove_file(&inflight);
    std::fs::create_dir(&inflight).unwrap();
    assert!(Store::open(folder.path(), options()).is_err());
    std::fs::remove_dir(&inflight).unwrap();
    assert_eq!(reopen(folder.path()).verified, Some(3));
}
