//! A disk that goes on until its power fails, and what is found on it then.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;
use redb::backends::FileBackend;

#[derive(Debug)]
enum Change {
    Length(u64),
    Bytes(u64, Vec<u8>),
}

/// The files of a store that a commit writes.
pub const FILES: [&str; 2] = ["store.redb", "store.log"];

/// What the disk has for certain, and what it has been told since.
#[derive(Debug, Default)]
pub struct Platter {
    durable: [Vec<u8>; 2],
    /// With the file that it is of.
    unsynced: Vec<(usize, Change)>,
    /// How many operations it still does.
    pub left: Option<u64>,
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

    fn sync(&mut self, file: usize) {
        for (_, change) in self.unsynced.extract_if(.., |(of, _)| *of == file) {
            apply(&mut self.durable[file], &change);
        }
    }

    /// What is found after the process was killed: the system still has all that was written.
    pub fn written(&self) -> [Vec<u8>; 2] {
        let mut found = self.durable.clone();
        for (file, change) in &self.unsynced {
            apply(&mut found[*file], change);
        }
        found
    }

    /// What is found when the power is back.
    pub fn found(&self, draw: &mut Draw) -> [Vec<u8>; 2] {
        let mut found = self.durable.clone();
        for (file, change) in &self.unsynced {
            match (draw.below(4), change) {
                (0 | 1, change) => apply(&mut found[*file], change),
                (2, Change::Bytes(at, bytes)) => {
                    let torn = bytes[..bytes.len() / 2].to_vec();
                    apply(&mut found[*file], &Change::Bytes(*at, torn));
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
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }
}

#[derive(Debug)]
pub struct Disk {
    pub file: FileBackend,
    /// Its number in [`FILES`].
    pub number: usize,
    pub platter: Arc<Mutex<Platter>>,
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
        platter.unsynced.push((self.number, Change::Length(length)));
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.platter.lock().unwrap();
        platter.step()?;
        platter.sync(self.number);
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut platter = self.platter.lock().unwrap();
        platter.step()?;
        let change = Change::Bytes(offset, bytes.to_vec());
        platter.unsynced.push((self.number, change));
        self.file.write(offset, bytes)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
