//! Several attempts that end as one batch, by hand.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

mod stage;

use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Outcome, Reason, Transaction};
use gristmill_store::{Leased, SettleBatch};
use stage::{Host, done, settle};

fn failed() -> Outcome {
    Outcome::Failed {
        reason: Reason::Retry,
        error: "later".into(),
        delay: None,
    }
}

fn rejected() -> Outcome {
    Outcome::Rejected {
        error: "never".into(),
    }
}

fn batch(leased: &[Leased], outcomes: &[Outcome], transaction: Transaction) -> SettleBatch {
    assert_eq!(leased.len(), outcomes.len());
    let ended = leased.iter().map(|leased| leased.fence);
    SettleBatch {
        ended: ended.zip(outcomes.iter().cloned()).collect(),
        effects: transaction.finish(),
        evidence: done(&leased[0]).evidence,
    }
}

/// Three messages in flight, and a transaction that has sent and stored something.
fn under_way(host: &Host) -> (Vec<Leased>, Transaction) {
    for body in ["one", "two", "three"] {
        host.send("work", body).unwrap();
    }
    let leased = host.delivered("work");
    assert_eq!(leased.len(), 3);
    let mut transaction = host.transaction("handler", &["out"]);
    assert_eq!(transaction.get("sum").unwrap(), None);
    transaction.set("sum", Bytes::from_static(b"3")).unwrap();
    transaction
        .send("out", gristmill_queue::NewMessage::with_body("3"))
        .unwrap();
    (leased, transaction)
}

fn stored(host: &Host) -> Option<Bytes> {
    host.transaction("handler", &[]).get("sum").unwrap()
}

#[test]
fn the_effects_of_a_batch_appear_with_the_acks_and_each_other_message_goes_its_own_way() {
    let host = Host::new(&["work", "out"]);
    let (leased, transaction) = under_way(&host);
    let outcomes = [Outcome::Done, failed(), rejected()];
    host.settle_batch(batch(&leased, &outcomes, transaction));
    let work = host.depths("work");
    assert_eq!(
        (work.ready + work.scheduled, work.in_flight, work.dead),
        (1, 0, 1)
    );
    assert_eq!(host.depths("out").in_flight, 1);
    assert_eq!(stored(&host), Some(Bytes::from_static(b"3")));
    host.pass(Duration::from_secs(2));
    let again = host.delivered("work");
    assert_eq!((again.len(), again[0].attempt), (1, 2));
    assert!(!again[0].alone, "it said so itself");
}

#[test]
fn the_effects_of_a_batch_are_dropped_if_none_is_done() {
    let host = Host::new(&["work", "out"]);
    let (leased, transaction) = under_way(&host);
    let outcomes = [failed(), failed(), rejected()];
    host.settle_batch(batch(&leased, &outcomes, transaction));
    assert_eq!((host.depths("out").in_flight, stored(&host)), (0, None));
    assert_eq!(host.depths("work").dead, 1);
}

#[test]
fn a_batch_whose_reads_have_changed_comes_again_whole_and_uncounted() {
    let host = Host::new(&["work", "out"]);
    let (leased, transaction) = under_way(&host);
    host.send("out", "other").unwrap();
    let other = host.delivered("out");
    let mut change = host.transaction("handler", &[]);
    change.set("sum", Bytes::from_static(b"1")).unwrap();
    let mut end = done(&other[0]);
    end.effects = change.finish();
    host.settle(end);
    let outcomes = [Outcome::Done, failed(), rejected()];
    host.settle_batch(batch(&leased, &outcomes, transaction));
    assert_eq!(stored(&host), Some(Bytes::from_static(b"1")));
    let again = host.delivered("work");
    assert_eq!(stage::names(&again), stage::names(&leased));
    assert!(again.iter().all(|again| again.attempt == 1 && again.alone));
    assert_eq!(host.totals("work").failed, 0);
}

#[test]
fn a_batch_for_a_full_queue_comes_again_whole_and_uncounted() {
    let host = Host::with_policy(&["work", "out"], |queue, policy| {
        if queue == "out" {
            policy.max_messages = Some(1);
        }
    });
    host.send("out", "fills it").unwrap();
    let (leased, transaction) = under_way(&host);
    let outcomes = [Outcome::Done, failed(), rejected()];
    host.settle_batch(batch(&leased, &outcomes, transaction));
    assert!(host.delivered("work").is_empty(), "it waits a moment");
    host.pass(Duration::from_secs(1));
    let again = host.delivered("work");
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|again| again.attempt == 1 && !again.alone));
    assert_eq!(stored(&host), None);
}

#[test]
fn a_lost_lease_that_was_done_keeps_the_whole_batch_from_counting() {
    let host = Host::new(&["work", "out"]);
    let (leased, transaction) = under_way(&host);
    host.settle(settle(
        &leased[0],
        Outcome::HandedBack(HandedBack::Shutdown),
    ));
    let outcomes = [Outcome::Done, Outcome::Done, failed()];
    host.settle_batch(batch(&leased, &outcomes, transaction));
    assert_eq!((host.depths("out").in_flight, stored(&host)), (0, None));
    let again = host.delivered("work");
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|again| again.attempt == 1));

    // One that failed drops out, and the others count.
    let mut transaction = host.transaction("handler", &["out"]);
    transaction.set("sum", Bytes::from_static(b"2")).unwrap();
    host.settle(done(&again[0]));
    let outcomes = [failed(), Outcome::Done, Outcome::Done];
    host.settle_batch(batch(&again, &outcomes, transaction));
    assert_eq!(stored(&host), Some(Bytes::from_static(b"2")));
    assert_eq!(host.totals("work").acked, 3);
}

#[test]
fn after_a_failed_batch_each_runs_by_itself_and_so_does_what_was_cut_off_last_time() {
    let host = Host::new(&["work", "out"]);
    let (leased, transaction) = under_way(&host);
    let back = Outcome::HandedBack(HandedBack::BatchFailed);
    let outcomes = [back.clone(), back.clone(), back];
    host.settle_batch(batch(&leased, &outcomes, transaction));
    let again = host.delivered("work");
    assert_eq!(stage::names(&again), stage::names(&leased));
    assert!(
        again
            .iter()
            .all(|again| again.alone && again.fresh && again.attempt == 1)
    );
    host.settle(done(&again[0]));
    host.settle(stage::failed(&again[1], "later"));
    let trap = Outcome::Failed {
        reason: Reason::Trap,
        error: "unreachable".into(),
        delay: None,
    };
    host.settle(settle(&again[2], trap));
    let host = host.reopen();
    host.pass(Duration::from_secs(2));
    let mut third = host.delivered("work");
    third.sort_by_key(|leased| leased.fence.sequence);
    let alone: Vec<bool> = third.iter().map(|leased| leased.alone).collect();
    assert_eq!(alone, [false, true]);
    assert!(third.iter().all(|leased| !leased.fresh));
}
