//! A disk of which one operation fails.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::StorageBackend;
use redb::backends::FileBackend;

/// How the disk fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// It does half of what it should before.
    pub half: bool,
    pub full: bool,
    /// All that comes after fails as well.
    pub lasting: bool,
    /// Reads fail, not changes.
    pub reads: bool,
}

pub const FAULTS: [Fault; 6] = [
    fault(false, false, true),
    fault(false, false, false),
    fault(true, false, true),
    fault(true, false, false),
    fault(false, true, true),
    fault(true, true, false),
];

pub const fn fault(half: bool, full: bool, lasting: bool) -> Fault {
    Fault {
        half,
        full,
        lasting,
        reads: false,
    }
}

/// A file whose n-th operation from now on fails.
#[derive(Debug)]
pub struct Failing {
    pub file: FileBackend,
    pub left: Arc<AtomicU64>,
    pub fault: Fault,
}

impl Failing {
    fn step(&self, reads: bool) -> io::Result<()> {
        if reads != self.fault.reads {
            return Ok(());
        }
        let take = |left: u64| match left {
            0 if self.fault.lasting => Some(0),
            left => Some(left.wrapping_sub(1)),
        };
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
        match left.unwrap() {
            0 if self.fault.full => Err(io::ErrorKind::StorageFull.into()),
            0 => Err(io::Error::other("the disk is broken")),
            _ => Ok(()),
        }
    }
}

impl StorageBackend for Failing {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.step(true)?;
        self.file.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.step(false)?;
        self.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(false)?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let stepped = self.step(false);
        if stepped.is_err() && self.fault.half {
            self.file.write(offset, &bytes[..bytes.len() / 2])?;
        }
        stepped?;
        self.file.write(offset, bytes)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}
