//! What a call may end with.

use gristmill_queue::Reason;

use super::*;

#[tokio::test]
async fn ok_is_done() {
    let version = load(&guests::ok(), |_| {});
    let report = run(&version).await;
    assert_eq!(report.outcome, Outcome::Done);
    assert!(report.effects.sends.is_empty() && report.diagnostics.is_none());
    assert!(report.usage.peak_memory >= 3 * 65536 && !report.reused);
    assert!(report.usage.wall >= report.usage.cpu && report.usage.cpu > Duration::ZERO);
}

#[tokio::test]
async fn failures_are_what_the_handler_says() {
    let retried = |error: &str, delay| Outcome::Failed {
        reason: Reason::Retry,
        error: error.to_owned(),
        delay,
    };
    let table = [
        (0, retried("later", None)),
        (1, retried("later", Some(Duration::from_millis(1500)))),
        (
            2,
            Outcome::Rejected {
                error: "later".to_owned(),
            },
        ),
        (
            3,
            Outcome::Postponed {
                delay: Duration::from_millis(1500),
            },
        ),
    ];
    for (case, expected) in table {
        let version = load(&guests::fails(case, "later", 1500), |_| {});
        assert_eq!(run(&version).await.outcome, expected);
    }
}

#[tokio::test]
async fn a_trap_tells_where() {
    let version = load(&guests::traps(), |_| {});
    let report = run(&version).await;
    let (reason, error) = failed(&report);
    assert_eq!(reason, "trap");
    assert!(error.contains("unreachable"), "{error}");
    let frames = report.diagnostics.unwrap().backtrace;
    assert!(frames[0].ends_with("!divide_by_nothing"), "{frames:?}");
    assert!(frames[1].ends_with("!handle"), "{frames:?}");
}

#[test]
fn a_run_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let version = load(&guests::ok(), |_| {});
    is_send(&version.run(delivery(&version)));
}
