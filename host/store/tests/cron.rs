//! Ticks of the crontab in a real store: each is done once, whatever happens to the host.

mod stage;

use std::time::Duration;

use gristmill_queue::{NewMessage, Timestamp};
use gristmill_store::{CronEntry, Fired, Firing, SendError, Stamped};
use redb::{ReadableTable, TableDefinition};
use stage::{Host, done, send};

const CRON: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cron");

fn nightly(schedule: u64) -> CronEntry {
    CronEntry {
        name: "nightly".into(),
        schedule,
    }
}

fn stamped(body: &str) -> Box<Stamped> {
    let mut outgoing = send("reports", body);
    outgoing.message.dedup_id = Some(format!("cron:nightly:{body}"));
    let stamps = vec![("gristmill-tick", body.to_owned())];
    Box::new(Stamped { outgoing, stamps })
}

fn tick(schedule: u64, tick: Timestamp) -> Firing {
    Firing::Tick {
        entry: nightly(schedule),
        tick,
        message: Some(stamped(&tick.unix_ms().to_string())),
    }
}

fn skip(schedule: u64, tick: Timestamp) -> Firing {
    Firing::Tick {
        entry: nightly(schedule),
        tick,
        message: None,
    }
}

fn fire(host: &Host, firing: Firing) -> Result<Fired, SendError> {
    host.fire(vec![firing]).remove(0)
}

/// A host with the entry, and the time of its first tick, which is now.
fn at_first_tick() -> (Host, Timestamp) {
    let host = Host::new(&["reports"]);
    host.declare_cron(vec![nightly(1)]);
    host.pass(Duration::from_secs(1));
    let first = host.now();
    (host, first)
}

#[test]
fn a_tick_fires_once_also_across_kill_and_power_loss() {
    let (mut host, first) = at_first_tick();
    let Ok(Fired::Sent(sent)) = fire(&host, tick(1, first)) else {
        panic!("it was not sent");
    };
    for again in [Host::crash, Host::lose_power, Host::reopen] {
        // The dedup window has ended long since.
        host.pass(Duration::from_secs(86_400));
        host = again(host);
        let marks = host.declare_cron(vec![nightly(1)]);
        assert_eq!(marks[0].done, first);
        let last = marks[0].last.unwrap();
        assert_eq!((last.tick, last.fired_at, last.id), (first, first, sent.id));
        assert_eq!(fire(&host, tick(1, first)), Ok(Fired::Before));
        for leased in host.delivered("reports") {
            host.settle(done(&leased));
        }
    }
    let depths = host.depths("reports");
    assert_eq!((depths.ready, depths.in_flight), (0, 0));
    let second = first.after(Duration::from_secs(60));
    assert!(matches!(fire(&host, tick(1, second)), Ok(Fired::Sent(_))));
}

#[test]
fn the_message_of_a_tick_carries_its_tick_and_its_dedup_id() {
    let (host, first) = at_first_tick();
    fire(&host, tick(1, first)).unwrap();
    let leased = host.delivered("reports");
    let text = first.unix_ms().to_string();
    let attributes = &leased[0].message.envelope.attributes;
    assert_eq!(*attributes, [("gristmill-tick".to_owned(), text.clone())]);
    let twin = host.send_with("reports", &text, |message| {
        message.dedup_id = Some(format!("cron:nightly:{text}"));
    });
    assert!(twin.unwrap().duplicate);
    let forged = host.send_with("reports", "x", |message: &mut NewMessage| {
        message.envelope.attributes = vec![("gristmill-tick".into(), "1".into())];
    });
    assert!(matches!(forged, Err(SendError::Invalid { .. })));
}

#[test]
fn a_new_entry_and_one_with_another_schedule_start_from_now() {
    let (host, first) = at_first_tick();
    let begun = host.declare_cron(vec![nightly(1)])[0].done;
    assert!(begun < first);
    assert_eq!(fire(&host, tick(1, begun)), Ok(Fired::Before));
    let changed = host.declare_cron(vec![nightly(2)]);
    assert_eq!(changed[0].done, first);
    assert_eq!(fire(&host, tick(2, first)), Ok(Fired::Before));
    assert_eq!(fire(&host, tick(1, first)), Ok(Fired::Stale));
    // What is gone is forgotten, and new when it comes back.
    host.declare_cron(vec![]);
    assert!(host.cron_marks().is_empty());
    host.pass(Duration::from_secs(60));
    assert_eq!(fire(&host, tick(2, host.now())), Ok(Fired::Stale));
    let back = host.reopen().declare_cron(vec![nightly(2)]);
    assert_eq!(back[0].done, first.after(Duration::from_secs(60)));
}

#[test]
fn a_tick_that_finds_the_queue_full_is_not_lost() {
    let host = Host::with_policy(&["reports"], |_, policy| policy.max_messages = Some(1));
    host.declare_cron(vec![nightly(1)]);
    host.send("reports", "in the way").unwrap();
    host.pass(Duration::from_secs(1));
    let first = host.now();
    assert!(matches!(
        fire(&host, tick(1, first)),
        Err(SendError::Full(_))
    ));
    let leased = host.delivered("reports");
    host.settle(done(&leased[0]));
    assert!(matches!(fire(&host, tick(1, first)), Ok(Fired::Sent(_))));
}

#[test]
fn a_tick_that_is_left_out_never_fires_and_one_by_hand_changes_nothing() {
    let (host, first) = at_first_tick();
    assert_eq!(fire(&host, skip(1, first)), Ok(Fired::Skipped));
    assert_eq!(fire(&host, tick(1, first)), Ok(Fired::Before));
    let before = host.cron_marks();
    assert_eq!(before[0].1.last, None);
    let by_hand = fire(&host, Firing::ByHand(stamped("by hand")));
    assert!(matches!(by_hand, Ok(Fired::Sent(_))));
    assert_eq!(host.cron_marks(), before);
    assert_eq!(host.delivered("reports").len(), 1);
}

#[test]
fn one_tick_that_cannot_be_done_does_not_keep_the_others() {
    let (host, first) = at_first_tick();
    let mut astray = stamped("astray");
    astray.outgoing = send("nowhere", "astray");
    let fired = host.fire(vec![Firing::ByHand(astray), tick(1, first)]);
    assert!(matches!(fired[0], Err(SendError::UnknownQueue(_))));
    assert!(matches!(fired[1], Ok(Fired::Sent(_))));
}

#[test]
fn an_entry_whose_row_is_damaged_starts_anew_and_fires_nothing_twice() {
    let (host, first) = at_first_tick();
    fire(&host, tick(1, first)).unwrap();
    host.pass(Duration::from_secs(60));
    let host = host.reopen_after(|database| {
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(CRON).unwrap();
            let mut row = table.get("nightly").unwrap().unwrap().value().to_vec();
            row[8] ^= 1;
            table.insert("nightly", row.as_slice()).unwrap();
        }
        transaction.commit().unwrap();
    });
    assert_eq!(fire(&host, tick(1, first)), Ok(Fired::Stale));
    let marks = host.declare_cron(vec![nightly(1)]);
    assert_eq!(marks[0].done, host.now());
    assert_eq!(fire(&host, tick(1, first)), Ok(Fired::Before));
}
