//! The handle that everybody holds.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use gristmill_queue::board::QueueView;
use gristmill_queue::effects::StateReader;
use gristmill_queue::message::Due;
use gristmill_queue::{IdSource, MessageId, QueueName, Timestamp, limits};
use tokio::sync::oneshot;

use crate::blob::{Blobs, Watch};
use crate::checkpoint::ByHand;
use crate::clock::{Clock, Drift, RunningClock};
use crate::cron::{CronEntry, CronMark};
use crate::disk::OpenFile;
use crate::error::{AdminError, OpenError, SendError};
use crate::inbox::{Inbox, Refused};
use crate::lock;
use crate::made::ReadMade;
use crate::open::{self, Opened};
use crate::ops::{
    Declaration, Fired, Firing, HaltedGroups, Op, ResumeGroups, Sink, Slots, Standing,
};
use crate::pull::Pulls;
use crate::reserve::{DiskReserve, SpaceSource};
use crate::state::HandlerState;
use crate::topics::TopicDeclaration;
use crate::writer::{Elsewhere, OnFatal};

/// How a store is opened.
pub struct Options {
    /// Where it takes the time from.
    pub clock: Clock,
    /// The queues to declare.
    pub queues: Vec<Declaration>,
    /// What is declared of the queues that were made at run time, from their definitions. Those of which it
    /// says nothing are not declared.
    pub read_made: Option<ReadMade>,
    /// The topics to declare.
    pub topics: Vec<TopicDeclaration>,
    /// Bytes of the file that are kept in memory.
    pub cache_bytes: usize,
    /// Bytes of messages that are kept in memory between being accepted and being delivered.
    pub hot_bytes: usize,
    /// Bodies with more bytes are stored aside, each in a file of its own.
    pub inline_bytes: u64,
    /// How much of the disk stays free.
    pub disk_reserve: DiskReserve,
    /// Who is asked how much of it is free, instead of the file system.
    pub space: Option<SpaceSource>,
    /// By how many bytes the file may grow, beside its own size, while it is backed up: pages that were
    /// freed since the backup began are not used again before it ends.
    pub backup_growth: u64,
    /// Called once if the store fails: the process has to exit, since what was under way is
    /// neither done nor undone for certain.
    pub on_fatal: Option<OnFatal>,
    /// Where several answers are given together, instead of on the writer's thread: where the tasks run that
    /// wait for them. They are durable by then; if it never runs them, nobody is told anything definite.
    pub answer_elsewhere: Option<Elsewhere>,
    /// Opens the file of the database in another way than usual: for tests that let the disk fail.
    pub open_file: Option<OpenFile>,
    /// Bytes that the log may take: what it holds at the most is done again by a start after a crash. When one
    /// half is full, the other one is written, and the database makes durable what is in the first.
    pub log_bytes: u64,
    /// Opens the log in another way than usual: for tests that let the disk fail.
    pub open_log: Option<OpenFile>,
    /// How much of a checkpoint is done before each commit, if no thread is to do it.
    pub checkpoint_by_hand: Option<ByHand>,
    /// Is told what is done to the files beside the database: for tests that let the power fail.
    pub watch: Option<Watch>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            clock: Clock::System,
            queues: Vec::new(),
            read_made: None,
            topics: Vec::new(),
            cache_bytes: 64 * 1024 * 1024,
            hot_bytes: 32 * 1024 * 1024,
            inline_bytes: limits::DEFAULT_INLINE,
            disk_reserve: DiskReserve::default(),
            space: None,
            backup_growth: 4 * 1024 * 1024 * 1024,
            on_fatal: None,
            answer_elsewhere: None,
            open_file: None,
            log_bytes: 4 * 1024 * 1024,
            open_log: None,
            checkpoint_by_hand: None,
            watch: None,
        }
    }
}

/// What was found when the store was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// How often the store has been opened.
    pub boot: u64,
    /// Messages that wait.
    pub waiting: u64,
    /// Messages that pull consumers hold, as they did before.
    pub pulled: u64,
    /// Messages that were being handled when the host died.
    pub suspects: u64,
    /// Records in quarantine.
    pub quarantined: u64,
    /// Dead letters of which no queue's list has a sound record, so that nobody sees them: the file is damaged.
    pub letters_missing: u64,
    /// How many records were verified, if all of them were: after a start that ended because the store
    /// failed.
    pub verified: Option<u64>,
}

/// A store that is open. Clones are handles to the same one.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub database: Mutex<Option<Arc<Opened>>>,
    pub inbox: Arc<Inbox>,
    ids: Arc<IdSource>,
    clock: RunningClock,
    pub blobs: Arc<Blobs>,
    pub pulls: Pulls,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held by the one backup that is under way.
    pub backup: Mutex<()>,
    pub backup_growth: u64,
}

impl Drop for Shared {
    /// The last handle is gone: what waits is still committed, and the file is closed.
    fn drop(&mut self) {
        let (reply, _) = oneshot::channel();
        let _ = self.inbox.push(Op::Close { reply });
    }
}

impl Store {
    /// Opens the store in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// When another process has it open, it cannot be read, or is of a newer format.
    pub fn open(folder: &Path, mut options: Options) -> Result<(Store, Recovery), OpenError> {
        let lock = lock::lock(folder)?;
        let (writer, blobs, receipt_key, recovery) = open::open(folder, lock, &mut options)?;
        let shared = Arc::new(Shared {
            database: Mutex::new(Some(Arc::clone(&writer.database))),
            inbox: Arc::clone(&writer.inbox),
            ids: Arc::clone(&writer.ids),
            clock: writer.clock.clone(),
            blobs,
            pulls: Pulls::new(receipt_key),
            writer: Mutex::new(None),
            backup: Mutex::new(()),
            backup_growth: options.backup_growth,
        });
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Folder {
                folder: folder.to_owned(),
                source,
            })?;
        *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok((Store { shared }, recovery))
    }

    /// The time of the queues.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// How far the time of the queues is from the wall clock.
    #[must_use]
    pub fn drift(&self) -> Drift {
        self.shared.clock.drift()
    }

    /// Where message ids come from.
    #[must_use]
    pub fn ids(&self) -> Arc<IdSource> {
        Arc::clone(&self.shared.ids)
    }

    /// The committed state of a handler; unavailable after [`Store::close`].
    #[must_use]
    pub fn state(&self, handler: Arc<str>) -> Arc<dyn StateReader> {
        Arc::new(HandlerState {
            store: self.clone(),
            handler,
        })
    }

    /// Delivers the messages of a queue to `sink`, at most as many at once as `slots` says.
    pub fn attach(&self, queue: QueueName, slots: impl Into<Slots>, sink: Arc<dyn Sink>) {
        let slots = slots.into();
        let _ = self.shared.inbox.push(Op::Attach { queue, slots, sink });
    }

    /// Delivers no more messages of a queue. What is leased stays leased until it is settled.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn detach(&self, queue: QueueName) -> Result<(), AdminError> {
        self.ask(|reply| Op::Detach { queue, reply }).await
    }

    /// Stops or resumes leasing; lasts over restarts.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn set_paused(&self, queue: QueueName, paused: bool) -> Result<(), AdminError> {
        self.ask(|reply| Op::SetPaused {
            queue,
            paused,
            reply,
        })
        .await?
    }

    /// All queues as they are now.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn views(&self) -> Result<Vec<QueueView>, AdminError> {
        self.ask(|reply| Op::Views { reply }).await
    }

    /// The numbers of the next messages of a queue, in the order in which they are due.
    pub(crate) async fn waiting(
        &self,
        queue: QueueName,
        limit: usize,
    ) -> Result<Vec<u64>, AdminError> {
        self.ask(|reply| Op::Waiting {
            queue,
            limit,
            reply,
        })
        .await?
    }

    /// Removes a waiting message for good: that is durable when this returns.
    ///
    /// # Errors
    /// When it does not wait: it is in flight, dead, or not here.
    pub async fn cancel(&self, id: MessageId) -> Result<(), AdminError> {
        self.ask(|reply| Op::Cancel { id, reply }).await?
    }

    /// Changes when a waiting message is due; it keeps its id, its attempts and its place in its
    /// group. Says when it is due now.
    ///
    /// # Errors
    /// When it does not wait: it is in flight, dead, or not here; or when it would expire first.
    pub async fn move_to(&self, id: MessageId, to: Due) -> Result<Timestamp, AdminError> {
        self.ask(|reply| Op::Move { id, to, reply }).await?
    }

    pub(crate) async fn standing(&self, sequence: u64) -> Result<Standing, AdminError> {
        self.ask(|reply| Op::Standing { sequence, reply }).await
    }

    /// Declares exactly these entries of the crontab, and says how far each has come. One that is new
    /// or has another schedule starts now; one that is gone is forgotten.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn declare_cron(&self, entries: Vec<CronEntry>) -> Result<Vec<CronMark>, AdminError> {
        self.ask(|reply| Op::DeclareCron { entries, reply }).await
    }

    /// Does ticks, each once and by itself: its message and the note that it is done are one commit.
    /// What is answered is durable.
    ///
    /// # Errors
    /// Of one tick: when its message is refused; then it is not done. Of all: when the store closed
    /// meanwhile, and it is not known whether they were done.
    pub async fn fire(
        &self,
        firings: Vec<Firing>,
    ) -> Result<Vec<Result<Fired, SendError>>, AdminError> {
        self.ask(|reply| Op::Fire { firings, reply }).await
    }

    /// Delivers a halted group of a queue again, or all of them if none is named. Says how many were
    /// halted.
    ///
    /// # Errors
    /// When there is no such queue.
    pub async fn resume_groups(
        &self,
        queue: QueueName,
        group: Option<String>,
    ) -> Result<u64, AdminError> {
        self.ask(|reply| {
            Op::ResumeGroups(ResumeGroups {
                queue,
                group,
                after: None,
                done: 0,
                reply,
            })
        })
        .await?
    }

    /// The halted groups of a queue by hash, after that one, and how many messages wait in each.
    pub(crate) async fn halted(
        &self,
        queue: QueueName,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, u64)>, AdminError> {
        self.ask(|reply| {
            Op::HaltedGroups(HaltedGroups {
                queue,
                after,
                limit,
                reply,
            })
        })
        .await?
    }

    /// Lets the writer look at the clock. Only a manual clock needs it.
    ///
    /// # Errors
    /// When the store closed meanwhile.
    pub async fn tick(&self) -> Result<(), AdminError> {
        self.ask(|reply| Op::Tick { reply }).await
    }

    /// Commits what waits, closes the file and lets go of the folder, as soon as nobody reads.
    /// Who asks for something meanwhile, is answered or told that it is not known.
    pub async fn close(&self) {
        // Refused if the store has failed or another has closed it.
        let _ = self.ask(|reply| Op::Close { reply }).await;
        self.shared
            .database
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let thread = self
            .shared
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // It takes nothing more in, so it ends at once.
            let _ = thread.join();
        }
    }

    pub(crate) fn push(&self, op: Op) -> Result<(), Refused> {
        self.shared.inbox.push(op)
    }

    pub(crate) async fn ask<T>(
        &self,
        op: impl FnOnce(oneshot::Sender<T>) -> Op,
    ) -> Result<T, AdminError> {
        let (reply, answer) = oneshot::channel();
        self.push(op(reply)).map_err(|_| AdminError::Closed)?;
        answer.await.map_err(|_| AdminError::Closed)
    }

    pub(crate) fn database(&self) -> Result<Arc<Opened>, AdminError> {
        self.shared
            .database
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .ok_or(AdminError::Closed)
    }
}
