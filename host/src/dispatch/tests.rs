//! When a line starts what it has gathered. Nothing serves, so what starts is
//! handed back at once and no longer under way.

use std::sync::Arc;
use std::time::Duration;

use gristmill_queue::{Envelope, Fence, Message, QueueName, Timestamp};
use gristmill_store::{Leased, Options, Sink, Store};

use super::*;

mod timeout;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);

struct Rig {
    dispatcher: Dispatcher,
    line: Arc<Line>,
    _folder: tempfile::TempDir,
}

fn rig(size: usize, slots: u32, wait: Duration) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(folder.path(), Options::default()).unwrap();
    let dispatcher = Dispatcher::new(Queues::new(store), tokio::runtime::Handle::current());
    let queue = QueueName::new("work").unwrap();
    let how = LineSpec {
        slots: slots.into(),
        batch: Some(BatchLimits {
            size,
            wait,
            bytes: 1000,
        }),
        config: "".into(),
    };
    dispatcher.open(&queue, &Arc::new(HandlerSlot::new("work")), how);
    let line = Arc::clone(&dispatcher.lines()[&queue]);
    Rig {
        dispatcher,
        line,
        _folder: folder,
    }
}

impl Rig {
    fn deliver(&self, alone: &[bool]) {
        let leased = alone.iter().map(|&alone| leased(alone)).collect();
        Arc::clone(&self.line).deliver(leased);
    }

    /// How many are under way once all tasks have done what they can.
    async fn running(&self) -> usize {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.dispatcher.running()
    }
}

fn leased(alone: bool) -> Leased {
    let ids = gristmill_queue::IdSource::new(1, 0);
    Leased {
        fence: Fence {
            boot: 0,
            lease: 0,
            sequence: 0,
        },
        message: Arc::new(Message {
            blob: None,
            id: ids.mint(Timestamp::ZERO),
            queue: QueueName::new("work").unwrap(),
            enqueued_at: Timestamp::ZERO,
            expires_at: None,
            envelope: Envelope::default(),
            body: "{}".into(),
        }),
        attempt: 1,
        max_attempts: 10,
        previous_failure: None,
        fresh: alone,
        alone,
        leased_at: Timestamp::ZERO,
    }
}

#[tokio::test]
async fn a_batch_that_is_not_full_starts_when_its_first_message_has_waited() {
    let rig = rig(4, 64, Duration::from_millis(5));
    // And once more: the next batch has a timer, too.
    for _ in 0..2 {
        rig.deliver(&[false]);
        rig.deliver(&[false]);
        let ended = tokio::time::timeout(LONG, rig.dispatcher.shared.running.wait());
        assert!(ended.await.is_ok());
    }
}

#[tokio::test]
async fn a_full_batch_starts_at_once_and_what_is_left_waits() {
    let rig = rig(4, 64, LONG);
    rig.deliver(&[false, false, false]);
    assert_eq!(rig.running().await, 3);
    rig.deliver(&[false, false]);
    assert_eq!(rig.running().await, 1);
}

#[tokio::test]
async fn what_has_to_run_by_itself_does_not_wait_for_a_batch() {
    let rig = rig(4, 64, LONG);
    rig.deliver(&[true, false, true]);
    assert_eq!(rig.running().await, 1);
}

#[tokio::test]
async fn nothing_waits_when_all_slots_are_taken() {
    let rig = rig(4, 2, LONG);
    rig.deliver(&[false]);
    assert_eq!(rig.running().await, 1);
    rig.deliver(&[false]);
    assert_eq!(rig.running().await, 0);
}

#[tokio::test]
async fn what_waits_is_handed_back_when_the_line_closes() {
    let rig = rig(4, 64, LONG);
    rig.deliver(&[false, false]);
    assert_eq!(rig.running().await, 2);
    assert!(rig.dispatcher.stop(Duration::from_secs(1)).await);
    assert_eq!(rig.dispatcher.running(), 0);
    // What was leased just before is not left waiting.
    rig.deliver(&[false]);
    assert_eq!(rig.running().await, 0);
}
