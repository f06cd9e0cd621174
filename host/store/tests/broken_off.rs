//! Backups that are not made, or not wholly: what is left of them is taken for no store.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod memory;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gristmill_queue::{NewMessage, QueueName, QueuePolicy};
use gristmill_store::{
    BackupError, Declaration, OpenError, Options, Outgoing, Store, check_store, move_copy,
};

/// Larger bodies lie in files of their own.
const INLINE: u64 = 1000;

fn name() -> QueueName {
    QueueName::new("work").unwrap()
}

fn options() -> Options {
    Options {
        queues: vec![Declaration {
            name: name(),
            policy: QueuePolicy::default(),
        }],
        inline_bytes: INLINE,
        ..Options::default()
    }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, options()).unwrap().0
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(future)
}

/// Sends so many messages, whose bodies have that many bytes.
fn send(store: &Store, count: usize, bytes: usize) {
    let outgoing = |_| Outgoing {
        queue: name(),
        message: NewMessage::with_body("x".repeat(bytes)),
    };
    block_on(store.send((0..count).map(outgoing).collect())).unwrap();
}

/// The sizes of the bodies that wait, all of which are read.
fn sizes(store: &Store) -> Vec<u64> {
    let waiting = block_on(store.peek(name(), 10_000)).unwrap();
    let size = |one: &gristmill_store::Peeked| match one.message.blob {
        Some(blob) => {
            let body = store.open_blob(blob).unwrap().whole().unwrap();
            assert!(body.iter().all(|byte| *byte == b'x'));
            body.len() as u64
        }
        None => one.message.body.len() as u64,
    };
    waiting.iter().map(size).collect()
}

fn silent() -> impl FnMut(&str, u64, u64) {
    |_: &str, _, _| ()
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn what_a_backup_that_was_broken_off_at_any_step_leaves_is_no_store_and_is_in_nobodys_way() {
    let above = memory::folder();
    let (from, to) = (above.path().join("data"), above.path().join("backup"));
    let partial = above.path().join("backup.partial");
    let store = open(&from);
    send(&store, 3, 5000);
    send(&store, 20, 100);
    let before = sizes(&store);
    let mut steps = 0;
    let backup = store.backup(&to, &mut |_, _, _| {
        assert!(!to.exists(), "it has its name before it is whole");
        // What is found if the host is killed here.
        let left = above.path().join(format!("left{steps}.partial"));
        copy_tree(&partial, &left);
        steps += 1;
    });
    backup.unwrap();
    // One step for each large body, and two for most of the tables.
    assert!(steps > 20, "{steps}");
    for step in 0..steps {
        let whole = above.path().join(format!("left{step}"));
        let left = above.path().join(format!("left{step}.partial"));
        let refused = Store::open(&left, options()).map(|_| ()).unwrap_err();
        let unfinished = matches!(refused, OpenError::Unfinished { .. });
        assert!(unfinished, "step {step}: {refused}");
        if step % 5 == 0 {
            store.backup(&whole, &mut silent()).unwrap();
            assert!(!left.exists(), "step {step}");
            assert!(check_store(&whole, &mut silent()).unwrap().is_sound());
            let copy = open(&whole);
            assert_eq!(sizes(&copy), before, "step {step}");
            block_on(copy.close());
        }
    }
    assert!(check_store(&to, &mut silent()).unwrap().is_sound());
    let copy = open(&to);
    assert_eq!(sizes(&copy), before);
    block_on(copy.close());
    block_on(store.close());
}

#[test]
fn a_backup_for_whose_sake_the_store_grows_too_much_is_given_up_and_leaves_nothing() {
    let above = tempfile::tempdir().unwrap();
    let (from, to) = (above.path().join("data"), above.path().join("backup"));
    let little = Options {
        backup_growth: 1024 * 1024,
        ..options()
    };
    let store = Store::open(&from, little).unwrap().0;
    send(&store, 100, 900);
    let given_up = store.backup(&to, &mut |_, _, _| send(&store, 2000, 900));
    let Err(BackupError::Grown { grown }) = given_up else {
        panic!("{given_up:?}");
    };
    assert!(grown > 1024 * 1024, "{grown}");
    let left: Vec<_> = fs::read_dir(above.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // The store goes on, and a backup while nothing comes is made.
    store.backup(&to, &mut silent()).unwrap();
    block_on(store.close());
}

/// Two folders on different disks, if there are such.
fn two_disks() -> Option<(tempfile::TempDir, tempfile::TempDir)> {
    let (one, other) = (memory::folder(), tempfile::tempdir().unwrap());
    let disk = |folder: &tempfile::TempDir| fs::metadata(folder.path()).unwrap().dev();
    (disk(&one) != disk(&other)).then_some((one, other))
}

#[test]
fn large_bodies_go_to_another_disk_as_copies_and_move_there_whole() {
    let Some((here, there)) = two_disks() else {
        eprintln!("SKIP: this machine has no two disks to write to");
        return;
    };
    let store = open(&here.path().join("data"));
    send(&store, 3, 5000);
    send(&store, 1, 2 * 1024 * 1024);
    let before = sizes(&store);
    let to = there.path().join("backup");
    let backup = store.backup(&to, &mut silent()).unwrap();
    let bodies = backup.bodies;
    assert_eq!((bodies.count, bodies.linked, bodies.missing), (4, 0, 0));
    assert_eq!(bodies.bytes, 3 * 5000 + 2 * 1024 * 1024);
    // What is made here is moved there: the command's way while a host runs confined.
    let (near, far) = (here.path().join("near"), there.path().join("far"));
    store.backup(&near, &mut silent()).unwrap();
    move_copy(&near, &far).unwrap();
    assert!(!near.exists());
    block_on(store.close());
    for copy in [to, far] {
        let report = check_store(&copy, &mut silent()).unwrap();
        assert!(report.is_sound(), "{:#?}", report.problems);
        assert_eq!(report.bodies.sound, 4);
        let copy = open(&copy);
        assert_eq!(sizes(&copy), before);
        block_on(copy.close());
    }
}
