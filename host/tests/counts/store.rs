//! The store: messages are sent, leased, settled with one message sent, and that one is settled too.
//!
//! All of it happens on the writer's thread, since what is counted must not depend on who is quicker: what
//! it leases is answered while it hands the leases out, so each group holds what the one before led to, and
//! nothing else.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::task::{Context, Waker};

use gristmill_queue::effects::Send;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, IdSource, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp};
use gristmill_store::{
    Clock, Declaration, Evidence, Leased, Options, Outgoing, Settle, Sink, Store,
};

/// Messages of one group.
const GROUP: usize = 64;

/// Settles what is delivered to it: with a message to `out`, and what comes from there without one.
struct Consumer {
    store: Store,
    ids: Arc<IdSource>,
    evidence: Evidence,
    left: AtomicU32,
    ended: Sender<()>,
}

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// Sends a group; nobody waits for the answer.
fn send(store: &Store) {
    let outgoing = Outgoing {
        queue: queue("in"),
        message: NewMessage::with_body(vec![b'x'; 256]),
    };
    let sent = pin!(store.send(vec![outgoing; GROUP]));
    // With the first poll it is in the writer's hands.
    let _ = sent.poll(&mut Context::from_waker(Waker::noop()));
}

impl Consumer {
    fn settle(&self, leased: &Leased, effects: Effects) {
        self.store.settle(Settle {
            fence: leased.fence,
            outcome: Outcome::Done,
            effects,
            evidence: self.evidence.clone(),
        });
    }

    fn forward(&self, leased: &Leased) {
        let mut effects = Effects::default();
        effects.sends.push(Send {
            to: queue("out"),
            id: self.ids.mint(leased.leased_at),
            message: NewMessage::with_body(leased.message.body.clone()),
        });
        self.settle(leased, effects);
    }
}

impl Sink for Consumer {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        assert_eq!(leased.len(), GROUP);
        if leased[0].message.queue.as_str() == "in" {
            leased.iter().for_each(|leased| self.forward(leased));
            return;
        }
        for leased in &leased {
            self.settle(leased, Effects::default());
        }
        if self.left.fetch_sub(1, Ordering::Relaxed) > 1 {
            send(&self.store);
        } else {
            self.ended.send(()).unwrap();
        }
    }
}

/// The lives of so many groups of messages.
pub fn live(rounds: u32) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let declare = |name| Declaration {
        name: queue(name),
        policy: QueuePolicy::default(),
    };
    let now = Arc::new(AtomicU64::new(1_700_000_000_000));
    let options = Options {
        clock: Clock::Manual(now),
        queues: vec![declare("in"), declare("out")],
        ..Options::default()
    };
    let (store, _) = Store::open(folder.path(), options).unwrap();
    let (ended, end) = channel();
    let consumer = Arc::new(Consumer {
        store: store.clone(),
        ids: store.ids(),
        evidence: Evidence {
            started_at: Timestamp::ZERO,
            usage: Usage::default(),
            diagnostics: None,
            module: "".into(),
            config: "".into(),
            handler: "counted".into(),
        },
        left: AtomicU32::new(rounds),
        ended,
    });
    for name in ["in", "out"] {
        let sink = Arc::clone(&consumer) as Arc<dyn Sink>;
        store.attach(queue(name), u32::MAX, sink);
    }
    send(&store);
    end.recv().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(store.close());
}
