//! The table of attempts, and what ends a message.

use super::*;
use crate::retry::{Jitter, RetryPolicy};
use proptest::prelude::*;
use std::time::Duration;

const NOW: Timestamp = Timestamp::MAX;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

fn policy() -> QueuePolicy {
    QueuePolicy {
        retry: RetryPolicy {
            jitter: Jitter::None,
            ..RetryPolicy::default()
        },
        ..QueuePolicy::default()
    }
}

fn age() -> Age {
    Age {
        enqueued_at: at(0),
        expires_at: None,
    }
}

fn fail(reason: Reason, delay: Option<Duration>) -> Outcome {
    Outcome::Failed {
        reason,
        error: "why".into(),
        delay,
    }
}

fn counters(attempts: u32, postponed: u32, crashes: u32) -> Counters {
    Counters {
        attempts,
        postponed,
        crashes,
        redriven: 0,
    }
}

/// The table of SEMANTICS §4, row by row.
#[test]
fn attempts_are_counted_as_the_contract_says() {
    use HandedBack::{Conflict, DestinationFull, NoInstance, Reload, ReusedInstance, Shutdown};
    let before = counters(3, 0, 0);
    let table = [
        (fail(Reason::Retry, None), 4, 0),
        (fail(Reason::Trap, None), 4, 0),
        (fail(Reason::Deadline, None), 4, 0),
        (fail(Reason::CpuLimit, None), 4, 0),
        (fail(Reason::MemoryLimit, None), 4, 0),
        (fail(Reason::OutputLimit, None), 4, 0),
        (fail(Reason::LeaseExpired, None), 4, 0),
        (
            Outcome::Postponed {
                delay: Duration::from_secs(1),
            },
            3,
            1,
        ),
        (Outcome::HandedBack(Shutdown), 3, 0),
        (Outcome::HandedBack(Reload), 3, 0),
        (Outcome::HandedBack(Conflict), 3, 0),
        (Outcome::HandedBack(DestinationFull), 3, 0),
        (Outcome::HandedBack(NoInstance), 3, 0),
        (Outcome::HandedBack(ReusedInstance), 3, 0),
    ];
    for (outcome, attempts, postponed) in table {
        match settle(&policy(), age(), before, &outcome, at(1000), Roll::new(0.5)) {
            Settlement::Requeue { counters, .. } => {
                assert_eq!(
                    (counters.attempts, counters.postponed),
                    (attempts, postponed),
                    "{outcome:?}"
                );
            }
            other => panic!("{outcome:?} led to {other:?}"),
        }
    }
    assert_eq!(
        settle(
            &policy(),
            age(),
            before,
            &Outcome::Done,
            NOW,
            Roll::new(0.0)
        ),
        Settlement::Ack
    );
}

#[test]
fn the_last_attempt_is_death_with_its_own_reason() {
    let dead = settle(
        &policy(),
        age(),
        counters(9, 0, 0),
        &fail(Reason::Trap, None),
        at(5),
        Roll::new(0.0),
    );
    assert_eq!(
        dead,
        Settlement::Dead {
            reason: Reason::Trap,
            counters: counters(10, 0, 0)
        }
    );
    let rejected = settle(
        &policy(),
        age(),
        counters(0, 0, 0),
        &Outcome::Rejected { error: "no".into() },
        at(5),
        Roll::new(0.0),
    );
    assert_eq!(
        rejected,
        Settlement::Dead {
            reason: Reason::Rejected,
            counters: counters(1, 0, 0)
        }
    );
}

#[test]
fn the_fourth_crash_is_death() {
    for crashes in 0..3 {
        let next = settle_host_crash(&policy(), age(), counters(crashes, 0, crashes), at(9));
        assert_eq!(
            next,
            Settlement::Requeue {
                due: at(9),
                counters: counters(crashes + 1, 0, crashes + 1)
            }
        );
    }
    let dead = settle_host_crash(&policy(), age(), counters(3, 0, 3), at(9));
    assert_eq!(
        dead,
        Settlement::Dead {
            reason: Reason::HostCrash,
            counters: counters(4, 0, 4)
        }
    );
}

#[test]
fn the_hundred_and_first_postponement_is_death() {
    let outcome = Outcome::Postponed {
        delay: Duration::from_secs(1),
    };
    let next = |postponed| {
        settle(
            &policy(),
            age(),
            counters(0, postponed, 0),
            &outcome,
            at(0),
            Roll::new(0.0),
        )
    };
    assert!(matches!(next(99), Settlement::Requeue { due, .. } if due == at(1000)));
    assert!(matches!(
        next(100),
        Settlement::Dead {
            reason: Reason::PostponedTooOften,
            ..
        }
    ));
}

#[test]
fn a_delay_that_the_handler_chose_wins_and_is_capped() {
    let due = |delay| match settle(
        &policy(),
        age(),
        counters(0, 0, 0),
        &fail(Reason::Retry, Some(delay)),
        at(0),
        Roll::new(0.0),
    ) {
        Settlement::Requeue { due, .. } => due,
        other => panic!("{other:?}"),
    };
    assert_eq!(due(Duration::from_secs(7)), at(7000));
    assert_eq!(due(Duration::from_secs(86_400)), at(900_000));
}

#[test]
fn a_trap_and_a_deadline_wait_as_long_as_an_asked_for_retry() {
    let due = |reason, attempts| match settle(
        &QueuePolicy::default(),
        age(),
        counters(attempts, 0, 0),
        &fail(reason, None),
        at(1000),
        Roll::new(0.3),
    ) {
        Settlement::Requeue { due, .. } => due,
        other => panic!("{other:?}"),
    };
    for attempts in 0..9 {
        let asked_for = due(Reason::Retry, attempts);
        assert!(asked_for > at(1000));
        for reason in [Reason::Trap, Reason::Deadline, Reason::MemoryLimit] {
            assert_eq!(due(reason, attempts), asked_for, "{reason}");
        }
    }
}

#[test]
fn whichever_limit_comes_first_ends_it() {
    let mut policy = policy();
    policy.retry.max_age = Some(Duration::from_secs(60));
    let young = settle(
        &policy,
        age(),
        counters(0, 0, 0),
        &fail(Reason::Retry, None),
        at(58_000),
        Roll::new(0.0),
    );
    assert!(matches!(young, Settlement::Requeue { .. }));
    let old = settle(
        &policy,
        age(),
        counters(0, 0, 0),
        &fail(Reason::Retry, None),
        at(59_500),
        Roll::new(0.0),
    );
    assert!(matches!(
        old,
        Settlement::Dead {
            reason: Reason::Retry,
            ..
        }
    ));
}

#[test]
fn a_failure_after_expiry_is_death_by_expiry_and_success_is_not() {
    let age = Age {
        enqueued_at: at(0),
        expires_at: Some(at(100)),
    };
    let failed = settle(
        &policy(),
        age,
        counters(0, 0, 0),
        &fail(Reason::Retry, None),
        at(100),
        Roll::new(0.0),
    );
    assert!(matches!(
        failed,
        Settlement::Dead {
            reason: Reason::Expired,
            ..
        }
    ));
    assert_eq!(
        settle(
            &policy(),
            age,
            counters(0, 0, 0),
            &Outcome::Done,
            at(100),
            Roll::new(0.0)
        ),
        Settlement::Ack
    );
    let dropping = QueuePolicy {
        on_expiry: OnExpiry::Drop,
        ..policy()
    };
    let failed = settle(
        &dropping,
        age,
        counters(0, 0, 0),
        &fail(Reason::Retry, None),
        at(100),
        Roll::new(0.0),
    );
    assert!(matches!(failed, Settlement::Drop { .. }));
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Done),
        (
            0usize..Reason::ALL.len(),
            proptest::option::of(0u64..10_000_000)
        )
            .prop_map(|(i, delay)| fail(Reason::ALL[i], delay.map(Duration::from_millis))),
        Just(Outcome::Rejected {
            error: String::new()
        }),
        (0u64..10_000_000).prop_map(|ms| Outcome::Postponed {
            delay: Duration::from_millis(ms)
        }),
        Just(Outcome::HandedBack(HandedBack::Shutdown)),
    ]
}

proptest! {
    /// Any run of outcomes ends in at most `max_attempts` counted attempts, and never goes back in time.
    #[test]
    fn a_message_never_gets_more_attempts_than_allowed(max in 1u32..20, outcomes in proptest::collection::vec(outcomes(), 0..200)) {
        let policy = QueuePolicy { retry: RetryPolicy { max_attempts: max, ..RetryPolicy::default() }, ..QueuePolicy::default() };
        let (mut now, mut current) = (at(1), Counters::default());
        for outcome in outcomes {
            match settle(&policy, age(), current, &outcome, now, Roll::new(0.3)) {
                Settlement::Requeue { due, counters } => {
                    prop_assert!(due >= now);
                    prop_assert!(counters.attempts < max);
                    prop_assert!(counters.attempts - current.attempts <= 1);
                    (now, current) = (due, counters);
                }
                Settlement::Dead { counters, reason } => {
                    prop_assert!(counters.attempts <= max || reason == Reason::Rejected);
                    return Ok(());
                }
                Settlement::Ack | Settlement::Drop { .. } => return Ok(()),
            }
        }
    }
}
