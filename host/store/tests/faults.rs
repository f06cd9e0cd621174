//! A store whose writer panics, that is closed while it is asked, or that finds odd files in its folder.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod memory;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{Declaration, Leased, OpenError, Options, Outgoing, SendError, Sink, Store};
use memory::folder;

fn queue() -> QueueName {
    QueueName::new("q").unwrap()
}

fn options() -> Options {
    Options {
        queues: vec![Declaration {
            name: queue(),
            policy: QueuePolicy::default(),
        }],
        ..Options::default()
    }
}

async fn send(store: &Store, body: u64) -> Result<(), SendError> {
    let message = NewMessage::with_body(body.to_string());
    let queue = queue();
    let sent = store.send(vec![Outgoing { queue, message }]).await;
    sent.map(|_| ())
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    let limited = async { tokio::time::timeout(Duration::from_secs(30), future).await };
    runtime.block_on(limited).expect("an answer")
}

fn stored(folder: &Path) -> BTreeSet<u64> {
    let (store, _) = Store::open(folder, options()).unwrap();
    let peeked = block_on(store.peek(queue(), 1000)).unwrap();
    block_on(store.close());
    let bodies = peeked.iter().map(|peeked| peeked.message.body.clone());
    bodies
        .map(|body| std::str::from_utf8(&body).unwrap().parse().unwrap())
        .collect()
}

/// Takes what it is given badly.
struct Clumsy;

impl Sink for Clumsy {
    fn deliver(self: Arc<Self>, _leased: Vec<Leased>) {
        panic!("dropped it");
    }
}

#[test]
fn a_panic_in_the_writer_ends_it_like_a_failed_commit() {
    let folder = folder();
    let (told, fatal) = mpsc::channel();
    let on_fatal: gristmill_store::OnFatal =
        Box::new(move |fatal| told.send(fatal.to_string()).unwrap());
    let options = Options {
        on_fatal: Some(on_fatal),
        ..options()
    };
    let (store, _) = Store::open(folder.path(), options).unwrap();
    store.attach(queue(), 1, Arc::new(Clumsy));
    block_on(send(&store, 1)).unwrap();
    let fatal = fatal.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(fatal.contains("dropped it"), "{fatal}");
    assert_eq!(block_on(send(&store, 2)), Err(SendError::Unknown));
    block_on(store.close());
    assert_eq!(stored(folder.path()), BTreeSet::from([1]));
}

#[test]
fn who_asks_while_the_store_closes_is_answered_or_told_that_it_is_not_known() {
    let folder = folder();
    let (store, _) = Store::open(folder.path(), options()).unwrap();
    let accepted = block_on(async {
        let sends: Vec<_> = (0..200)
            .map(|body| {
                let store = store.clone();
                tokio::spawn(async move { (body, send(&store, body).await) })
            })
            .collect();
        let closes: Vec<_> = (0..3)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.close().await })
            })
            .collect();
        for close in closes {
            close.await.unwrap();
        }
        let mut accepted = BTreeSet::new();
        for sent in sends {
            match sent.await.unwrap() {
                (body, Ok(())) => accepted.insert(body),
                (_, Err(error)) => {
                    assert_eq!(error, SendError::Unknown);
                    false
                }
            };
        }
        accepted
    });
    assert!(stored(folder.path()).is_superset(&accepted));
}

#[test]
fn a_store_whose_handles_are_all_gone_closes_by_itself() {
    let folder = folder();
    let (store, _) = Store::open(folder.path(), options()).unwrap();
    block_on(send(&store, 1)).unwrap();
    drop(store);
    let opened = loop {
        match Store::open(folder.path(), options()) {
            Err(OpenError::InUse { .. }) => std::thread::yield_now(),
            opened => break opened,
        }
    };
    block_on(opened.unwrap().0.close());
    assert_eq!(stored(folder.path()), BTreeSet::from([1]));
}

#[test]
fn bodies_are_private_from_the_first_moment_on() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    let path = folder.path().join("made");
    let (store, _) = Store::open(&path, options()).unwrap();
    block_on(store.close());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    for file in ["store.redb", "inflight", "lock"] {
        assert_eq!(mode(&path.join(file)), 0o600, "{file}");
    }
}

#[test]
fn what_is_left_of_a_store_that_was_not_finished_is_made_again() {
    let folder = folder();
    // As redb leaves it when the power goes before its magic number is there.
    std::fs::write(folder.path().join("store.redb.new"), vec![0; 8192]).unwrap();
    let (store, recovery) = Store::open(folder.path(), options()).unwrap();
    assert_eq!(recovery.boot, 1);
    block_on(send(&store, 1)).unwrap();
    block_on(store.close());
    assert_eq!(stored(folder.path()), BTreeSet::from([1]));
    assert!(!folder.path().join("store.redb.new").exists());
}

#[test]
fn an_in_flight_file_of_garbage_accuses_nobody_and_one_that_cannot_be_read_is_named() {
    let folder = folder();
    let garbage: Vec<u8> = (0..10_000u32).map(|n| (n * 7 % 251) as u8).collect();
    std::fs::write(folder.path().join("inflight"), garbage).unwrap();
    let (store, recovery) = Store::open(folder.path(), options()).unwrap();
    assert_eq!(recovery.suspects, 0);
    block_on(store.close());
    let inflight = folder.path().join("inflight");
    std::fs::remove_file(&inflight).unwrap();
    std::fs::create_dir(&inflight).unwrap();
    let refused = Store::open(folder.path(), options()).err().unwrap();
    assert!(matches!(refused, OpenError::Folder { .. }), "{refused}");
}

#[test]
fn ten_thousand_queues_take_a_batch_across_all_of_them_and_keep_it() {
    let folder = folder();
    let name = |n: u32| QueueName::new(&format!("q{n}")).unwrap();
    let queues = || {
        let queues = (0..10_000).map(|n| Declaration {
            name: name(n),
            policy: QueuePolicy::default(),
        });
        queues.collect::<Vec<_>>()
    };
    let many = || Options {
        queues: queues(),
        ..Options::default()
    };
    let (store, _) = Store::open(folder.path(), many()).unwrap();
    let batch = (0..10_000).map(|n| Outgoing {
        queue: name(n),
        message: NewMessage::with_body("x"),
    });
    block_on(store.send(batch.collect())).unwrap();
    block_on(store.declare(queues(), Vec::new())).unwrap();
    block_on(store.close());
    let (store, recovery) = Store::open(folder.path(), many()).unwrap();
    assert_eq!(recovery.waiting, 10_000);
    let views = block_on(store.views()).unwrap();
    assert!(views.iter().all(|view| view.depths.ready == 1));
    block_on(store.close());
}
