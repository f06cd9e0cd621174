//! The rows that leases of pull consumers are: copied, rescued, and damaged.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use gristmill_store::{PullError, Pulled, Salvage, check_store, compact_store, salvage_store};
use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use stage::Host;
use stage::pull::bodies;

const Q: &str = "orders";
const LEASE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lease");
const MESSAGE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("message");

fn host() -> Host {
    Host::with_policy(&[Q], |_, policy| policy.pull.allowed = Some(true))
}

/// Flips a bit of the first row of a table.
fn damage(database: &redb::Database, table: TableDefinition<'_, u64, &'static [u8]>) {
    let writing = database.begin_write().unwrap();
    {
        let mut table = writing.open_table(table).unwrap();
        let (key, mut row) = {
            let (key, row) = table.first().unwrap().unwrap();
            (key.value(), row.value().to_vec())
        };
        let last = row.len() - 1;
        row[last] ^= 1;
        table.insert(key, row.as_slice()).unwrap();
    }
    writing.commit().unwrap();
}

#[test]
fn a_copy_and_a_rescued_store_keep_the_leases_and_their_receipts() {
    let host = host();
    for body in ["a", "b"] {
        host.send(Q, body).unwrap();
    }
    let received = host.receive(Q, 1);
    let key = host.store().receipt_key();
    let folder = tempfile::tempdir().unwrap();
    let (copy, rescued) = (folder.path().join("copy"), folder.path().join("rescued"));
    host.store().backup(&copy, &mut |_: &str, _, _| ()).unwrap();
    compact_store(&copy, &mut |_: &str, _, _| ()).unwrap();
    let how = Salvage {
        names: Vec::new(),
        certain_only: false,
    };
    salvage_store(&copy, &rescued, how, &mut |_: &str, _, _| ()).unwrap();
    for (place, same_key) in [(&copy, true), (&rescued, false)] {
        let report = check_store(place, &mut |_: &str, _, _| ()).unwrap();
        let leases = report.tables.iter().find(|table| table.name == "lease");
        assert_eq!(
            leases.map(|table| (table.sound, table.damaged)),
            Some((1, 0))
        );
        let there = host.at(place);
        assert_eq!(there.store().receipt_key() == key, same_key);
        assert_eq!(bodies(&there.receive(Q, 9)), ["b"]);
        let acked = there.settle_pulled(Q, received[0].fence, Pulled::Ack);
        assert_eq!(acked, Ok(()));
    }
}

#[test]
fn a_damaged_lease_is_told_and_its_message_delivered_again() {
    let host = host();
    host.send(Q, "a").unwrap();
    let received = host.receive_one(Q);
    let host = host.reopen_after(|database| damage(database, LEASE));
    let again = host.receive_one(Q);
    assert_eq!(
        (again.attempt, bodies(std::slice::from_ref(&again))),
        (1, vec!["a".to_owned()])
    );
    let stale = host.settle_pulled(Q, received.fence, Pulled::Ack);
    assert_eq!(stale, Err(PullError::LeaseLost));
    host.settle_pulled(Q, again.fence, Pulled::Ack).unwrap();
    host.reopen_after(|database| {
        let reading = database.begin_read().unwrap();
        assert_eq!(reading.open_table(LEASE).unwrap().len().unwrap(), 0);
    });
}

#[test]
fn a_held_message_whose_record_is_damaged_dies_in_quarantine_and_costs_nobody_else_anything() {
    let host = host();
    for body in ["a", "b"] {
        host.send(Q, body).unwrap();
    }
    let received = host.receive(Q, 1);
    let host = host.reopen_after(|database| damage(database, MESSAGE));
    let error = "never".to_owned();
    let rejected = host.settle_pulled(Q, received[0].fence, Pulled::Reject { error });
    assert_eq!(rejected, Ok(()));
    let depths = host.depths(Q);
    assert_eq!((depths.in_flight, depths.ready, depths.dead), (0, 1, 0));
    assert_eq!(bodies(&host.receive(Q, 9)), ["b"]);
    let host = host.reopen();
    assert_eq!(host.depths(Q).in_flight, 1);
}
