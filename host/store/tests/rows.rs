//! Rows that were changed behind the store's back, one by one: what it makes of each.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use gristmill_queue::NewMessage;
use gristmill_store::{OpenError, PurgeStates};
use redb::{Database, ReadableTable, Table, TableDefinition, TableHandle as _};
use stage::{Host, failed, names};

type DeadKey = (u32, u64);
type DamageOfTheDead = fn(&mut Table<'_, DeadKey, &'static [u8]>, DeadKey);

const MESSAGE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("message");
const INDEX: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("index");
const DEAD_INDEX: TableDefinition<'_, DeadKey, &[u8]> = TableDefinition::new("dead_index");
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
const QUEUE: TableDefinition<'_, &str, (u32, bool)> = TableDefinition::new("queue");
const QUARANTINE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("quarantine");

fn flip(
    database: &Database,
    table: TableDefinition<'static, u64, &'static [u8]>,
    pick: impl Fn(u64) -> bool,
) {
    let transaction = database.begin_write().unwrap();
    {
        let mut table = transaction.open_table(table).unwrap();
        let rows: Vec<(u64, Vec<u8>)> = table
            .iter()
            .unwrap()
            .map(|row| {
                let (key, bytes) = row.unwrap();
                (key.value(), bytes.value().to_vec())
            })
            .collect();
        for (key, mut bytes) in rows.into_iter().filter(|(key, _)| pick(*key)) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            table.insert(key, bytes.as_slice()).unwrap();
        }
    }
    transaction.commit().unwrap();
}

fn expiring(message: &mut NewMessage) {
    message.ttl = Some(Duration::from_secs(10));
}

#[test]
fn a_damaged_record_is_put_aside_and_its_neighbours_are_delivered() {
    let host = Host::new(&["orders"]);
    let ids = ["one", "two"].map(|body| host.send("orders", body).unwrap().id);
    let host = host.reopen_after(|database| flip(database, MESSAGE, |n| n == ids[0].sequence()));
    assert_eq!(names(&host.delivered("orders")), [ids[1]]);
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.in_flight), (0, 1));
    let host = host.reopen_after(|database| {
        let read = database.begin_write().unwrap();
        let kept = read.open_table(QUARANTINE).unwrap();
        assert!(kept.get(ids[0].sequence()).unwrap().is_some());
        let index = read.open_table(INDEX).unwrap();
        assert!(index.get(ids[0].sequence()).unwrap().is_none());
    });
    assert_eq!(names(&host.delivered("orders")), [ids[1]]);
}

#[test]
fn a_damaged_record_that_expires_is_no_dead_letter() {
    let host = Host::new(&["orders"]);
    host.detach("orders");
    host.send_with("orders", "one", expiring).unwrap();
    let host = host.reopen_after(|database| flip(database, MESSAGE, |_| true));
    host.detach("orders");
    let host = host.reopen();
    host.pass(Duration::from_secs(10));
    let depths = host.depths("orders");
    assert_eq!((depths.ready, depths.dead, depths.bytes), (0, 0, 0));
}

#[test]
fn a_damaged_row_or_a_record_without_one_is_put_aside() {
    let host = Host::new(&["orders"]);
    let ids = ["one", "two", "three"].map(|body| host.send("orders", body).unwrap().id);
    let host = host.reopen_after(|database| {
        flip(database, INDEX, |n| n == ids[0].sequence());
        let transaction = database.begin_write().unwrap();
        let removed = ids[1].sequence();
        transaction
            .open_table(INDEX)
            .unwrap()
            .remove(removed)
            .unwrap();
        transaction.commit().unwrap();
    });
    assert_eq!(names(&host.delivered("orders")), [ids[2]]);
    assert_eq!(host.depths("orders").in_flight, 1);
    host.reopen_after(|database| {
        let read = database.begin_write().unwrap();
        let kept = read.open_table(QUARANTINE).unwrap();
        assert!(
            ids[..2]
                .iter()
                .all(|id| kept.get(id.sequence()).unwrap().is_some())
        );
    });
}

#[test]
fn a_damaged_clock_or_queue_number_is_refused_rather_than_believed() {
    let host = Host::new(&["orders", "invoices"]);
    host.send("orders", "one").unwrap();
    let damages: [fn(&Database); 2] = [
        |database| flip(database, INDEX, |n| n == u64::MAX),
        |database| {
            let transaction = database.begin_write().unwrap();
            let mut queues = transaction.open_table(QUEUE).unwrap();
            queues.insert("invoices", (7, false)).unwrap();
            drop(queues);
            transaction.commit().unwrap();
        },
    ];
    for damage in damages {
        let refused = host.open_copy_after(damage).err().unwrap();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    }
}

#[test]
fn a_store_that_lacks_a_table_is_refused_and_not_given_an_empty_one() {
    let host = Host::new(&["orders"]);
    host.send("orders", "one").unwrap();
    for table in [
        "message", "index", "queue", "held", "dead", "history", "meta",
    ] {
        let refused = host.open_copy_after(|database| {
            let transaction = database.begin_write().unwrap();
            let mut tables = transaction.list_tables().unwrap();
            let found = tables.find(|found| found.name() == table).unwrap();
            drop(tables);
            assert!(transaction.delete_table(found).unwrap());
            transaction.commit().unwrap();
        });
        let told = refused.err().unwrap().to_string();
        // Without that one it is not known to be a store at all.
        assert!(table == "meta" || told.contains(table), "{table}: {told}");
    }
}

#[test]
fn a_damaged_index_of_the_dead_hides_no_other_and_can_be_purged() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.retry.max_attempts = 1);
    let ids = ["one", "two"].map(|body| host.send("orders", body).unwrap().id);
    for leased in host.delivered("orders") {
        host.settle(failed(&leased, "no"));
    }
    let host = host.reopen_after(|database| {
        let transaction = database.begin_write().unwrap();
        let key = (0, ids[0].sequence());
        let mut index = transaction.open_table(DEAD_INDEX).unwrap();
        index.insert(key, [1u8, 2, 3].as_slice()).unwrap();
        drop(index);
        transaction.commit().unwrap();
    });
    assert_eq!(host.depths("orders").dead, 2);
    host.dead_letter("orders", ids[1]);
    let dead = PurgeStates {
        dead: true,
        ..PurgeStates::default()
    };
    assert_eq!(host.purge("orders", dead), 2);
    assert_eq!(host.depths("orders").dead, 0);
}

#[test]
fn a_start_tells_of_dead_letters_that_no_list_has() {
    let host = Host::with_policy(&["orders"], |_, policy| policy.retry.max_attempts = 1);
    let ids = ["one", "two", "three"].map(|body| host.send("orders", body).unwrap().id);
    for leased in host.delivered("orders") {
        host.settle(failed(&leased, "no"));
    }
    let key = (0, ids[0].sequence());
    let damages: [DamageOfTheDead; 3] = [
        |index, key| drop(index.remove(key).unwrap()),
        |index, key| drop(index.insert(key, [1u8, 2, 3].as_slice()).unwrap()),
        // It is of a queue that there is not.
        |index, (queue, sequence)| {
            let row = index.remove((queue, sequence)).unwrap();
            let row = row.map(|row| row.value().to_vec()).unwrap();
            index
                .insert((queue | 64, sequence), row.as_slice())
                .unwrap();
        },
    ];
    for damage in damages {
        let opened = host.open_copy_after(|database| {
            let transaction = database.begin_write().unwrap();
            damage(&mut transaction.open_table(DEAD_INDEX).unwrap(), key);
            transaction.commit().unwrap();
        });
        assert_eq!(opened.unwrap().letters_missing, 1);
    }
    assert_eq!(host.open_copy_after(|_| ()).unwrap().letters_missing, 0);
}

#[test]
fn a_crash_that_is_taken_back_leaves_no_history_behind() {
    let host = Host::new(&["orders"]);
    host.send("orders", "one").unwrap();
    host.delivered("orders");
    let host = host.crash();
    let suspect = host.delivered("orders");
    let back = gristmill_queue::outcome::HandedBack::Conflict;
    host.settle(stage::settle(
        &suspect[0],
        gristmill_queue::Outcome::HandedBack(back),
    ));
    let again = host.delivered("orders");
    assert_eq!((again[0].attempt, &again[0].previous_failure), (1, &None));
    host.settle(stage::done(&again[0]));
    host.reopen_after(|database| {
        let read = database.begin_write().unwrap();
        let histories = read.open_table(HISTORY).unwrap();
        assert_eq!(histories.iter().unwrap().count(), 0);
    });
}
