//! Where answers are given: several of a group together, elsewhere, and never before they are durable.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Declaration, Leased, Options, Outgoing, SendError, Sent, Sink, Store};

type Sending = Pin<Box<dyn Future<Output = Result<Vec<Sent>, SendError>> + Send>>;
type Passed = Box<dyn FnOnce() + Send>;

fn queue(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

/// A send that is in the writer's hands.
fn send(store: &Store, to: &str) -> Sending {
    let (store, queue) = (store.clone(), queue(to));
    let message = NewMessage::with_body("x");
    let mut sending: Sending =
        Box::pin(async move { store.send(vec![Outgoing { queue, message }]).await });
    assert!(poll(&mut sending).is_pending());
    sending
}

fn poll(sending: &mut Sending) -> Poll<Result<Vec<Sent>, SendError>> {
    sending
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
}

/// Sends two messages while the writer waits for it: they are the next group, whoever is quicker.
struct Pair {
    store: Store,
    sent: Mutex<Sender<[Sending; 2]>>,
}

impl Sink for Pair {
    fn deliver(self: Arc<Self>, _: Vec<Leased>) {
        let pair = [send(&self.store, "out"), send(&self.store, "out")];
        self.sent.lock().unwrap().send(pair).unwrap();
    }
}

/// A group with two sends, and what was passed on to be run elsewhere.
fn pair(folder: &std::path::Path) -> (Store, [Sending; 2], Receiver<Passed>) {
    let declare = |name| Declaration {
        name: queue(name),
        policy: QueuePolicy::default(),
    };
    let (pass, passed) = channel();
    let options = Options {
        queues: vec![declare("in"), declare("out")],
        answer_elsewhere: Some(Box::new(move |answers| pass.send(answers).unwrap())),
        ..Options::default()
    };
    let (store, _) = Store::open(folder, options).unwrap();
    let (sent, pairs) = channel();
    let sink = Arc::new(Pair {
        store: store.clone(),
        sent: Mutex::new(sent),
    });
    store.attach(queue("in"), 1, sink as Arc<dyn Sink>);
    // Alone in its group, it is answered by the writer.
    let mut alone = send(&store, "in");
    let pair = pairs.recv().unwrap();
    assert!(poll(&mut alone).is_ready(), "nobody else has to answer it");
    (store, pair, passed)
}

fn ready(store: &Store) -> u64 {
    let threads = tokio::runtime::Builder::new_current_thread();
    let views = { threads }.build().unwrap().block_on(store.views());
    let views = views.unwrap();
    let out = views.iter().find(|view| view.name.as_str() == "out");
    out.unwrap().depths.ready
}

#[test]
fn answers_of_one_group_are_given_elsewhere_once_they_are_durable() {
    let folder = tempfile::tempdir().unwrap();
    let (store, mut pair, passed) = pair(folder.path());
    let answers = passed.recv().unwrap();
    assert_eq!(ready(&store), 2, "the commit came first");
    assert!(pair.iter_mut().all(|sending| poll(sending).is_pending()));
    answers();
    for sending in &mut pair {
        assert!(matches!(poll(sending), Poll::Ready(Ok(_))));
    }
}

#[test]
fn answers_that_nobody_gives_leave_it_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, mut pair, passed) = pair(folder.path());
    drop(passed.recv().unwrap());
    for sending in &mut pair {
        let answer = poll(sending);
        assert!(
            matches!(answer, Poll::Ready(Err(SendError::Unknown))),
            "{answer:?}"
        );
    }
}
