//! How much of the disk stays free. Sends are refused before it is full, so that what ends messages,
//! and so frees space, can still be written.
//!
//! The file system is asked at a bounded rate, not for each message: again after a while, when much has
//! been taken in since, and when what was in the log is in the file. It knows nothing of queues.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gristmill_queue::Timestamp;

use crate::clock::{Clock, RunningClock};

/// After this time the file system is asked again.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// After so many bytes were taken in it is asked again, whatever the time.
const LOOK_AFTER_BYTES: u64 = 8 * MIB;
/// What a message takes beside its body, in the file and in the pages that change with it, roughly.
const OVERHEAD: u64 = 1024;

const MIB: u64 = 1024 * 1024;
/// The bounds of what is kept free if the operator names nothing.
const AUTO_LEAST: u64 = 256 * MIB;
const AUTO_MOST: u64 = 16 * 1024 * MIB;

/// How much of the disk is to stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DiskReserve {
    /// A twentieth of the disk, at least 256 MiB and at most 16 GiB; a quarter of a disk that is smaller
    /// than 1 GiB.
    #[default]
    Auto,
    /// So many bytes; none at all if it is 0.
    Bytes(u64),
}

impl DiskReserve {
    /// In bytes, on a disk of this size.
    #[must_use]
    pub fn of(self, total: u64) -> u64 {
        match self {
            DiskReserve::Auto => (total / 20).clamp(AUTO_LEAST, AUTO_MOST).min(total / 4),
            DiskReserve::Bytes(bytes) => bytes,
        }
    }
}

/// What a file system says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that the host may still use.
    pub free: u64,
    /// Bytes of the whole.
    pub total: u64,
}

impl Space {
    /// The space of the disk on which this folder is.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn of(folder: &Path) -> io::Result<Space> {
        let stat = rustix::fs::statvfs(folder)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

/// Who is asked how much is free: the file system, or a test.
pub type SpaceSource = Box<dyn Fn() -> io::Result<Space> + Send + Sync>;

/// So little is free that nothing more is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReserveReached {
    /// The data folder.
    pub folder: PathBuf,
    /// Bytes that are free.
    pub free: u64,
    /// Bytes that stay free.
    pub reserve: u64,
}

impl fmt::Display for ReserveReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the disk of {} has {} MiB free, and {} MiB are kept free so that messages can still be ended; nothing was sent: free space there, or lower host.disk_reserve, and send it again",
            self.folder.display(),
            self.free / MIB,
            self.reserve.div_ceil(MIB),
        )
    }
}

impl std::error::Error for ReserveReached {}

/// Watches over the space of a data folder.
pub(crate) struct Reserve {
    folder: PathBuf,
    reserve: DiskReserve,
    source: SpaceSource,
    clock: RunningClock,
    looked: Mutex<Looked>,
}

/// What the last look found, and what was taken in since.
struct Looked {
    again_at: Timestamp,
    found: Option<Space>,
    taken: u64,
    /// What the store has taken in and the file system does not know of yet: until redb makes it durable,
    /// most of it is in memory.
    unwritten: u64,
    /// How much that was at the last look.
    unwritten_then: u64,
    /// Whether sends were refused when last asked, to say so once.
    short: bool,
}

impl Reserve {
    pub fn new(
        folder: &Path,
        reserve: DiskReserve,
        source: Option<SpaceSource>,
        clock: RunningClock,
    ) -> Self {
        let own = folder.to_owned();
        Reserve {
            folder: folder.to_owned(),
            reserve,
            source: source.unwrap_or_else(|| Box::new(move || Space::of(&own))),
            clock,
            looked: Mutex::new(Looked {
                again_at: Timestamp::ZERO,
                found: None,
                taken: 0,
                unwritten: 0,
                unwritten_then: 0,
                short: false,
            }),
        }
    }

    /// Keeps nothing free, for who takes nothing in.
    pub fn none(folder: &Path) -> Self {
        let clock = RunningClock::start(Clock::System, Timestamp::ZERO);
        Self::new(folder, DiskReserve::Bytes(0), None, clock)
    }

    /// Whether so many messages, with bodies of so many bytes, may be taken in.
    ///
    /// # Errors
    /// When less would be left free than has to be.
    pub fn take(&self, messages: u64, bytes: u64) -> Result<(), ReserveReached> {
        if self.reserve == DiskReserve::Bytes(0) {
            return Ok(());
        }
        let bytes = bytes.saturating_add(messages.saturating_mul(OVERHEAD));
        let mut looked = self.lock();
        let now = self.clock.now();
        if now >= looked.again_at || looked.taken.saturating_add(bytes) > LOOK_AFTER_BYTES {
            // Who does not tell how much is free is not full for that.
            looked.found = (self.source)().ok();
            looked.again_at = now.after(LOOK_AGAIN);
            looked.taken = 0;
            looked.unwritten_then = looked.unwritten;
        }
        let Some(Space { free, total }) = looked.found else {
            return Ok(());
        };
        let reserve = self.reserve.of(total);
        let free = free.saturating_sub(looked.taken + looked.unwritten_then);
        let short = free < reserve.saturating_add(bytes);
        if short {
            let reached = ReserveReached {
                folder: self.folder.clone(),
                free,
                reserve,
            };
            if !looked.short {
                looked.short = true;
                tracing::warn!("sends are refused: {reached}");
            }
            return Err(reached);
        }
        if looked.short {
            looked.short = false;
            tracing::info!("sends are taken again: there is room on the disk");
        }
        looked.taken += bytes;
        if messages > 0 {
            looked.unwritten += bytes;
        }
        Ok(())
    }

    /// All that was taken into the store is in its file now.
    pub fn written(&self) {
        let mut looked = self.lock();
        (looked.unwritten, looked.unwritten_then) = (0, 0);
        looked.again_at = Timestamp::ZERO;
    }

    fn lock(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::clock::Clock;

    const GIB: u64 = 1024 * MIB;

    #[test]
    fn what_is_kept_free_unless_named_is_between_two_bounds_and_never_most_of_the_disk() {
        for (total, reserve) in [
            (100 * MIB, 25 * MIB),
            (GIB, 256 * MIB),
            (4 * GIB, 256 * MIB),
            (100 * GIB, 5 * GIB),
            (10_000 * GIB, 16 * GIB),
        ] {
            assert_eq!(DiskReserve::Auto.of(total), reserve, "of {total}");
        }
        assert_eq!(DiskReserve::Bytes(7).of(100), 7);
    }

    #[test]
    fn what_is_not_written_yet_is_not_free_however_often_the_file_system_is_asked() {
        let time = Arc::new(AtomicU64::new(1000));
        let clock = Clock::Manual(Arc::clone(&time));
        let space = || {
            Ok(Space {
                free: 100 * MIB,
                total: 10 * GIB,
            })
        };
        let reserve = Reserve::new(
            Path::new("/data"),
            DiskReserve::Bytes(90 * MIB),
            Some(Box::new(space)),
            RunningClock::start(clock, Timestamp::ZERO),
        );
        let pass = || time.fetch_add(60_000, Ordering::SeqCst);
        for _ in 0..9 {
            reserve.take(1, MIB).unwrap();
            pass();
        }
        assert!(reserve.take(1, MIB).is_err(), "ten are not there");
        pass();
        assert!(
            reserve.take(1, MIB).is_err(),
            "nothing was written meanwhile"
        );
        reserve.written();
        reserve.take(1, MIB).unwrap();
    }

    #[test]
    fn the_file_system_is_asked_again_after_a_while_and_after_much_and_not_for_each_message() {
        let (looks, free, time) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicU64::new(100 * MIB)),
            Arc::new(AtomicU64::new(1000)),
        );
        let source = {
            let (looks, free) = (Arc::clone(&looks), Arc::clone(&free));
            move || {
                looks.fetch_add(1, Ordering::SeqCst);
                Ok(Space {
                    free: free.load(Ordering::SeqCst),
                    total: GIB,
                })
            }
        };
        let clock = RunningClock::start(Clock::Manual(Arc::clone(&time)), Timestamp::ZERO);
        let reserve = Reserve::new(
            Path::new("/data"),
            DiskReserve::Bytes(50 * MIB),
            Some(Box::new(source)),
            clock,
        );
        for _ in 0..1000 {
            reserve.take(1, 10).unwrap();
        }
        assert_eq!(looks.load(Ordering::SeqCst), 1);
        reserve.take(1, 8 * MIB).unwrap();
        assert_eq!(looks.load(Ordering::SeqCst), 2, "much was taken in");
        reserve.written();
        let reached = reserve.take(1, 51 * MIB).unwrap_err();
        assert_eq!((reached.free, reached.reserve), (100 * MIB, 50 * MIB));
        free.store(50 * MIB, Ordering::SeqCst);
        time.fetch_add(250, Ordering::SeqCst);
        let reached = reserve.take(1, 1).unwrap_err();
        assert_eq!(
            reached.to_string(),
            "the disk of /data has 50 MiB free, and 50 MiB are kept free so that messages can still be \
             ended; nothing was sent: free space there, or lower host.disk_reserve, and send it again"
        );
        free.store(100 * MIB, Ordering::SeqCst);
        assert!(reserve.take(1, 1).is_err(), "it was asked a moment ago");
        time.fetch_add(250, Ordering::SeqCst);
        reserve.take(1, 1).unwrap();
    }
}
