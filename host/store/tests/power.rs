//! A disk that honours fsync and nothing else: the power goes at any operation, and of what was
//! written since the last fsync any part is there, in any order, some of it torn.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Declaration, Options, Outgoing, Store};
use redb::backends::FileBackend;
use redb::{Builder, StorageBackend};

/// How many batches are sent, and how many messages each has.
const BATCHES: u64 = 8;
const BATCH: u64 = 3;
/// How often each moment is tried, each time with another part of what was not synced.
const DRAWS: u64 = 3;

#[derive(Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

/// What the disk has for certain, and what it has been told since.
#[derive(Debug, Default)]
struct Platter {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// How many operations it still does.
    left: Option<u64>,
}

impl Platter {
    fn step(&mut self) -> io::Result<()> {
        match &mut self.left {
            Some(0) => return Err(io::Error::other("the power is gone")),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(())
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            apply(&mut self.durable, &change);
        }
    }

    /// What is found when the power is back.
    fn found(&self, draw: &mut Draw) -> Vec<u8> {
        let mut found = self.durable.clone();
        for change in &self.unsynced {
            match (draw.below(4), change) {
                (0 | 1, change) => apply(&mut found, change),
                (2, Change::Bytes(at, bytes)) => {
                    let torn = bytes[..bytes.len() / 2].to_vec();
                    apply(&mut found, &Change::Bytes(*at, torn));
                }
                _ => {}
            }
        }
        found
    }
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Length(length) => image.resize(usize::try_from(*length).unwrap(), 0),
        Change::Bytes(at, bytes) => {
            let at = usize::try_from(*at).unwrap();
            image.resize(image.len().max(at + bytes.len()), 0);
            image[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }
}

/// Numbers that are the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

#[derive(Debug)]
struct Disk {
    file: FileBackend,
    platter: Arc<Mutex<Platter>>,
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut platter = self.platter.lock().unwrap();
        platter.step()?;
        platter.unsynced.push(Change::Length(length));
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter.lock().unwrap();
        platter.step()?;
        platter.sync();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.platter.lock().unwrap();
        platter.step()?;
        platter.unsynced.push(Change::Bytes(offset, bytes.to_vec()));
        self.file.write(offset, bytes)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

/// In memory where there is such a file system: the disk is this file's own.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    folder.unwrap()
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
        ..Options::default()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    { runtime }.build().unwrap().block_on(future)
}

/// Sends batches until the power goes after so many operations. Says what was answered with success,
/// and what the disk is left with; nothing if the power held.
fn run_until(folder: &Path, operations: u64) -> Option<(BTreeSet<u64>, Arc<Mutex<Platter>>)> {
    let platter = Arc::new(Mutex::new(Platter::default()));
    let told = Arc::clone(&platter);
    let create = move |builder: &Builder, file: File| {
        let file = FileBackend::new(file)?;
        builder.create_with_backend(Disk {
            file,
            platter: told,
        })
    };
    let options = Options {
        create: Some(Box::new(create)),
        ..options()
    };
    let (store, _) = Store::open(folder, options).unwrap();
    platter.lock().unwrap().left = Some(operations);
    let mut accepted = BTreeSet::new();
    let mut failed = false;
    for batch in 0..BATCHES {
        let bodies = batch * BATCH..(batch + 1) * BATCH;
        let messages = bodies.clone().map(|body| Outgoing {
            queue: queue(),
            message: NewMessage::with_body(body.to_string()),
        });
        match block_on(store.send(messages.collect())) {
            Ok(_) => accepted.extend(bodies),
            Err(_) => failed = true,
        }
    }
    block_on(store.close());
    failed.then_some((accepted, platter))
}

fn stored(folder: &Path) -> BTreeSet<u64> {
    let (store, _) = Store::open(folder, options()).unwrap();
    let peeked = block_on(store.peek(queue(), 1000)).unwrap();
    block_on(store.close());
    let bodies = peeked.iter().map(|peeked| peeked.message.body.clone());
    bodies
        .map(|body| std::str::from_utf8(&body).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn an_answered_send_survives_loss_of_power_at_any_write_and_a_batch_is_whole_or_not_there() {
    let mut operations = 0;
    loop {
        let folder = folder();
        let Some((accepted, platter)) = run_until(folder.path(), operations) else {
            break;
        };
        for draw in 0..DRAWS {
            let after = self::folder();
            let mut draw = Draw(operations * DRAWS + draw);
            let found = platter.lock().unwrap().found(&mut draw);
            std::fs::write(after.path().join("store.redb"), found).unwrap();
            let stored = stored(after.path());
            assert!(
                stored.is_superset(&accepted),
                "after {operations} operations {accepted:?} was answered, {stored:?} is there"
            );
            let count = stored.len() as u64;
            assert!(
                count.is_multiple_of(BATCH) && count <= accepted.len() as u64 + BATCH,
                "after {operations} operations {stored:?} is there"
            );
        }
        operations += 1;
    }
    assert!(
        operations > 3 * BATCHES,
        "the disk did only {operations} operations"
    );
}
