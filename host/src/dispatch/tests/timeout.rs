//! When the time of an attempt begins and ends: a store, a sandbox and a guest that waits.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gristmill_queue::board::Totals;
use gristmill_queue::{NewMessage, QueueName};
use gristmill_store::{Declaration, Leased, Options, Outgoing, Sink, Store};

use crate::dispatch::{Dispatcher, HandlerSlot, LineSpec};
use crate::queues::Queues;
use crate::runtime::tests::guests::{SLEEP, component};
use crate::runtime::tests::{runtime_in, spec};

/// How long the guest waits in a host call …
const WAITS: Duration = Duration::from_millis(300);
/// … and how long it may take: more than one wait and less than two.
const TIMEOUT: Duration = Duration::from_millis(500);

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

/// Holds the writer from the delivery of its message until it is opened.
struct Turnstile {
    closed: SyncSender<()>,
    open: Mutex<Receiver<()>>,
}

impl Sink for Turnstile {
    fn deliver(self: Arc<Self>, _leased: Vec<Leased>) {
        let _ = self.closed.send(());
        let _ = self.open.lock().unwrap().recv();
    }
}

/// Queue `work` with a handler that waits, in a sandbox for one instance at a time; and queue
/// `gate`, whose message holds the writer.
struct Stage {
    queues: Queues,
    dispatcher: Dispatcher,
    closed: Receiver<()>,
    open: SyncSender<()>,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let declare = |queue: &str| Declaration {
            name: name(queue),
            policy: gristmill_queue::QueuePolicy::default(),
        };
        let options = Options {
            queues: vec![declare("work"), declare("gate")],
            ..Options::default()
        };
        let (store, _) = Store::open(&folder.path().join("store"), options).unwrap();
        let queues = Queues::new(store);
        let module = component(
            &[SLEEP],
            &format!(
                "(func $handle (param i32) (result i32)
                   (call $block (call $subscribe (i64.const {}))) i32.const 1024)",
                WAITS.as_nanos()
            ),
        );
        let spec = spec(|spec| spec.limits.timeout = TIMEOUT);
        let version = runtime_in(&folder, 1).load(&spec, &module).unwrap();
        let dispatcher = Dispatcher::new(queues.clone(), tokio::runtime::Handle::current());
        let slot = Arc::new(HandlerSlot::new("work"));
        slot.serve(version, &queues);
        let how = LineSpec {
            slots: 2.into(),
            batch: None,
            config: "".into(),
        };
        dispatcher.open(&name("work"), &slot, how);
        let (closed, told) = sync_channel(1);
        let (open, opened) = sync_channel(1);
        let turnstile = Turnstile {
            closed,
            open: Mutex::new(opened),
        };
        queues.attach(name("gate"), 1, Arc::new(turnstile));
        Stage {
            queues,
            dispatcher,
            closed: told,
            open,
            _folder: folder,
        }
    }

    async fn send(&self, queue: &str, count: usize) {
        let outgoing = || Outgoing {
            queue: name(queue),
            message: NewMessage::with_body("x"),
        };
        let batch = (0..count).map(|_| outgoing()).collect();
        self.queues.send_all(batch).await.unwrap();
    }

    /// Until all that was begun has ended.
    async fn idle(&self) {
        self.dispatcher.shared.running.wait().await;
    }

    async fn totals(&self) -> Totals {
        let views = self.queues.list().await.unwrap();
        let view = views.into_iter().find(|view| view.name == name("work"));
        view.unwrap().totals
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_for_an_instance_takes_nothing_of_the_timeout() {
    let stage = Stage::new();
    // Both are leased at once; the second waits until the first is done, and then waits as long.
    stage.send("work", 2).await;
    // Every question waits for the store's writer, so this is no busy loop.
    let mut totals = stage.totals().await;
    while totals.acked + totals.failed + totals.handed_back < 2 {
        totals = stage.totals().await;
    }
    assert_eq!((totals.acked, totals.failed, totals.handed_back), (2, 0, 0));
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ok_in_time_counts_however_long_its_commit_takes() {
    let stage = Stage::new();
    stage.send("work", 1).await;
    // The writer stops here: the guest returns in time, but nothing can be committed.
    stage.send("gate", 1).await;
    tokio::task::block_in_place(|| stage.closed.recv()).unwrap();
    stage.idle().await;
    tokio::time::sleep(TIMEOUT).await;
    stage.open.send(()).unwrap();
    let totals = stage.totals().await;
    assert_eq!((totals.acked, totals.failed), (1, 0));
    stage.queues.close().await;
}
