//! The file of a store as redb has it.

use std::io;
use std::ops::Bound;
use std::sync::Arc;

use redb::{BackendError, StorageBackend};

use super::Shared;
use super::batch::{Batch, Step};

/// What is written to it while a durable commit is made is only collected; what is not done of that yet is
/// read as if it were.
#[derive(Debug)]
pub(crate) struct Pages(pub(super) Arc<Shared>);

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        let state = self.0.lock();
        let told = state.batches().rev().find_map(Batch::length);
        told.map_or_else(|| self.0.file.len(), Ok)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock();
        state.failure()?;
        if state.batches().next().is_none() {
            drop(state);
            return self.0.file.read(offset, out);
        }
        // Taken before the file is read: what is done by then is in the file.
        let over = { state.batches() }.flat_map(|batch| batch.over(offset, out.len()));
        let over: Vec<(usize, Vec<u8>)> =
            over.map(|(place, bytes)| (place, bytes.to_vec())).collect();
        drop(state);
        let covers = over.iter().any(|(_, bytes)| bytes.len() == out.len());
        if !covers {
            read_what_there_is(&*self.0.file, offset, out)?;
        }
        for (place, bytes) in over {
            out[place..place + bytes.len()].copy_from_slice(&bytes);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.0.idle()?;
        if state.collecting {
            state.collected.steps.push(Step::SetLength(length));
            return Ok(());
        }
        drop(state);
        self.0.file.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.idle()?;
        if state.collecting {
            state.collected.steps.push(Step::Sync);
            return Ok(());
        }
        drop(state);
        self.0.file.sync_data()
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.0.idle()?;
        if state.collecting {
            state.collected.write(offset, bytes);
            return Ok(());
        }
        drop(state);
        self.0.file.write(offset, bytes)
    }

    fn close(&self) -> io::Result<()> {
        let done = self.0.idle().map(drop);
        let mut state = self.0.lock();
        state.closing = true;
        let thread = state.thread.take();
        drop(state);
        self.0.changed.notify_all();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread for checkpoints has panicked");
        }
        done.and(self.0.file.close())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

/// Reads a part of a file that may have to grow until it has all of it.
fn read_what_there_is(file: &dyn StorageBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
    let there = file.len()?.saturating_sub(offset);
    let there = usize::try_from(there).map_or(out.len(), |there| there.min(out.len()));
    out[there..].fill(0);
    if there > 0 {
        file.read(offset, &mut out[..there])?;
    }
    Ok(())
}
