//! The limit: what the same work costs if there is nothing but a file and a function.
//!
//! A thread appends what waits to a preallocated file, calls `fdatasync` once for all of it, and answers. Each
//! order is appended, summed by a native function, and then its sum is appended with a note that it is done.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use rustix::fs::{FallocateFlags, fallocate, fdatasync};
use tokio::sync::oneshot;

use super::clock::Clock;
use crate::work;

pub const SETTINGS: &str =
    "one file, appended to by one thread, fdatasync for all that waits; a native function";
/// Bytes of the file before it grows.
const PREALLOCATED: u64 = 512 * 1024 * 1024;

#[derive(Default)]
struct Waiting {
    records: Vec<u8>,
    answers: Vec<oneshot::Sender<()>>,
    closed: bool,
}

#[derive(Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    wake: Condvar,
    syncs: AtomicU64,
}

/// The file and its thread.
pub struct Log {
    inbox: Arc<Inbox>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Log {
    pub fn new() -> Result<Self> {
        let mut file = tempfile::tempfile()?;
        fallocate(file.as_fd(), FallocateFlags::empty(), 0, PREALLOCATED)?;
        let inbox = Arc::new(Inbox::default());
        let own = Arc::clone(&inbox);
        let thread = std::thread::spawn(move || {
            if let Err(error) = write(&own, &mut file) {
                // Nobody is answered any more, and the run says that.
                eprintln!("the log cannot be written: {error}");
            }
        });
        Ok(Log {
            inbox,
            thread: Some(thread),
        })
    }

    /// Appends a record; it is durable when this returns.
    async fn append(&self, record: &[u8]) -> Result<()> {
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = lock(&self.inbox);
            let length = u32::try_from(record.len())?;
            waiting.records.extend_from_slice(&length.to_le_bytes());
            waiting.records.extend_from_slice(record);
            waiting.answers.push(answer);
        }
        self.inbox.wake.notify_one();
        answered.await.context("the log has ended")
    }

    /// How often it was made durable.
    pub fn syncs(&self) -> u64 {
        self.inbox.syncs.load(Ordering::Relaxed)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        lock(&self.inbox).closed = true;
        self.inbox.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(inbox: &Inbox) -> std::sync::MutexGuard<'_, Waiting> {
    inbox.waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(inbox: &Inbox, file: &mut File) -> Result<()> {
    loop {
        let (records, answers) = {
            let mut waiting = lock(inbox);
            while waiting.answers.is_empty() && !waiting.closed {
                let woken = inbox.wake.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
            }
            if waiting.answers.is_empty() {
                return Ok(());
            }
            (
                std::mem::take(&mut waiting.records),
                std::mem::take(&mut waiting.answers),
            )
        };
        file.write_all(&records)?;
        fdatasync(file.as_fd())?;
        inbox.syncs.fetch_add(1, Ordering::Relaxed);
        for answer in answers {
            let _ = answer.send(());
        }
    }
}

/// Sends orders one after the other, and has each handled as soon as it is durable.
pub async fn produce(log: Rc<Log>, clock: Rc<Clock>) -> Result<()> {
    loop {
        let orders = clock.next(1).await;
        if orders.is_empty() {
            return Ok(());
        }
        let order = work::order(orders.start);
        log.append(&order).await?;
        let (log, clock) = (Rc::clone(&log), Rc::clone(&clock));
        tokio::task::spawn_local(async move {
            let Some((number, mut sum)) = work::sum(&order) else {
                return;
            };
            // That the order is done stands in the same record.
            sum.extend_from_slice(&number.to_le_bytes());
            if log.append(&sum).await.is_ok() {
                clock.handled(number);
            }
        });
    }
}
