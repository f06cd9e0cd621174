//! How often an instance is used.

use gristmill_queue::outcome::HandedBack;

use super::guests::{component, counts};
use super::*;

fn used(calls: u32) -> impl FnOnce(&mut HandlerSpec) {
    move |spec| spec.limits.max_calls = MaxCalls::Fixed(calls)
}

#[tokio::test]
async fn an_instance_serves_so_many_calls_and_then_another_does() {
    // Traps if an instance is ever used a fourth time.
    let version = load(&counts(4, "unreachable"), used(3));
    let mut reused = Vec::new();
    for _ in 0..7 {
        let report = run(&version).await;
        assert_eq!(report.outcome, Outcome::Done);
        reused.push(report.reused);
    }
    assert_eq!(reused, [false, true, true, false, true, true, false]);
    assert_eq!(version.warm_instances(), 1);
    let once = load(&counts(2, "unreachable"), used(1));
    for _ in 0..3 {
        assert_eq!(run(&once).await.outcome, Outcome::Done);
    }
    assert_eq!(once.warm_instances(), 0);
}

#[tokio::test]
async fn a_failure_of_a_reused_instance_is_not_blamed_on_the_message() {
    let version = load(&counts(2, "unreachable"), used(10));
    assert_eq!(run(&version).await.outcome, Outcome::Done);
    let report = run(&version).await;
    assert_eq!(
        report.outcome,
        Outcome::HandedBack(HandedBack::ReusedInstance)
    );
    assert!(report.reused && report.diagnostics.is_some());
    assert_eq!(version.warm_instances(), 0, "the instance is gone");
    // Run again, fresh: the count begins anew.
    let report = version
        .run(Delivery {
            fresh: true,
            ..delivery(&version)
        })
        .await;
    assert_eq!(report.outcome, Outcome::Done);
    // A fresh instance that fails is the message's own doing.
    let traps = load(&counts(1, "unreachable"), used(10));
    assert_eq!(failed(&run(&traps).await).0, "trap");
    assert_eq!(traps.warm_instances(), 0);
}

#[tokio::test]
async fn an_instance_that_was_cut_off_never_serves_again() {
    // Hangs when it is called a second time.
    let version = load(&counts(2, "(loop $l (br $l))"), |spec| {
        used(10)(spec);
        spec.limits.timeout = Duration::from_millis(3);
    });
    for round in 0..100 {
        let report = run(&version).await;
        assert!(!report.reused, "round {round}: {report:?}");
        if report.outcome != Outcome::Done {
            // Not even its first call was done in time, on a machine that is busy.
            assert_eq!(failed(&report).0, "deadline");
            assert_eq!(version.warm_instances(), 0);
            continue;
        }
        assert_eq!(version.warm_instances(), 1);
        if round % 2 == 0 {
            let report = run(&version).await;
            assert!(report.reused, "round {round}");
            assert_eq!(failed(&report).0, "deadline", "round {round}");
        } else {
            // Nobody waits for it any longer.
            let mut waiting = std::pin::pin!(run(&version));
            let mut polls = 0;
            std::future::poll_fn(|cx| {
                polls += 1;
                match waiting.as_mut().poll(cx) {
                    std::task::Poll::Pending if polls < 2 => std::task::Poll::Pending,
                    _ => std::task::Poll::Ready(()),
                }
            })
            .await;
        }
        assert_eq!(version.warm_instances(), 0, "round {round}");
    }
}

#[tokio::test]
async fn a_fresh_delivery_leaves_the_warm_instance_alone() {
    let version = load(&counts(3, "unreachable"), used(10));
    assert!(!run(&version).await.reused);
    for _ in 0..3 {
        let fresh = Delivery {
            fresh: true,
            ..delivery(&version)
        };
        assert!(!version.run(fresh).await.reused);
    }
    assert!(run(&version).await.reused);
    version.discard_warm_instances();
    assert_eq!(version.warm_instances(), 0);
    assert!(!run(&version).await.reused);
}

#[tokio::test]
async fn an_instance_that_has_grown_large_is_not_kept() {
    let module = component(
        &[],
        "(func $handle (param i32) (result i32)
           (drop (memory.grow (i32.const 1100))) i32.const 1024)",
    );
    let dir = tempfile::tempdir().unwrap();
    let mut options = RuntimeOptions::new(dir.path().join("cwasm"), CompileMode::InProcess);
    options.max_memory = 128 * 1024 * 1024;
    options.max_instances = 2;
    let runtime = Runtime::new(options).unwrap();
    let large = spec(|spec| {
        used(10)(spec);
        spec.limits.memory = 128 * 1024 * 1024;
    });
    let version = runtime.load(&large, &module).unwrap();
    for _ in 0..3 {
        assert!(!run(&version).await.reused);
    }
    assert_eq!(runtime.warm_instances(), 0);
}

#[tokio::test]
async fn warm_instances_are_counted_over_all_handlers_and_go_with_their_version() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(&dir, 2);
    let versions: Vec<_> = (0..4)
        .map(|_| runtime.load(&spec(used(10)), &guests::ok()).unwrap())
        .collect();
    for version in &versions {
        assert_eq!(run(version).await.outcome, Outcome::Done);
    }
    assert_eq!(runtime.warm_instances(), 2, "no more than max_instances");
    // Warm instances take no slot from deliveries.
    for version in &versions {
        assert_eq!(run(version).await.outcome, Outcome::Done);
    }
    drop(versions);
    assert_eq!(runtime.warm_instances(), 0);
}

#[tokio::test]
async fn the_host_chooses_only_when_told_to() {
    let auto = load(&guests::ok(), |spec| {
        spec.limits.max_calls = MaxCalls::Auto;
    });
    let reuse = auto.reuse();
    assert!(!reuse.instantiation.is_zero());
    assert_eq!(reuse.chosen_by_host, reuse.calls > 1);
    let fixed = load(&guests::ok(), used(7)).reuse();
    assert_eq!((fixed.calls, fixed.chosen_by_host), (7, false));
    let none = load(&guests::ok(), used(0)).reuse();
    assert_eq!(none.calls, 1);
}
