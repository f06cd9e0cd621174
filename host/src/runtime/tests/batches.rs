//! Batches: a verdict for each message, or none is believed.

use gristmill_queue::outcome::HandedBack;
use gristmill_queue::{Outcome, Reason};

use super::*;
use crate::runtime::{BatchDelivery, BatchReport, LoadError};

/// Returns as many outcomes as there are messages, all done but the second: that is rejected.
const SECOND_REJECTED: &str = "
    (i32.store (i32.const 1024) (i32.const 4096))
    (i32.store (i32.const 1028) (local.get $length))
    (i32.store8 (i32.const 4128) (i32.const 1))
    (i32.store8 (i32.const 4136) (i32.const 2))
    (i32.store (i32.const 4144) (i32.const 2048))
    (i32.store (i32.const 4148) (i32.const 2))";
const ONE_SHORT: &str = "
    (i32.store (i32.const 1024) (i32.const 4096))
    (i32.store (i32.const 1028) (i32.sub (local.get $length) (i32.const 1)))";

async fn run_batch(version: &Arc<HandlerVersion>, count: usize) -> BatchReport {
    let Delivery {
        message,
        transaction,
        ending,
        ..
    } = delivery(version);
    let delivery = BatchDelivery {
        messages: vec![(message, 1); count],
        max_attempts: Some(10),
        transaction,
        ending,
    };
    version.run_batch(delivery).await
}

fn by_itself(count: usize) -> Vec<Outcome> {
    vec![Outcome::HandedBack(HandedBack::BatchFailed); count]
}

#[tokio::test]
async fn each_message_of_a_batch_has_its_own_verdict_in_order() {
    let version = load(&guests::batches(SECOND_REJECTED), |_| {});
    let report = run_batch(&version, 3).await;
    let rejected = Outcome::Rejected {
        error: "no".to_owned(),
    };
    assert_eq!(report.outcomes, [Outcome::Done, rejected, Outcome::Done]);
    assert!(report.diagnostics.is_some());
    assert_eq!(run(&version).await.outcome, Outcome::Done, "alone");
}

#[tokio::test]
async fn a_wrong_number_of_verdicts_is_a_trap() {
    let version = load(&guests::batches(ONE_SHORT), |_| {});
    assert_eq!(run_batch(&version, 3).await.outcomes, by_itself(3));
    let alone = run_batch(&version, 1).await.outcomes;
    let [Outcome::Failed { reason, error, .. }] = alone.as_slice() else {
        panic!("{alone:?}");
    };
    assert_eq!(*reason, Reason::Trap);
    assert!(
        error.contains("returned 0 outcomes for 1 messages"),
        "{error}"
    );
}

#[tokio::test]
async fn a_trap_in_a_batch_charges_none_of_several_and_the_one_that_is_alone() {
    let version = load(&guests::batches("unreachable"), |_| {});
    assert_eq!(run_batch(&version, 4).await.outcomes, by_itself(4));
    let alone = run_batch(&version, 1).await.outcomes;
    assert!(matches!(
        alone.as_slice(),
        [Outcome::Failed {
            reason: Reason::Trap,
            ..
        }]
    ));
}

#[tokio::test]
async fn a_batch_that_overruns_its_time_charges_nobody() {
    let version = load(&guests::batches("(loop $l (br $l))"), |spec| {
        spec.limits.timeout = Duration::from_millis(20);
        spec.limits.max_timeout = Duration::from_millis(20);
    });
    assert_eq!(run_batch(&version, 2).await.outcomes, by_itself(2));
}

#[tokio::test]
async fn an_instance_that_serves_again_serves_single_messages_and_batches() {
    let version = load(&guests::batches(SECOND_REJECTED), |spec| {
        spec.limits.max_calls = MaxCalls::Fixed(10);
    });
    assert_eq!(run(&version).await.outcome, Outcome::Done);
    assert_eq!(run_batch(&version, 2).await.outcomes.len(), 2);
    assert!(run(&version).await.reused);
    assert_eq!(version.warm_instances(), 1);
}

#[test]
fn a_module_without_batches_is_refused_where_a_queue_wants_them() {
    let wants = |spec: &mut HandlerSpec| spec.batches = vec![queue("orders")];
    let refused = runtime().load(&spec(wants), &guests::ok()).unwrap_err();
    assert!(matches!(refused, LoadError::NoBatchHandler { .. }));
    assert_eq!(
        refused.to_string(),
        "orders.wasm does not take batches, but [queue.orders] has `batch_size`: it does not \
         export gristmill:queue/batch-handler. It exports gristmill:queue/handler@0.1.0. Write the \
         handler with #[handler(batch)] or #[batch_handler], or remove `batch_size`"
    );
    assert!(!load(&guests::ok(), |_| {}).takes_batches());
    assert!(load(&guests::batches(ONE_SHORT), wants).takes_batches());
    // Where no queue says anything about batches, it is a handler like any other.
    assert!(load(&guests::batches(ONE_SHORT), |_| {}).takes_batches());
}
