//! A store in a folder of its own, driven step by step.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "no test file needs everything, and which it needs differs"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill_queue::board::{Depths, QueueView, Totals};
use gristmill_queue::effects::EffectLimits;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{
    Effects, MessageId, NewMessage, Outcome, QueueName, QueuePolicy, Reason, Timestamp,
    Transaction, limits,
};
use gristmill_store::{
    Accepted, Clock, CronEntry, CronMark, DeadFilter, Declaration, Evidence, Fired, Firing, Leased,
    OpenError, Options, Outgoing, Recovery, SendError, SetClocks, Settle, SettleBatch, Sink, Store,
    TopicDeclaration,
};

mod admin;
mod clocks;
mod files;
mod groups;
pub mod pull;
mod topics;

/// A host without handlers: what is delivered is collected.
pub struct Host {
    folder: Arc<tempfile::TempDir>,
    path: PathBuf,
    clocks: SetClocks,
    queues: Vec<Declaration>,
    topics: Vec<TopicDeclaration>,
    store: Store,
    delivered: HashMap<QueueName, Arc<Collected>>,
    runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Collected(Mutex<Vec<Leased>>);

impl Sink for Collected {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.0.lock().unwrap().extend(leased);
    }
}

impl Host {
    pub fn new(queues: &[&str]) -> Self {
        Self::with_policy(queues, |_, _| ())
    }

    pub fn with_policy(queues: &[&str], change: impl Fn(&str, &mut QueuePolicy)) -> Self {
        let declare = |name: &&str| {
            let mut policy = QueuePolicy::default();
            policy.retry.max_attempts = 3;
            change(name, &mut policy);
            Declaration {
                name: QueueName::new(name).unwrap(),
                policy,
            }
        };
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let path = folder.path().join("0");
        let clocks = SetClocks {
            wall: Arc::new(AtomicU64::new(1_763_640_000_000)),
            uptime: Arc::new(AtomicU64::new(60_000)),
        };
        let queues = queues.iter().map(declare).collect();
        Self::open(folder, path, clocks, (queues, Vec::new()))
    }

    fn open(
        folder: Arc<tempfile::TempDir>,
        path: PathBuf,
        clocks: SetClocks,
        (queues, topics): (Vec<Declaration>, Vec<TopicDeclaration>),
    ) -> Self {
        let options = Options {
            clock: Clock::Set(clocks.clone()),
            queues: queues.clone(),
            topics: topics.clone(),
            ..Options::default()
        };
        let (store, _) = Store::open(&path, options).unwrap();
        let mut delivered = HashMap::new();
        // Nobody can attach a handler to the queue of the replies.
        let own = |queue: &&Declaration| queue.name.as_str() != limits::REPLIES;
        for queue in queues.iter().filter(own) {
            let collected = Arc::new(Collected::default());
            // What is for pull consumers has a handler only if a test attaches one.
            if queue.policy.pull.allowed.is_none() {
                store.attach(
                    queue.name.clone(),
                    queue.policy.concurrency,
                    Arc::clone(&collected) as Arc<dyn Sink>,
                );
            }
            delivered.insert(queue.name.clone(), collected);
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        Host {
            folder,
            path,
            clocks,
            queues,
            topics,
            store,
            delivered,
            runtime,
        }
    }

    /// Declares the queues anew, with other policies.
    pub fn declare(&mut self, change: impl Fn(&str, &mut QueuePolicy)) {
        for queue in &mut self.queues {
            change(queue.name.as_str(), &mut queue.policy);
        }
        let declaring = self.store.declare(self.queues.clone(), self.topics.clone());
        self.runtime.block_on(declaring).unwrap();
    }

    /// Closes the store and opens it again.
    pub fn reopen(self) -> Self {
        self.runtime.block_on(self.store.close());
        let declared = (self.queues, self.topics);
        Self::open(self.folder, self.path, self.clocks, declared)
    }

    /// Closes the store, lets somebody else at its file, and opens it again.
    pub fn reopen_after(self, change: impl FnOnce(&redb::Database)) -> Self {
        self.runtime.block_on(self.store.close());
        change(&redb::Database::open(self.path.join("store.redb")).unwrap());
        let declared = (self.queues, self.topics);
        Self::open(self.folder, self.path, self.clocks, declared)
    }

    /// Opens a copy of the file that somebody else was let at.
    pub fn open_copy_after(
        &self,
        change: impl FnOnce(&redb::Database),
    ) -> Result<Recovery, OpenError> {
        self.tick();
        let copy = tempfile::tempdir().unwrap();
        files::copy_store(&self.path, copy.path());
        change(&files::database(copy.path()));
        Store::open(copy.path(), Options::default()).map(|(_, recovery)| recovery)
    }

    /// Goes on with the files as they are at this moment, as after kill -9.
    pub fn crash(self) -> Self {
        self.copy(&["inflight"])
    }

    /// Goes on with what was fsynced, as after a power cut.
    pub fn lose_power(self) -> Self {
        self.copy(&[])
    }

    fn copy(self, files: &[&str]) -> Self {
        self.tick();
        self.copy_now(files, |_| ())
    }

    fn copy_now(self, files: &[&str], look: impl FnOnce(&std::path::Path)) -> Self {
        let number: u32 = self
            .path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let path = self.folder.path().join((number + 1).to_string());
        std::fs::create_dir(&path).unwrap();
        files::copy_store(&self.path, &path);
        for file in files {
            std::fs::copy(self.path.join(file), path.join(file)).unwrap();
        }
        let (from, to) = (self.path.join("blobs"), path.join("blobs"));
        std::fs::create_dir(&to).unwrap();
        for large in std::fs::read_dir(from).unwrap() {
            let large = large.unwrap();
            std::fs::copy(large.path(), to.join(large.file_name())).unwrap();
        }
        look(&path);
        Self::open(
            Arc::clone(&self.folder),
            path,
            self.clocks.clone(),
            (self.queues.clone(), self.topics.clone()),
        )
    }

    pub fn open_again(&self) -> OpenError {
        Store::open(&self.path, Options::default()).err().unwrap()
    }

    pub fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap();
        self.clocks.wall.fetch_add(ms, Ordering::SeqCst);
        self.clocks.uptime.fetch_add(ms, Ordering::SeqCst);
        self.tick();
    }

    pub fn tick(&self) {
        // Once for what has become due, and once more for what that has led to.
        self.runtime.block_on(self.store.tick()).unwrap();
        self.runtime.block_on(self.store.tick()).unwrap();
    }

    pub fn send(&self, queue: &str, body: &str) -> Result<Accepted, SendError> {
        self.send_with(queue, body, |_| ())
    }

    pub fn send_with(
        &self,
        queue: &str,
        body: &str,
        change: impl FnOnce(&mut NewMessage),
    ) -> Result<Accepted, SendError> {
        let mut outgoing = send(queue, body);
        change(&mut outgoing.message);
        self.send_all(vec![outgoing]).map(|accepted| accepted[0])
    }

    pub fn send_all(&self, batch: Vec<Outgoing>) -> Result<Vec<Accepted>, SendError> {
        let sent = self.runtime.block_on(self.store.send(batch));
        sent.map(|all| all.into_iter().map(|sent| sent.accepted).collect())
    }

    /// What has been delivered since the last time.
    pub fn delivered(&self, queue: &str) -> Vec<Leased> {
        self.tick();
        std::mem::take(
            &mut *self.delivered[&QueueName::new(queue).unwrap()]
                .0
                .lock()
                .unwrap(),
        )
    }

    pub fn settle(&self, settle: Settle) {
        self.store.settle(settle);
        self.tick();
    }

    pub fn settle_batch(&self, settle: SettleBatch) {
        self.store.settle_batch(settle);
        self.tick();
    }

    pub fn transaction(&self, handler: &str, queues: &[&str]) -> Transaction {
        let destinations = queues
            .iter()
            .map(|queue| (QueueName::new(queue).unwrap(), limits::DEFAULT_MAX_BODY))
            .collect();
        Transaction::new(
            self.store.state(handler.into()),
            self.store.ids(),
            Arc::new(destinations),
            EffectLimits::default(),
            self.store.now(),
        )
    }

    pub fn depths(&self, queue: &str) -> Depths {
        self.view(queue).depths
    }

    pub fn view(&self, queue: &str) -> QueueView {
        self.tick();
        let views = self.runtime.block_on(self.store.views()).unwrap();
        views
            .into_iter()
            .find(|view| view.name.as_str() == queue)
            .unwrap()
    }

    pub fn totals(&self, queue: &str) -> Totals {
        let views = self.runtime.block_on(self.store.views()).unwrap();
        let mut views = views.into_iter();
        views
            .find(|view| view.name.as_str() == queue)
            .unwrap()
            .totals
    }

    pub fn attach(&self, queue: &str) {
        let name = QueueName::new(queue).unwrap();
        let sink = Arc::clone(&self.delivered[&name]) as Arc<dyn Sink>;
        self.store.attach(name, 64, sink);
    }

    pub fn declare_cron(&self, entries: Vec<CronEntry>) -> Vec<CronMark> {
        let declared = self.store.declare_cron(entries);
        self.runtime.block_on(declared).unwrap()
    }

    pub fn fire(&self, firings: Vec<Firing>) -> Vec<Result<Fired, SendError>> {
        self.runtime.block_on(self.store.fire(firings)).unwrap()
    }

    pub fn cron_marks(&self) -> Vec<(String, CronMark)> {
        self.store.cron_marks().unwrap()
    }

    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The data folder.
    pub fn folder(&self) -> &std::path::Path {
        &self.path
    }

    /// All that an operator can look at of a queue, in words.
    pub fn look_at_everything(&self, queue: &str) -> String {
        let queue = QueueName::new(queue).unwrap();
        let views = self.runtime.block_on(self.store.views()).unwrap();
        let waiting = self.runtime.block_on(self.store.peek(queue.clone(), 100));
        let groups = self
            .store
            .dead_groups(&queue, &DeadFilter::default())
            .unwrap();
        let dead = self.store.dead(&queue, &DeadFilter::default(), 0, 100);
        let letters: Vec<_> = dead
            .unwrap()
            .iter()
            .map(|dead| self.store.dead_letter(&queue, dead.sequence).unwrap())
            .collect();
        format!("{views:?}\n{:?}\n{groups:?}\n{letters:?}", waiting.unwrap())
    }

    pub fn detach(&self, queue: &str) {
        self.runtime
            .block_on(self.store.detach(QueueName::new(queue).unwrap()))
            .unwrap();
    }
}

pub fn send(queue: &str, body: &str) -> Outgoing {
    Outgoing {
        queue: QueueName::new(queue).unwrap(),
        message: NewMessage::with_body(body.to_owned()),
    }
}

pub fn names(leased: &[Leased]) -> Vec<MessageId> {
    leased.iter().map(|leased| leased.message.id).collect()
}

pub fn done(leased: &Leased) -> Settle {
    settle(leased, Outcome::Done)
}

pub fn failed(leased: &Leased, error: &str) -> Settle {
    settle(
        leased,
        Outcome::Failed {
            reason: Reason::Retry,
            error: error.into(),
            delay: None,
        },
    )
}

pub fn settle(leased: &Leased, outcome: Outcome) -> Settle {
    Settle {
        fence: leased.fence,
        outcome,
        effects: Effects::default(),
        evidence: Evidence {
            started_at: Timestamp::from_unix_ms(1),
            usage: Usage::default(),
            diagnostics: None,
            module: "00".into(),
            config: "00".into(),
            handler: "handler".into(),
        },
    }
}
