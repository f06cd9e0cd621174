//! What a store does when little of the disk is left, as it is told by a file system of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use gristmill_queue::effects::EffectLimits;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, NewMessage, Outcome, QueueName, QueuePolicy, Transaction, limits};
use gristmill_store::{
    AdminError, Clock, DeadFilter, Declaration, DiskReserve, Evidence, Leased, Options, Outgoing,
    SendError, Settle, Sink, Space, Store,
};

const MIB: u64 = 1024 * 1024;
const RESERVE: u64 = 100 * MIB;

#[derive(Default)]
struct Collected(Mutex<Vec<Leased>>);

impl Sink for Collected {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        self.0.lock().unwrap().extend(leased);
    }
}

/// A store whose disk has as much room as it is told, and whose time passes when it is told.
struct Small {
    store: Store,
    free: Arc<AtomicU64>,
    looks: Arc<AtomicU64>,
    time: Arc<AtomicU64>,
    delivered: Arc<Collected>,
    runtime: tokio::runtime::Runtime,
}

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

fn outgoing(body: Vec<u8>) -> Outgoing {
    Outgoing {
        queue: name("q"),
        message: NewMessage::with_body(body),
    }
}

impl Small {
    fn open(folder: &Path) -> Self {
        let free = Arc::new(AtomicU64::new(1000 * MIB));
        let (looks, time) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicU64::new(1_763_640_000_000)),
        );
        let (told, counted) = (Arc::clone(&free), Arc::clone(&looks));
        let space = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Space {
                free: told.load(Ordering::SeqCst),
                total: 4000 * MIB,
            })
        };
        let queues = ["q", "out"].map(|queue| Declaration {
            name: name(queue),
            policy: QueuePolicy::default(),
        });
        let options = Options {
            clock: Clock::Manual(Arc::clone(&time)),
            queues: queues.into(),
            disk_reserve: DiskReserve::Bytes(RESERVE),
            space: Some(Box::new(space)),
            ..Options::default()
        };
        let (store, _) = Store::open(folder, options).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread();
        Small {
            store,
            free,
            looks,
            time,
            delivered: Arc::default(),
            runtime: { runtime }.build().unwrap(),
        }
    }

    fn leave_free(&self, free: u64) {
        self.free.store(free, Ordering::SeqCst);
        self.time.fetch_add(1000, Ordering::SeqCst);
        self.tick();
    }

    fn tick(&self) {
        self.runtime.block_on(self.store.tick()).unwrap();
        self.runtime.block_on(self.store.tick()).unwrap();
    }

    fn send(&self, message: Outgoing) -> Result<(), SendError> {
        let sent = self.runtime.block_on(self.store.send(vec![message]));
        sent.map(drop)
    }

    fn take(&self) -> Vec<Leased> {
        self.tick();
        std::mem::take(&mut *self.delivered.0.lock().unwrap())
    }

    fn settle(&self, leased: &Leased, effects: Effects) {
        self.end(leased, Outcome::Done, effects);
    }

    /// It is dead.
    fn reject(&self, leased: &Leased) {
        let error = "no".to_owned();
        self.end(leased, Outcome::Rejected { error }, Effects::default());
    }

    fn dead(&self, queue: &str) -> u64 {
        let views = self.runtime.block_on(self.store.views()).unwrap();
        let mut views = views.into_iter();
        views
            .find(|view| view.name == name(queue))
            .unwrap()
            .depths
            .dead
    }

    fn end(&self, leased: &Leased, outcome: Outcome, effects: Effects) {
        self.store.settle(Settle {
            fence: leased.fence,
            outcome,
            effects,
            evidence: Evidence {
                started_at: leased.leased_at,
                usage: Usage::default(),
                diagnostics: None,
                module: "m".into(),
                config: "c".into(),
                handler: "h".into(),
            },
        });
        self.tick();
    }

    /// What is ready in a queue, and how often an attempt was handed back.
    fn ready(&self, queue: &str) -> (u64, u64) {
        let views = self.runtime.block_on(self.store.views()).unwrap();
        let view = views.into_iter().find(|view| view.name == name(queue));
        let view = view.unwrap();
        let waiting = view.depths.ready + view.depths.scheduled;
        (waiting, view.totals.handed_back)
    }
}

#[test]
fn little_room_refuses_what_is_sent_and_lets_what_is_there_end() {
    let folder = tempfile::tempdir().unwrap();
    let small = Small::open(folder.path());
    for _ in 0..2 {
        small.send(outgoing(b"x".to_vec())).unwrap();
    }
    small.leave_free(RESERVE);
    let refused = small.send(outgoing(b"x".to_vec()));
    let Err(SendError::Reserve(reached)) = refused else {
        panic!("{refused:?}");
    };
    // What was taken in is not written yet, and so is not free.
    assert_eq!(
        (reached.folder.as_path(), reached.reserve),
        (folder.path(), RESERVE)
    );
    assert!(reached.free < RESERVE, "{reached:?}");

    small
        .store
        .attach(name("q"), 2, Arc::clone(&small.delivered) as Arc<dyn Sink>);
    let [first, second] = small.take().try_into().unwrap();
    small.settle(&first, Effects::default());
    assert_eq!(small.ready("q"), (0, 0), "it has ended");
    // What a handler sends needs room as well; that there is none is not its message's fault.
    let mut transaction = Transaction::new(
        small.store.state("h".into()),
        small.store.ids(),
        Arc::new([(name("out"), limits::DEFAULT_MAX_BODY)].into()),
        EffectLimits::default(),
        small.store.now(),
    );
    transaction.send("out", NewMessage::with_body("y")).unwrap();
    small.settle(&second, transaction.finish());
    assert_eq!((small.ready("q"), small.ready("out")), ((1, 1), (0, 0)));

    small.leave_free(1000 * MIB);
    small.send(outgoing(b"x".to_vec())).unwrap();
    let again = small.take();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|leased| leased.attempt == 1), "{again:?}");
}

#[test]
fn an_edited_letter_needs_room_as_a_send_does_and_one_that_is_redriven_as_it_is_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let small = Small::open(folder.path());
    small
        .store
        .attach(name("q"), 2, Arc::clone(&small.delivered) as Arc<dyn Sink>);
    small.send(outgoing(b"x".to_vec())).unwrap();
    let leased = small.take().remove(0);
    let id = leased.message.id;
    small.reject(&leased);
    small.leave_free(RESERVE);
    let edit = |body: &'static str| {
        let edited = small.store.redrive_edited(name("q"), id, body.into());
        small.runtime.block_on(edited)
    };
    let refused = edit("mended").unwrap_err();
    let reserve = matches!(refused, AdminError::NotStored(SendError::Reserve(_)));
    assert!(reserve, "{refused}");
    assert_eq!(small.dead("q"), 1, "it is where it was");
    let as_it_is = small.store.redrive(name("q"), DeadFilter::default());
    small.runtime.block_on(as_it_is).unwrap();
    let again = small.take().remove(0);
    small.reject(&again);
    small.leave_free(1000 * MIB);
    edit("mended").unwrap();
    let mended = small.take().remove(0);
    assert_eq!(&mended.message.body[..], b"mended");
    assert_eq!(small.dead("q"), 0);
}

#[test]
fn a_repeat_is_told_the_id_of_the_first_however_little_room_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let small = Small::open(folder.path());
    let mut message = outgoing(b"x".to_vec());
    message.message.dedup_id = Some("once".into());
    small.send(message.clone()).unwrap();
    small.leave_free(0);
    small.send(message).unwrap();
    assert!(matches!(
        small.send(outgoing(b"x".to_vec())),
        Err(SendError::Reserve(_))
    ));
}

#[test]
fn a_large_body_is_refused_before_it_takes_the_reserve_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let small = Small::open(folder.path());
    small.leave_free(RESERVE + MIB);
    let large = vec![7; 4 * 1024 * 1024];
    let mut writer = small.store.blob_writer(&name("q")).unwrap();
    let refused = writer.write(&large);
    assert!(matches!(refused, Err(SendError::Reserve(_))), "{refused:?}");
    drop(writer);
    let refused = small.send(outgoing(large.clone()));
    assert!(matches!(refused, Err(SendError::Reserve(_))), "{refused:?}");
    let left = std::fs::read_dir(folder.path().join("blobs")).unwrap();
    assert_eq!(left.count(), 0);
    small.leave_free(1000 * MIB);
    small.send(outgoing(large)).unwrap();
}

#[test]
fn the_file_system_is_asked_a_few_times_a_second_however_much_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let small = Small::open(folder.path());
    let before = small.looks.load(Ordering::SeqCst);
    for _ in 0..500 {
        small.send(outgoing(b"x".to_vec())).unwrap();
    }
    // Once for the time that went by, and once whenever the log was full, which takes 256 commits.
    assert!(small.looks.load(Ordering::SeqCst) - before <= 3);
}
