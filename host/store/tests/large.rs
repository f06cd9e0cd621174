//! Large bodies: stored aside for exactly as long as their messages, refused whole, and put aside with
//! their messages when they are damaged.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::path::PathBuf;
use std::time::Duration;

use gristmill_queue::effects::Send;
use gristmill_queue::policy::OnExpiry;
use gristmill_queue::{BlobReader as _, MessageId, NewMessage, Outcome, QueueName};
use gristmill_store::{AdminError, Found, Leased, Outgoing, PurgeStates, SendError, Settle};
use stage::{Host, done, failed, settle};

/// Beyond the largest body that is kept with its message.
const LARGE: usize = 300 * 1024;

fn body(seed: u8) -> Vec<u8> {
    (0..=250)
        .cycle()
        .step_by(31)
        .map(|byte: u8| byte ^ seed)
        .take(LARGE)
        .collect()
}

fn send(host: &Host, queue: &str, seed: u8) -> MessageId {
    let sent = host.send_with(queue, "", |message| message.body = body(seed).into());
    sent.unwrap().id
}

fn files(host: &Host) -> Vec<PathBuf> {
    // What is answered is durable; files go right after that.
    host.depths("orders");
    let found = std::fs::read_dir(host.folder().join("blobs")).unwrap();
    found.map(|entry| entry.unwrap().path()).collect()
}

/// What the body of a delivered message reads as, and that it is not in the message.
fn read(host: &Host, leased: &Leased) -> Vec<u8> {
    assert!(leased.message.body.is_empty());
    let blob = leased.message.blob.unwrap();
    let whole = host.store().open_blob(blob).unwrap().whole();
    whole.unwrap().to_vec()
}

fn reject(leased: &Leased) -> Settle {
    let error = "no".to_owned();
    settle(leased, Outcome::Rejected { error })
}

fn purge(host: &Host, states: PurgeStates) -> u64 {
    host.purge("orders", states)
}

#[test]
fn a_large_body_lives_as_long_as_its_message_over_failure_and_restart() {
    let host = Host::new(&["orders"]);
    send(&host, "orders", 1);
    assert_eq!(files(&host).len(), 1);
    let leased = host.delivered("orders").remove(0);
    host.settle(failed(&leased, "not yet"));
    let host = host.lose_power();
    host.pass(Duration::from_secs(3600));
    let leased = host.delivered("orders").remove(0);
    assert!(read(&host, &leased) == body(1));
    assert_eq!(leased.message.size(), LARGE as u64);
    host.settle(done(&leased));
    assert_eq!(files(&host).len(), 0);
}

#[test]
fn every_way_to_end_removes_the_file_and_death_and_redrive_keep_it() {
    let mut host = Host::with_policy(&["orders"], |_, policy| policy.on_expiry = OnExpiry::Drop);
    let id = send(&host, "orders", 1);
    host.settle(reject(&host.delivered("orders")[0]));
    let letter = host.dead_letter("orders", id).message;
    let opened = host.store().open_blob(letter.blob.unwrap()).unwrap();
    assert_eq!(opened.size(), LARGE as u64);
    assert_eq!(
        host.redrive("orders", gristmill_store::DeadFilter::default()),
        1
    );
    let leased = host.delivered("orders").remove(0);
    assert!(read(&host, &leased) == body(1));
    host.settle(reject(&leased));
    assert_eq!(files(&host).len(), 1);
    let dead = PurgeStates {
        dead: true,
        ..PurgeStates::default()
    };
    assert_eq!(purge(&host, dead), 1);
    assert_eq!(files(&host).len(), 0, "purged from the dead");
    // Who has it open reads it to its end.
    assert!(opened.whole().unwrap() == body(1));

    host.detach("orders");
    let id = send(&host, "orders", 2);
    host.cancel(id).unwrap();
    assert_eq!(files(&host).len(), 0, "cancelled");
    send(&host, "orders", 3);
    let ready = PurgeStates {
        ready: true,
        ..PurgeStates::default()
    };
    assert_eq!(purge(&host, ready), 1);
    assert_eq!(files(&host).len(), 0, "purged");
    let short = host.send_with("orders", "", |message| {
        message.body = body(4).into();
        message.ttl = Some(Duration::from_secs(5));
    });
    short.unwrap();
    host.pass(Duration::from_secs(5));
    assert_eq!(files(&host).len(), 0, "expired");
    host.attach("orders");

    host.declare(|_, policy| policy.dead_retention = Some(Duration::from_secs(60)));
    send(&host, "orders", 5);
    host.settle(reject(&host.delivered("orders")[0]));
    assert_eq!(files(&host).len(), 1);
    host.pass(Duration::from_secs(61));
    assert_eq!(files(&host).len(), 0, "forgotten as a dead letter");
}

#[test]
fn what_is_refused_or_a_duplicate_leaves_no_file() {
    let host = Host::with_policy(&["orders", "small"], |queue, policy| {
        if queue == "small" {
            policy.max_body = 10;
        }
    });
    let large = |queue: &str, seed| {
        let mut message = NewMessage::with_body(body(seed));
        message.dedup_id = Some("key".to_owned());
        Outgoing {
            queue: QueueName::new(queue).unwrap(),
            message,
        }
    };
    for batch in [
        vec![large("orders", 1), large("small", 2)],
        vec![large("orders", 1), large("nowhere", 2)],
    ] {
        let refused = host.send_all(batch);
        assert!(matches!(refused, Err(SendError::InBatch { at: 1, .. })));
        assert_eq!(files(&host).len(), 0);
    }
    let first = host.send_all(vec![large("orders", 1)]).unwrap()[0];
    let same = host.send_all(vec![large("orders", 1)]).unwrap()[0];
    let other = host.send_all(vec![large("orders", 2)]).unwrap()[0];
    assert_eq!(
        (same.id, same.duplicate, same.conflict),
        (first.id, true, false)
    );
    assert_eq!(
        (other.id, other.duplicate, other.conflict),
        (first.id, true, true)
    );
    assert_eq!(files(&host).len(), 1);
}

#[test]
fn a_handlers_large_send_is_stored_with_the_ack_or_not_at_all() {
    let host = Host::new(&["orders", "bills"]);
    for ack in [false, true] {
        let id = host.send("orders", "go").unwrap().id;
        let leased = host.delivered("orders").remove(0);
        assert_eq!(leased.message.id, id);
        let mut settle = if ack {
            done(&leased)
        } else {
            failed(&leased, "no")
        };
        settle.effects.sends.push(Send {
            to: QueueName::new("bills").unwrap(),
            id: host.store().ids().mint(host.now()),
            message: NewMessage::with_body(body(7)),
        });
        host.settle(settle);
        assert_eq!(files(&host).len(), usize::from(ack));
        host.purge(
            "orders",
            PurgeStates {
                ready: true,
                scheduled: true,
                dead: false,
            },
        );
    }
    assert!(read(&host, &host.delivered("bills")[0]) == body(7));
}

#[test]
fn an_edited_letter_may_have_a_large_body_and_its_old_one_goes() {
    let host = Host::new(&["orders"]);
    let id = send(&host, "orders", 1);
    host.settle(reject(&host.delivered("orders")[0]));
    let new = host.redrive_edited("orders", id, body(2)).unwrap();
    let leased = host.delivered("orders").remove(0);
    assert_eq!(leased.message.id, new);
    assert!(read(&host, &leased) == body(2));
    assert_eq!(files(&host).len(), 1);
    let refused = host.redrive_edited("orders", id, body(3));
    assert!(matches!(refused, Err(AdminError::UnknownMessage(_))));
    assert_eq!(files(&host).len(), 1, "what was refused is gone");
}

#[test]
fn a_message_whose_large_body_is_missing_or_damaged_is_put_aside_and_its_file_kept() {
    let host = Host::new(&["orders"]);
    host.detach("orders");
    let gone = send(&host, "orders", 1);
    std::fs::remove_file(&files(&host)[0]).unwrap();
    let damaged = send(&host, "orders", 2);
    let sound = send(&host, "orders", 3);
    host.attach("orders");
    let mut leased = host.delivered("orders");
    leased.sort_by_key(|leased| leased.fence.sequence);
    // What is missing is seen when it is leased; what is damaged, by who reads it.
    assert_eq!(stage::names(&leased), [damaged, sound]);
    host.store().put_aside(leased[0].fence);
    host.settle(done(&leased[1]));
    assert_eq!(
        host.depths("orders"),
        gristmill_queue::board::Depths::default()
    );
    let host = host.lose_power();
    host.pass(Duration::from_secs(86_400));
    assert_eq!(host.delivered("orders").len(), 0);
    assert!(matches!(
        host.find(gone),
        Err(AdminError::UnknownMessage(_) | AdminError::Damaged(_))
    ));
    assert_eq!(
        files(&host).len(),
        1,
        "what is damaged can still be looked at"
    );
}

#[test]
fn a_look_at_a_message_does_not_read_its_large_body() {
    let host = Host::new(&["orders"]);
    host.detach("orders");
    let id = send(&host, "orders", 1);
    // If it were read, it would be found to be damaged.
    let file = files(&host).remove(0);
    let sound = std::fs::read(&file).unwrap();
    std::fs::write(&file, vec![0; sound.len()]).unwrap();
    let Found::Waiting { message, .. } = host.find(id).unwrap() else {
        panic!("it waits");
    };
    assert_eq!(message.message.size(), LARGE as u64);
    assert!(message.message.body.is_empty());
}

#[test]
fn without_room_on_the_disk_a_large_send_is_refused_and_a_handlers_waits() {
    let host = Host::new(&["orders", "bills"]);
    // In place of a full disk: nothing can be made in the folder.
    let folder = host.folder().join("blobs");
    std::fs::remove_dir(&folder).unwrap();
    let refused = host.send_with("orders", "", |message| message.body = body(1).into());
    assert!(
        matches!(refused, Err(SendError::NotStored { .. })),
        "{refused:?}"
    );
    host.send("orders", "small").unwrap();
    let leased = host.delivered("orders").remove(0);
    let mut settle = done(&leased);
    settle.effects.sends.push(Send {
        to: QueueName::new("bills").unwrap(),
        id: host.store().ids().mint(host.now()),
        message: NewMessage::with_body(body(7)),
    });
    host.settle(settle);
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(host.depths("bills").ready, 0);
    host.pass(Duration::from_secs(60));
    let again = host.delivered("orders").remove(0);
    assert_eq!((again.message.id, again.attempt), (leased.message.id, 1));
}
