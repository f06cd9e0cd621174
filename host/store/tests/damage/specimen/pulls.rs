//! What a consumer outside holds.

use std::time::Duration;

use gristmill_store::{GroupOrder, Receive, Store};

use super::{QUEUES, block_on, name};

/// Lets somebody hold some messages, by leases that end before the store is examined.
pub fn pull(store: &Store) {
    let receive = Receive {
        queue: name(QUEUES[0]),
        max: 9,
        wait: Duration::ZERO,
        visibility: Some(Duration::from_secs(60)),
        order: GroupOrder::Batch,
    };
    let received = block_on(store.receive(receive)).unwrap();
    assert_eq!(received.len(), 9);
}
