//! Checkpoints: what redb writes and syncs for a durable commit is done beside the writer.
//!
//! A durable commit is some hundred pages, a sync, a page of the header and another sync: ten times what a
//! commit takes that only the log makes durable, and every producer would wait for it. So while such a commit
//! is made, redb's writes and syncs are only collected, and a thread does them afterwards, one after the
//! other in redb's order. Until they are done, whoever reads the file sees them as if they were.
//!
//! On the disk it is as if the commit had been made later, and the log has all that is in it until then: its
//! half is not written again before [`Checkpoints::wait`] says that the checkpoint is done. What redb wants of
//! the file otherwise waits for a checkpoint under way, so the order of all that is written stays redb's.
//!
//! If a checkpoint fails, every operation on the file fails from then on, and the store stops.

mod batch;
mod pages;

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use redb::StorageBackend;

use crate::error::panicked;
use batch::Batch;
pub(crate) use pages::Pages;

/// How many operations of a checkpoint are done before the next commit, instead of on a thread of their own:
/// for tests that have to be the same each time.
pub type ByHand = Box<dyn FnMut() -> usize + Send>;

/// A batch that is being done.
#[derive(Debug)]
struct UnderWay {
    batch: Arc<Batch>,
    /// Which operation is next.
    next: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Whether a durable commit is being made that is to be done later.
    collecting: bool,
    collected: Batch,
    under_way: Option<UnderWay>,
    thread: Option<JoinHandle<()>>,
    closing: bool,
    failed: Option<(io::ErrorKind, String)>,
}

impl State {
    fn failure(&self) -> io::Result<()> {
        match &self.failed {
            Some((kind, why)) => Err(io::Error::new(*kind, why.clone())),
            None => Ok(()),
        }
    }

    /// What is to be done yet, the oldest first.
    fn batches(&self) -> impl DoubleEndedIterator<Item = &Batch> {
        let under_way = self.under_way.as_ref().map(|under_way| &*under_way.batch);
        let collected = (!self.collected.steps.is_empty()).then_some(&self.collected);
        [under_way, collected].into_iter().flatten()
    }
}

#[derive(Debug)]
struct Shared {
    file: Box<dyn StorageBackend>,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether [`State::failed`] says something.
    failed: AtomicBool,
    by_hand: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, state: &mut State, error: &io::Error) {
        let why = format!("making a commit durable that the log has: {error}");
        state.failed.get_or_insert((error.kind(), why));
        self.failed.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Waits until nothing is under way.
    fn idle(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.lock();
        loop {
            state.failure()?;
            if state.under_way.is_none() {
                return Ok(state);
            }
            state = if self.by_hand {
                self.perform(state)
            } else {
                let woken = self.changed.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            };
        }
    }

    /// Does the next operation of what is under way. Nobody has to wait for it who only reads.
    fn perform<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        if state.failed.is_some() {
            return state;
        }
        let Some(UnderWay { batch, next }) = &state.under_way else {
            return state;
        };
        let (batch, step) = (Arc::clone(batch), *next);
        drop(state);
        let performed = batch.perform(step, &*self.file);
        let is_last = step + 1 == batch.steps.len();
        drop(batch);
        state = self.lock();
        match (performed, &mut state.under_way) {
            (Err(error), _) => {
                tracing::error!(%error, "the store cannot write what its log has to store.redb");
                self.fail(&mut state, &error);
            }
            (Ok(()), Some(_)) if is_last => {
                let done = state.under_way.take().map(|done| done.batch);
                // Its memory serves the next one.
                if let Some(mut batch) = done.and_then(Arc::into_inner)
                    && state.collected.steps.is_empty()
                    && batch.is_usual()
                {
                    batch.clear();
                    state.collected = batch;
                }
                self.changed.notify_all();
            }
            (Ok(()), Some(under_way)) => under_way.next += 1,
            (Ok(()), None) => {}
        }
        state
    }

    /// What the thread does. Nobody must wait for ever for what a panic ended.
    fn work_or_panic(&self) {
        let worked = std::panic::catch_unwind(AssertUnwindSafe(|| self.work()));
        if let Err(cause) = worked {
            let error = io::Error::other(panicked(cause.as_ref()));
            self.fail(&mut self.lock(), &error);
        }
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            while state.under_way.is_some() && state.failed.is_none() {
                state = self.perform(state);
            }
            if state.closing || state.failed.is_some() {
                return;
            }
            let woken = self.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What the writer has of it.
pub(crate) struct Checkpoints {
    shared: Arc<Shared>,
    by_hand: Option<ByHand>,
}

impl Checkpoints {
    /// Of the open file of a store.
    pub fn of(file: Box<dyn StorageBackend>, by_hand: Option<ByHand>) -> Self {
        let shared = Arc::new(Shared {
            file,
            state: Mutex::default(),
            changed: Condvar::new(),
            failed: AtomicBool::new(false),
            by_hand: by_hand.is_some(),
        });
        Checkpoints { shared, by_hand }
    }

    /// What redb has of it.
    pub fn pages(&self) -> Pages {
        Pages(Arc::clone(&self.shared))
    }

    /// Notices that one has failed. In a test, does some of it before.
    pub fn look(&mut self) -> io::Result<()> {
        if let Some(steps) = &mut self.by_hand {
            for _ in 0..steps() {
                drop(self.shared.perform(self.shared.lock()));
            }
        }
        if self.shared.failed.load(Ordering::Acquire) {
            return self.shared.lock().failure();
        }
        Ok(())
    }

    /// Waits until the last checkpoint is done, durably.
    pub fn wait(&self) -> io::Result<()> {
        self.shared.idle().map(drop)
    }

    /// Makes a durable commit that is done on the disk later. The last checkpoint has to be done. If the
    /// commit fails, nothing of it ever reaches the file, and nothing else does.
    pub fn beside<T, E>(&self, commit: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.shared.lock().collecting = true;
        let collecting = Collecting(&self.shared);
        let committed = commit()?;
        std::mem::forget(collecting);
        self.start();
        Ok(committed)
    }

    fn start(&self) {
        let mut state = self.shared.lock();
        state.collecting = false;
        if state.collected.steps.is_empty() {
            return;
        }
        let batch = Arc::new(std::mem::take(&mut state.collected));
        state.under_way = Some(UnderWay { batch, next: 0 });
        if self.shared.by_hand {
            return;
        }
        if state.thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let spawned = std::thread::Builder::new()
                .name("checkpoint".to_owned())
                .spawn(move || shared.work_or_panic());
            match spawned {
                Ok(thread) => state.thread = Some(thread),
                Err(error) => {
                    tracing::warn!(%error, "no thread for checkpoints, so the writer does them");
                    while state.under_way.is_some() && state.failed.is_none() {
                        state = self.shared.perform(state);
                    }
                }
            }
        }
        self.shared.changed.notify_all();
    }
}

/// A durable commit is being made.
struct Collecting<'s>(&'s Shared);

impl Drop for Collecting<'_> {
    /// It has failed.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.collecting = false;
        state.collected.clear();
        let error = io::Error::other("the commit failed");
        self.0.fail(&mut state, &error);
    }
}

#[cfg(test)]
mod tests;
