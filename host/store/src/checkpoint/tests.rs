//! Checkpoints on a disk in memory that writes down what it is told.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::{Checkpoints, Pages};

/// What the disk was told, and what it has.
#[derive(Debug, Default)]
struct Told {
    bytes: Vec<u8>,
    told: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Disk {
    told: Arc<Mutex<Told>>,
    broken: Arc<AtomicBool>,
}

impl Disk {
    fn tell(&self, what: String) -> io::Result<()> {
        assert_ne!(what, "write 13 1", "it panics");
        if self.broken.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.told.lock().unwrap().told.push(what);
        Ok(())
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().told)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.told.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let told = self.told.lock().unwrap();
        let from = usize::try_from(offset).unwrap();
        let part = told.bytes.get(from..from + out.len());
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.tell(format!("length {length}"))?;
        let length = usize::try_from(length).unwrap();
        self.told.lock().unwrap().bytes.resize(length, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.tell("sync".to_owned())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.tell(format!("write {offset} {}", bytes.len()))?;
        let from = usize::try_from(offset).unwrap();
        self.told.lock().unwrap().bytes[from..from + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// A file of sixteen bytes, each of which is its number.
fn disk() -> Disk {
    let disk = Disk::default();
    disk.told.lock().unwrap().bytes = (0..16).collect();
    disk
}

fn read(pages: &Pages, offset: u64, length: usize) -> Vec<u8> {
    let mut out = vec![0xff; length];
    pages.read(offset, &mut out).unwrap();
    out
}

/// Checkpoints of which nothing is done before somebody waits for them.
fn by_hand(disk: &Disk) -> Checkpoints {
    Checkpoints::of(Box::new(disk.clone()), Some(Box::new(|| 1)))
}

/// A commit that writes two pages, the second one over a part of the first, and grows the file.
fn commit(pages: &Pages) -> io::Result<()> {
    pages.set_len(20)?;
    pages.write(2, &[100; 4])?;
    pages.write(4, &[101; 4])?;
    pages.write(17, &[102; 2])?;
    pages.sync_data()?;
    pages.write(0, &[103])?;
    pages.sync_data()
}

const COMMIT: [&str; 7] = [
    "length 20",
    "write 2 4",
    "write 4 4",
    "write 17 2",
    "sync",
    "write 0 1",
    "sync",
];

#[test]
fn a_commit_beside_is_seen_at_once_and_done_later_in_its_order() {
    let disk = disk();
    let mut checkpoints = by_hand(&disk);
    let pages = checkpoints.pages();
    checkpoints.beside(|| commit(&pages)).unwrap();
    for step in 0..=COMMIT.len() {
        assert_eq!(disk.told.lock().unwrap().told, COMMIT[..step]);
        assert_eq!(pages.len().unwrap(), 20);
        assert_eq!(
            read(&pages, 0, 10),
            [103, 1, 100, 100, 101, 101, 101, 101, 8, 9]
        );
        assert_eq!(read(&pages, 15, 5), [15, 0, 102, 102, 0]);
        assert_eq!(read(&pages, 3, 2), [100, 101]);
        assert_eq!(read(&pages, 9, 3), [9, 10, 11]);
        checkpoints.look().unwrap();
    }
    checkpoints.wait().unwrap();
    assert_eq!(disk.told(), COMMIT);
}

#[test]
fn what_is_written_otherwise_waits_for_the_checkpoint() {
    type Act = fn(&Pages) -> io::Result<()>;
    let acts: [(&str, Act); 3] = [
        ("write 5 1", |pages| pages.write(5, &[1])),
        ("length 30", |pages| pages.set_len(30)),
        ("sync", |pages| pages.sync_data()),
    ];
    for (told, act) in acts {
        let disk = disk();
        let checkpoints = by_hand(&disk);
        let pages = checkpoints.pages();
        checkpoints.beside(|| commit(&pages)).unwrap();
        act(&pages).unwrap();
        assert_eq!(disk.told(), [&COMMIT[..], &[told]].concat());
    }
}

#[test]
fn a_thread_does_one_after_the_other_until_the_file_is_closed() {
    let disk = disk();
    let checkpoints = Checkpoints::of(Box::new(disk.clone()), None);
    let pages = checkpoints.pages();
    for _ in 0..100 {
        checkpoints.wait().unwrap();
        checkpoints.beside(|| commit(&pages)).unwrap();
    }
    pages.close().unwrap();
    assert_eq!(disk.told(), COMMIT.repeat(100));
}

#[test]
fn a_checkpoint_that_fails_fails_all_that_comes_after_it() {
    for by_hand in [true, false] {
        let disk = disk();
        let steps = || -> super::ByHand { Box::new(|| 0) };
        let mut checkpoints = Checkpoints::of(Box::new(disk.clone()), by_hand.then(steps));
        let pages = checkpoints.pages();
        disk.broken.store(true, Ordering::SeqCst);
        checkpoints.beside(|| commit(&pages)).unwrap();
        let error = checkpoints.wait().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        disk.broken.store(false, Ordering::SeqCst);
        checkpoints.look().unwrap_err();
        pages.write(0, &[1]).unwrap_err();
        pages.read(0, &mut [0]).unwrap_err();
        pages.close().unwrap_err();
        assert_eq!(disk.told(), Vec::<String>::new());
    }
}

#[test]
fn nothing_of_a_commit_that_fails_reaches_the_file_and_nothing_else_does() {
    let disk = disk();
    let mut checkpoints = by_hand(&disk);
    let pages = checkpoints.pages();
    let failed = checkpoints.beside(|| {
        commit(&pages)?;
        Err::<(), _>(io::Error::other("no"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    checkpoints.look().unwrap_err();
    pages.write(0, &[1]).unwrap_err();
    pages.close().unwrap_err();
    assert_eq!(disk.told(), Vec::<String>::new());
}

#[test]
fn nobody_waits_for_a_thread_that_has_panicked() {
    let disk = disk();
    let checkpoints = Checkpoints::of(Box::new(disk), None);
    let pages = checkpoints.pages();
    checkpoints.beside(|| pages.write(13, &[1])).unwrap();
    checkpoints.wait().unwrap_err();
    pages.close().unwrap_err();
}
