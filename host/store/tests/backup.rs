//! A backup is what one moment has, whole, whatever happens while it is made.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod moment;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gristmill_queue::{BlobReader as _, Message, MessageId, NewMessage, QueueName, QueuePolicy};
use gristmill_store::{
    BackupError, Clock, DeadFilter, Declaration, DestinationError, Options, Outgoing, PurgeStates,
    Salvage, Store, check_store, compact_store, salvage_store,
};

/// Larger bodies lie in files of their own.
const INLINE: u64 = 1000;

fn name() -> QueueName {
    QueueName::new("work").unwrap()
}

fn open(folder: &Path) -> Store {
    let options = Options {
        clock: Clock::Manual(Arc::new(1_763_640_000_000.into())),
        queues: vec![Declaration {
            name: name(),
            policy: QueuePolicy::default(),
        }],
        inline_bytes: INLINE,
        ..Options::default()
    };
    Store::open(folder, options).unwrap().0
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(future)
}

/// Sends a message whose body has that many bytes.
fn send(store: &Store, bytes: usize) -> MessageId {
    let message = NewMessage::with_body("x".repeat(bytes));
    let queue = name();
    let sent = block_on(store.send(vec![Outgoing { queue, message }])).unwrap();
    sent[0].accepted.id
}

/// What waits, and how long the bodies are, all of which were read.
fn waiting(store: &Store) -> BTreeMap<MessageId, u64> {
    let waiting = block_on(store.peek(name(), 10_000)).unwrap();
    let read = |message: &Message| match message.blob {
        Some(blob) => {
            let body = store.open_blob(blob).unwrap().whole().unwrap();
            assert!(body.iter().all(|byte| *byte == b'x'));
            store.open_blob(blob).unwrap().size()
        }
        None => message.body.len() as u64,
    };
    let waiting = waiting
        .iter()
        .map(|one| (one.message.id, read(&one.message)));
    waiting.collect()
}

fn silent() -> impl FnMut(&str, u64, u64) {
    |_: &str, _, _| ()
}

fn bodies(folder: &Path) -> usize {
    std::fs::read_dir(folder.join("blobs")).unwrap().count()
}

#[test]
fn a_backup_is_what_one_moment_has_though_messages_come_and_go_meanwhile() {
    let above = tempfile::tempdir().unwrap();
    let (from, to) = (above.path().join("data"), above.path().join("backup"));
    let store = open(&from);
    let sent: Vec<MessageId> = (0..60).map(|n| send(&store, 200 * n)).collect();
    let before = waiting(&store);
    assert_eq!((before.len(), bodies(&from)), (60, 54));
    let (mut cancelled, mut later) = (0, Vec::new());
    // Between any two steps something comes, and something goes.
    let backup = store.backup(&to, &mut |_, _, _| {
        if let Some(id) = sent.get(cancelled) {
            block_on(store.cancel(*id)).unwrap();
            cancelled += 1;
        }
        later.push(send(&store, 5000));
    });
    let backup = backup.unwrap();
    assert!(cancelled > 50, "only {cancelled} were cancelled meanwhile");
    assert_eq!(backup.bodies.count, 54);
    assert_eq!(backup.bodies.missing, 0);
    // What has ended meanwhile is gone at home, now that nobody holds it.
    let here = waiting(&store);
    let large = here.values().filter(|size| **size > INLINE).count();
    assert_eq!(bodies(&from), large);
    let report = check_store(&to, &mut silent()).unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    assert_eq!(report.bodies.sound, 54);
    let copy = open(&to);
    assert_eq!(waiting(&copy), before);
    // Both go on, and give no id twice.
    let theirs: Vec<MessageId> = (0..100).map(|_| send(&copy, 1)).collect();
    let ours: Vec<MessageId> = (0..100).map(|_| send(&store, 1)).collect();
    for id in &theirs {
        assert!(!ours.contains(id) && !later.contains(id) && !sent.contains(id));
    }
    assert_ne!(theirs[0].sequence(), ours[0].sequence());
    block_on(copy.close());
    block_on(store.close());
}

#[test]
fn two_copies_of_one_backup_give_other_ids() {
    let above = tempfile::tempdir().unwrap();
    let store = open(&above.path().join("data"));
    send(&store, 1);
    let firsts: Vec<u64> = (0..2)
        .map(|n| {
            let to = above.path().join(format!("copy-{n}"));
            store.backup(&to, &mut silent()).unwrap();
            let copy = open(&to);
            let first = send(&copy, 1).sequence();
            block_on(copy.close());
            // Only the first start leaves numbers out.
            let copy = open(&to);
            assert_eq!(send(&copy, 1).sequence(), first + 1);
            block_on(copy.close());
            first
        })
        .collect();
    let next = send(&store, 1).sequence();
    assert!(
        firsts.iter().all(|first| *first > next + (1 << 35)),
        "{firsts:?}, {next}"
    );
    block_on(store.close());
}

#[test]
fn a_backup_is_refused_where_something_is_and_two_at_once_are_one_too_many() {
    let above = tempfile::tempdir().unwrap();
    let (from, to) = (above.path().join("data"), above.path().join("backup"));
    let store = open(&from);
    send(&store, 2000);
    let mut refused = None;
    store
        .backup(&to, &mut |_, _, _| {
            let another = store.backup(&above.path().join("another"), &mut silent());
            refused = another.err();
        })
        .unwrap();
    assert!(matches!(refused, Some(BackupError::Busy)), "{refused:?}");
    let refused = store.backup(&to, &mut silent()).unwrap_err();
    let there = BackupError::Destination(DestinationError::NotEmpty(to));
    assert_eq!(refused.to_string(), there.to_string());
    let names: Vec<_> = std::fs::read_dir(above.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    block_on(store.close());
}

#[test]
fn a_damaged_or_missing_large_body_is_found_and_its_message_is_put_aside_when_rescued() {
    let above = tempfile::tempdir().unwrap();
    let from = above.path().join("data");
    let store = open(&from);
    let ids: Vec<MessageId> = (0..3).map(|_| send(&store, 100_000)).collect();
    block_on(store.close());
    let mut files: Vec<_> = std::fs::read_dir(from.join("blobs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut damaged = std::fs::read(&files[0]).unwrap();
    damaged[70_000] ^= 1;
    std::fs::write(&files[0], damaged).unwrap();
    std::fs::remove_file(&files[1]).unwrap();
    std::fs::write(from.join("blobs/00000000000000ff"), "of none").unwrap();
    let report = check_store(&from, &mut silent()).unwrap();
    let about: Vec<_> = report
        .problems
        .iter()
        .map(|problem| problem.message)
        .collect();
    assert_eq!(
        about,
        [Some(ids[0]), Some(ids[1])],
        "{:#?}",
        report.problems
    );
    assert_eq!((report.bodies.sound, report.bodies.damaged), (1, 2));
    assert_eq!(report.remarks.len(), 1, "{:?}", report.remarks);
    let to = above.path().join("rescued");
    let salvaged = salvage_store(&from, &to, Salvage::default(), &mut silent()).unwrap();
    assert_eq!((salvaged.without_body, salvaged.bodies.count), (2, 1));
    let rescued = open(&to);
    let waiting = waiting(&rescued);
    assert_eq!(waiting.keys().collect::<Vec<_>>(), [&ids[2]]);
    block_on(rescued.close());
}

#[test]
fn a_store_that_closes_does_not_wait_for_its_backup() {
    let above = tempfile::tempdir().unwrap();
    let store = open(&above.path().join("data"));
    send(&store, 1);
    let to = above.path().join("backup");
    let given_up = store.backup(&to, &mut |_, _, _| {
        // It lets go of the file as soon as nobody reads.
        let closing = store.clone();
        std::thread::spawn(move || block_on(closing.close()));
        while is_open(&store) {
            std::thread::yield_now();
        }
    });
    assert!(matches!(given_up, Err(BackupError::Closed)), "{given_up:?}");
    assert!(!to.exists() && !above.path().join("backup.partial").exists());
}

/// Whether a store still answers.
fn is_open(store: &Store) -> bool {
    store.cron_marks().is_ok()
}

#[test]
fn the_file_that_a_dead_host_leaves_is_sound_and_all_of_it_is_rescued() {
    let above = tempfile::tempdir().unwrap();
    let (from, left) = (above.path().join("data"), above.path().join("left"));
    let store = open(&from);
    for _ in 0..50 {
        send(&store, 500);
    }
    block_on(store.tick()).unwrap();
    let before = waiting(&store);
    std::fs::create_dir(&left).unwrap();
    moment::copy(&from, &left, &["store.redb", "store.log"]);
    let report = check_store(&left, &mut silent()).unwrap();
    assert!(report.is_sound(), "{:#?}", report.problems);
    let to = above.path().join("rescued");
    let salvaged = salvage_store(&left, &to, Salvage::default(), &mut silent()).unwrap();
    assert!(
        salvaged.tables.iter().all(|table| table.loose == 0),
        "{salvaged:?}"
    );
    let rescued = open(&to);
    assert_eq!(waiting(&rescued), before);
    block_on(rescued.close());
    compact_store(&left, &mut silent()).unwrap();
    let compacted = open(&left);
    assert_eq!(waiting(&compacted), before);
    block_on(compacted.close());
    block_on(store.close());
}

#[test]
fn what_was_handled_leaves_room_that_compacting_gives_back() {
    let above = tempfile::tempdir().unwrap();
    let from = above.path().join("data");
    let store = open(&from);
    let body = |_| Outgoing {
        queue: name(),
        message: NewMessage::with_body("x".repeat(900)),
    };
    block_on(store.send((0..5000).map(body).collect())).unwrap();
    let all = PurgeStates {
        ready: true,
        scheduled: true,
        dead: true,
    };
    let purged = block_on(store.purge(name(), all, DeadFilter::default())).unwrap();
    assert_eq!(purged, 5000);
    let kept: Vec<MessageId> = (0..10).map(|_| send(&store, 900)).collect();
    let last = kept[9];
    let before = waiting(&store);
    block_on(store.close());
    let compacted = compact_store(&from, &mut silent()).unwrap();
    eprintln!("{compacted:?}");
    assert!(compacted.after < 1024 * 1024, "{compacted:?}");
    assert!(compacted.after <= compacted.before, "{compacted:?}");
    assert!(check_store(&from, &mut silent()).unwrap().is_sound());
    let store = open(&from);
    assert_eq!(waiting(&store), before);
    // It is the same store as before, and no copy of it.
    assert_eq!(send(&store, 1).sequence(), last.sequence() + 1);
    block_on(store.close());
}
