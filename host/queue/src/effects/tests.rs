//! Transactions by hand; in [`model`] against a plain map.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::message::{Due, Envelope};
use crate::{IdSource, Timestamp, limits};

mod model;
mod state;

use state::{State, list};

fn number(value: i64) -> Bytes {
    Bytes::copy_from_slice(&value.to_le_bytes())
}

fn begin(state: &Arc<State>, limits: EffectLimits) -> Transaction {
    let destinations = Destinations::from([
        (QueueName::new("out").unwrap(), 100),
        (QueueName::new("small").unwrap(), 3),
    ]);
    Transaction::new(
        Arc::clone(state) as Arc<dyn StateReader>,
        Arc::new(IdSource::new(1, 0)),
        Arc::new(destinations),
        limits,
        Timestamp::from_unix_ms(1000),
    )
}

fn over(values: &[(&str, &[u8], bool)]) -> Transaction {
    begin(&State::of(values), EffectLimits::default())
}

fn bytes(value: &'static str) -> Bytes {
    Bytes::from_static(value.as_bytes())
}

fn set(value: &'static str) -> Write {
    Write::Set {
        value: bytes(value),
        counter: false,
    }
}

fn counter(value: i64) -> Write {
    Write::Set {
        value: number(value),
        counter: true,
    }
}

#[test]
fn a_handler_reads_its_own_writes() {
    let mut t = over(&[("a", b"1", false), ("n", &5i64.to_le_bytes(), true)]);
    t.set("a", bytes("2")).unwrap();
    t.set("b", bytes("3")).unwrap();
    t.add("n", 4).unwrap();
    assert_eq!(t.get("a").unwrap(), Some(bytes("2")));
    assert_eq!(t.get("n").unwrap(), Some(number(9)));
    assert_eq!(t.list("", None, 10).unwrap(), ["a", "b", "n"]);
    t.remove("a").unwrap();
    assert_eq!(t.get("a").unwrap(), None);
    assert_eq!(t.list("", None, 10).unwrap(), ["b", "n"]);
    let writes = t.finish().writes;
    let expected = [("a", Write::Remove), ("b", set("3")), ("n", Write::Add(4))];
    assert_eq!(writes, expected.map(|(key, write)| (key.to_owned(), write)));
}

#[test]
fn one_that_nobody_commits_sends_to_whatever_can_be_a_queue() {
    let message = || NewMessage {
        body: bytes("hi"),
        ..NewMessage::default()
    };
    let mut t = over(&[]);
    assert_eq!(t.send("else", message()), Err(SendError::NotPermitted));
    let mut t = over(&[]).anywhere();
    t.send("else", message()).unwrap();
    assert_eq!(t.send("no queue", message()), Err(SendError::NotPermitted));
    // What is granted keeps its limit.
    let long = NewMessage {
        body: bytes("long"),
        ..message()
    };
    assert_eq!(t.send("small", long), Err(SendError::TooLarge(3)));
    assert_eq!(t.finish().sends[0].to.as_str(), "else");
}

#[test]
fn a_counter_is_what_add_made() {
    type Row = (
        &'static str,
        &'static [&'static str],
        Result<Option<Write>, StateError>,
    );
    let table: [Row; 9] = [
        ("absent", &["add"], Ok(Some(Write::Add(1)))),
        ("counter", &["add", "add"], Ok(Some(Write::Add(2)))),
        ("counter", &["remove", "add", "add"], Ok(Some(counter(2)))),
        ("value", &["remove", "add"], Ok(Some(counter(1)))),
        ("counter", &["set"], Ok(Some(set("12345678")))),
        // Eight bytes do not make a counter.
        ("absent", &["set", "add"], Err(StateError::NotACounter)),
        ("counter", &["set", "add"], Err(StateError::NotACounter)),
        ("value", &["add"], Err(StateError::NotACounter)),
        ("counter", &["add", "remove"], Ok(Some(Write::Remove))),
    ];
    for (key, calls, expected) in table {
        let mut t = over(&[("value", b"12345678", false), ("counter", &[0; 8], true)]);
        let outcome = calls.iter().try_for_each(|call| match *call {
            "add" => t.add(key, 1),
            "remove" => t.remove(key),
            _ => t.set(key, bytes("12345678")),
        });
        let outcome =
            outcome.map(|()| t.finish().writes.into_iter().next().map(|(_, write)| write));
        assert_eq!(outcome, expected, "{key} {calls:?}");
    }
}

#[test]
fn counters_wrap_around() {
    let mut t = over(&[("n", &i64::MAX.to_le_bytes(), true)]);
    t.add("n", i64::MAX).unwrap();
    t.add("n", 3).unwrap();
    assert_eq!(
        t.get("n").unwrap(),
        Some(number(
            0i64.wrapping_add(i64::MAX)
                .wrapping_add(i64::MAX)
                .wrapping_add(3)
        ))
    );
}

/// SEMANTICS §9: what a result depended on, a change of it makes a conflict.
#[test]
fn every_result_is_guarded_by_what_was_read() {
    type Call = fn(&mut Transaction) -> String;
    type Change = fn(&State);
    let get: Call = |t| format!("{:?}", t.get("k"));
    let add: Call = |t| format!("{:?}", t.add("k", 1));
    let list: Call = |t| format!("{:?}", t.list("k", None, 2));
    let write: Call = |t| format!("{:?} {:?}", t.set("k", bytes("x")), t.get("k"));
    let put: Change = |state| state.put("k", b"new", false);
    let count: Change = |state| state.put("k", &7i64.to_le_bytes(), true);
    let remove: Change = |state| drop(state.0.lock().unwrap().remove("k"));
    let beside: Change = |state| state.put("k9", b"x", false);
    let elsewhere: Change = |state| state.put("z", b"x", false);
    // What the key holds at first, what is called, what changes, whether that is a conflict.
    let table: [(Option<bool>, Call, Change, bool); 17] = [
        (Some(false), get, put, true),
        (Some(false), get, remove, true),
        (Some(false), get, beside, false),
        (None, get, put, true),
        (None, get, elsewhere, false),
        (Some(true), add, count, false),
        (Some(true), add, put, true),
        (Some(true), add, remove, false),
        (None, add, count, false),
        (None, add, put, true),
        // The refusal is a result like any other.
        (Some(false), add, remove, true),
        (Some(false), add, count, true),
        (Some(false), list, put, false),
        (Some(false), list, remove, true),
        (Some(false), list, beside, true),
        (Some(false), list, elsewhere, false),
        (Some(false), write, put, false),
    ];
    for (row, (before, call, change, conflict)) in table.into_iter().enumerate() {
        let state = State::of(&[]);
        if let Some(counter) = before {
            state.put("k", &[0; 8], counter);
        }
        let mut t = begin(&state, EffectLimits::default());
        call(&mut t);
        let reads = t.finish().reads;
        assert!(state.still_so(&reads), "row {row}");
        change(&state);
        assert_eq!(state.still_so(&reads), !conflict, "row {row}: {reads:?}");
    }
}

#[test]
fn a_torn_read_is_a_conflict_whatever_comes() {
    let state = State::of(&[("k", b"1", false)]);
    let mut t = begin(&state, EffectLimits::default());
    t.get("k").unwrap();
    state.put("k", b"2", false);
    for _ in 0..3 {
        assert_eq!(t.get("k").unwrap(), Some(bytes("2")));
    }
    let reads = t.finish().reads;
    assert_eq!(reads.len(), 2);
    assert!(!state.still_so(&reads));
}

#[test]
fn a_list_fills_the_gaps_of_what_was_removed() {
    let values: Vec<String> = (0..6).map(|i| format!("k{i}")).collect();
    let state = State::of(&[]);
    values.iter().for_each(|key| state.put(key, b"", false));
    let mut t = begin(&state, EffectLimits::default());
    t.remove("k0").unwrap();
    t.remove("k2").unwrap();
    t.set("k1a", bytes("")).unwrap();
    t.set("k9", bytes("")).unwrap();
    assert_eq!(t.list("k", None, 3).unwrap(), ["k1", "k1a", "k3"]);
    assert_eq!(t.list("k", Some("k3"), 9).unwrap(), ["k4", "k5", "k9"]);
    assert_eq!(t.list("k", Some("a"), 1).unwrap(), ["k1"]);
    assert_eq!(t.list("k", Some("z"), 1).unwrap(), [""; 0]);
    assert_eq!(t.list("x", None, 9).unwrap(), [""; 0]);
    assert_eq!(t.list("", None, 0).unwrap(), [""; 0]);
}

#[test]
fn each_limit_refuses_and_changes_nothing() {
    let limits = EffectLimits {
        max_sends: 2,
        max_send_bytes: 10,
        max_state_keys: 3,
        max_state_bytes: 20,
    };
    let mut t = begin(&State::of(&[("v", b"x", false)]), limits);
    let long = "x".repeat(limits::MAX_STATE_KEY + 1);
    let huge = Bytes::from(vec![
        0;
        usize::try_from(limits::MAX_STATE_VALUE).unwrap() + 1
    ]);
    assert_eq!(t.get(""), Err(StateError::InvalidKey));
    assert_eq!(t.set(&long, bytes("")), Err(StateError::InvalidKey));
    assert_eq!(t.list(&long, None, 1), Err(StateError::InvalidKey));
    assert_eq!(t.list("", Some(&long), 1), Err(StateError::InvalidKey));
    assert_eq!(
        t.set("a", huge),
        Err(StateError::TooLarge(limits::MAX_STATE_VALUE))
    );
    t.set("a", bytes("0123456789")).unwrap();
    assert_eq!(
        t.set("b", bytes("0123456789a")),
        Err(StateError::QuotaExceeded)
    );
    t.set("b", bytes("0123456789")).unwrap();
    assert_eq!(
        t.add("v", 1),
        Err(StateError::NotACounter),
        "refused for what it is, not for the quota"
    );
    assert_eq!(t.get("fourth"), Err(StateError::QuotaExceeded));
    t.set("a", bytes("01")).unwrap();
    assert_eq!(
        t.set("b", bytes("0123456789012345678")),
        Err(StateError::QuotaExceeded)
    );
    t.set("b", bytes("012345678901234567")).unwrap();
    assert_eq!(t.get("a").unwrap(), Some(bytes("01")));
    let sizes =
        |t: &mut Transaction, n: usize| t.send("out", NewMessage::with_body(vec![0; n])).map(drop);
    assert_eq!(sizes(&mut t, 11), Err(SendError::TooMany));
    assert_eq!(sizes(&mut t, 101), Err(SendError::TooLarge(100)));
    assert_eq!(sizes(&mut t, 4), Ok(()));
    assert_eq!(sizes(&mut t, 7), Err(SendError::TooMany));
    assert_eq!(sizes(&mut t, 6), Ok(()));
    assert_eq!(sizes(&mut t, 0), Err(SendError::TooMany));
    assert_eq!(t.finish().sends.len(), 2);
}

#[test]
fn what_may_be_sent_and_where() {
    let mut t = over(&[]);
    assert_eq!(
        t.send("nowhere", NewMessage::default()),
        Err(SendError::NotPermitted)
    );
    assert_eq!(
        t.send("not a name", NewMessage::default()),
        Err(SendError::NotPermitted)
    );
    assert_eq!(
        t.send("small", NewMessage::with_body("four")),
        Err(SendError::TooLarge(3))
    );
    let reply_to = QueueName::new("replies").unwrap();
    let id = t
        .reply(reply_to.clone(), NewMessage::with_body("four"))
        .unwrap();
    let early = NewMessage {
        due: Due::After(Duration::from_secs(2)),
        ttl: Some(Duration::from_secs(1)),
        ..NewMessage::default()
    };
    assert!(matches!(
        t.send("out", early),
        Err(SendError::Invalid(InvalidMessage::DelayBeyondTtl))
    ));
    let envelope = Envelope {
        attributes: vec![("gristmill-x".into(), String::new())],
        ..Envelope::default()
    };
    let forged = NewMessage {
        envelope,
        ..NewMessage::default()
    };
    assert!(matches!(t.send("out", forged), Err(SendError::Invalid(_))));
    let sends = t.finish().sends;
    assert_eq!(sends.len(), 1);
    assert_eq!((sends[0].id, &sends[0].to), (id, &reply_to));
}

#[test]
fn a_rollback_forgets_what_came_after_its_mark_and_gives_its_quota_back() {
    let limits = EffectLimits {
        max_sends: 1,
        max_state_bytes: 10,
        ..EffectLimits::default()
    };
    let mut t = begin(&State::of(&[]), limits);
    assert!(!t.rollback_to(0), "there is no mark");
    t.set("a", bytes("12345")).unwrap();
    let (first, same) = (t.mark(), t.mark());
    t.set("a", bytes("6")).unwrap();
    let second = t.mark();
    t.send("out", NewMessage::default()).unwrap();
    t.set("b", bytes("7890")).unwrap();
    assert_eq!(
        t.set("b", bytes("78901")),
        Err(StateError::QuotaExceeded),
        "what a rollback would bring back counts"
    );
    assert!(t.rollback_to(second));
    assert_eq!(
        (t.get("a").unwrap(), t.get("b").unwrap()),
        (Some(bytes("6")), None)
    );
    t.send("out", NewMessage::default()).unwrap();
    assert!(t.rollback_to(same));
    assert!(!t.rollback_to(second), "later marks are forgotten");
    assert_eq!(t.get("a").unwrap(), Some(bytes("12345")));
    t.remove("a").unwrap();
    assert!(t.rollback_to(same), "a mark stays");
    assert!(t.rollback_to(first));
    assert!(!t.rollback_to(same));
    t.set("b", bytes("12345")).unwrap();
    assert_eq!(t.set("c", bytes("1")), Err(StateError::QuotaExceeded));
    let effects = t.finish();
    assert_eq!(effects.sends, []);
    assert_eq!(effects.writes.len(), 2);
}

/// A guest that calls in a loop must not make the memory of the host grow.
#[test]
fn a_handler_that_loops_does_not_fill_the_memory() {
    const MANY: usize = 30_000;
    let mut t = over(&[("k", &[0; 8], true)]);
    for _ in 0..MANY {
        t.get("k").unwrap();
        t.add("n", 1).unwrap();
        t.set("s", bytes("")).unwrap();
        t.remove("r").unwrap();
        t.mark();
        t.mark();
        t.rollback_to(0);
    }
    let refused = (0..MANY).find(|_| {
        t.mark();
        t.remove("r").is_err()
    });
    assert!(refused.is_some(), "marks and changes in turn are limited");
    let lists = (0..MANY)
        .take_while(|_| t.list("", None, 10).is_ok())
        .count();
    assert!(lists <= EffectLimits::default().max_state_keys * limits::LISTED_PER_TOUCHED_KEY);
    let effects = t.finish();
    assert_eq!(effects.writes.len(), 3);
    assert!(
        effects.reads.len() <= 3 + lists,
        "{} reads",
        effects.reads.len()
    );
}
