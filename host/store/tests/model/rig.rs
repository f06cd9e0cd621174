//! A real store in a folder of its own, driven step by step.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use gristmill_queue::effects::EffectLimits;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{
    Effects, Fence, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp, Transaction,
};
use gristmill_store::{
    ByHand, Clock, Declaration, Evidence, Leased, OpenFile, Options, Outgoing, Settle, SharedSlots,
    Sink, Slots, Store, TopicDeclaration, Watch,
};

use super::super::memory::folder;
use super::super::moment;
use super::script::{GATE, QUEUES, TOPICS};

/// When the first world begins, in milliseconds since 1970.
pub const START: u64 = 1_763_640_000_000;
/// The handler that all queues have.
pub const HANDLER: &str = "handler";

/// On what stores stand that are not to stand on a disk as it is.
#[derive(Clone, Default)]
pub struct Ground {
    pub file: Option<Arc<dyn Fn() -> OpenFile + Send + Sync>>,
    pub log: Option<Arc<dyn Fn() -> OpenFile + Send + Sync>>,
    /// How much of a checkpoint is done before a commit, if no thread does it.
    pub by_hand: Option<Arc<dyn Fn() -> ByHand + Send + Sync>>,
    /// What the log may take. If nothing is said, it is so little that redb makes every fifth commit durable.
    pub log_bytes: Option<u64>,
    pub watch: Option<Watch>,
    /// The most bytes of a body that is kept with its message.
    pub inline: Option<u64>,
}

pub struct Rig {
    ground: Ground,
    folder: tempfile::TempDir,
    generation: u32,
    pub clock: Arc<AtomicU64>,
    pub store: Store,
    delivered: Arc<Collected>,
    gate: Gate,
    runtime: tokio::runtime::Runtime,
}

#[derive(Default)]
struct Collected(Mutex<Vec<Leased>>);

impl Sink for Collected {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.0.lock().unwrap().extend(leased);
    }
}

/// Holds the writer from the delivery of its message until it is opened.
struct Gate {
    closed: Receiver<Fence>,
    open: SyncSender<()>,
}

struct Turnstile {
    closed: SyncSender<Fence>,
    open: Mutex<Receiver<()>>,
}

impl Sink for Turnstile {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for leased in leased {
            let _ = self.closed.send(leased.fence);
            let _ = self.open.lock().unwrap().recv();
        }
    }
}

pub fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

/// The queues and topics that are declared.
pub type Declared = (Vec<Declaration>, Vec<TopicDeclaration>);

/// The declared queues, and the gate.
pub fn declarations(declared: &[(&str, QueuePolicy)]) -> Vec<Declaration> {
    let gate = (GATE, QueuePolicy::default());
    let all = declared.iter().cloned().chain([gate]);
    all.map(|(queue, policy)| Declaration {
        name: name(queue),
        policy,
    })
    .collect()
}

impl Rig {
    /// In a folder that is prepared first.
    pub fn on(ground: Ground, now: u64, prepare: impl FnOnce(&Path), declared: Declared) -> Self {
        let folder = folder();
        let clock = Arc::new(AtomicU64::new(now));
        let path = folder.path().join("0");
        prepare(&path);
        let (store, gate) = open(&path, &clock, &ground, declared);
        Rig {
            ground,
            folder,
            generation: 0,
            clock,
            store,
            delivered: Arc::default(),
            gate,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join(self.generation.to_string())
    }

    /// Closes the store and opens it again.
    pub fn reopen(&mut self, declared: Declared) {
        self.runtime.block_on(self.store.close());
        self.start(declared);
    }

    /// Goes on with the files as they are at this moment: all of them after kill -9, only what is
    /// fsynced after a power cut.
    pub fn die(&mut self, files: &[&str], declared: Declared) {
        self.tick();
        let before = self.path();
        self.generation += 1;
        std::fs::create_dir(self.path()).unwrap();
        moment::copy(&before, &self.path(), files);
        super::large::survive(&before, &self.path());
        self.runtime.block_on(self.store.close());
        std::fs::remove_dir_all(before).unwrap();
        self.start(declared);
    }

    fn start(&mut self, declared: Declared) {
        self.delivered.0.lock().unwrap().clear();
        (self.store, self.gate) = open(&self.path(), &self.clock, &self.ground, declared);
    }

    pub fn attach(&self, queue: &str, own: u32, shared: Option<u32>) {
        let sink = Arc::clone(&self.delivered) as Arc<dyn Sink>;
        let shared = shared.map(|slots| SharedSlots {
            name: HANDLER.into(),
            slots: NonZeroU32::new(slots).unwrap(),
        });
        self.store.attach(name(queue), Slots { own, shared }, sink);
    }

    /// Lets the writer do what has become due, and what that has led to.
    pub fn tick(&self) {
        self.wait(async {
            self.store.tick().await.unwrap();
            self.store.tick().await.unwrap();
        });
    }

    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What has been delivered since the last time, in order.
    pub fn delivered(&self) -> Vec<Leased> {
        self.tick();
        std::mem::take(&mut *self.delivered.0.lock().unwrap())
    }

    /// Holds the writer still until [`Rig::release`]: what is asked of it meanwhile is one group.
    pub fn hold(&self) -> Fence {
        let message = NewMessage::with_body("gate");
        let queue = name(GATE);
        self.wait(self.store.send(vec![Outgoing { queue, message }]))
            .unwrap();
        self.gate.closed.recv().unwrap()
    }

    pub fn release(&self) {
        self.gate.open.send(()).unwrap();
    }

    pub fn transaction(&self) -> Transaction {
        let destinations = QUEUES
            .iter()
            .chain(&TOPICS)
            .map(|queue| (name(queue), super::policy::MAX_BODY));
        Transaction::new(
            self.store.state(HANDLER.into()),
            self.store.ids(),
            Arc::new(destinations.collect()),
            EffectLimits::default(),
            self.store.now(),
        )
    }
}

fn open(
    path: &Path,
    clock: &Arc<AtomicU64>,
    ground: &Ground,
    (queues, topics): Declared,
) -> (Store, Gate) {
    let options = Options {
        clock: Clock::Manual(Arc::clone(clock)),
        queues,
        topics,
        cache_bytes: 1024 * 1024,
        // Small, so that messages are read from the file as well.
        hot_bytes: 2000,
        inline_bytes: ground.inline.unwrap_or(super::large::INLINE),
        open_file: ground.file.as_ref().map(|open| open()),
        open_log: ground.log.as_ref().map(|open| open()),
        log_bytes: ground.log_bytes.unwrap_or(16 * 1024),
        checkpoint_by_hand: ground.by_hand.as_ref().map(|steps| steps()),
        watch: ground.watch.clone(),
        ..Options::default()
    };
    let (store, _) = Store::open(path, options).unwrap();
    let (closed, told) = sync_channel(1);
    let (open, opened) = sync_channel(1);
    let turnstile = Turnstile {
        closed,
        open: Mutex::new(opened),
    };
    store.attach(name(GATE), 1, Arc::new(turnstile));
    let gate = Gate { closed: told, open };
    (store, gate)
}

/// The end of an attempt.
pub fn settle(fence: Fence, outcome: Outcome, effects: Effects) -> Settle {
    Settle {
        fence,
        outcome,
        effects,
        evidence: Evidence {
            started_at: Timestamp::from_unix_ms(1),
            usage: Usage::default(),
            diagnostics: None,
            module: "00".into(),
            config: "00".into(),
            handler: HANDLER.into(),
        },
    }
}

impl Rig {
    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }
}
