//! Time, memory and stack.

use std::time::Instant;

use super::guests::{component, loops, sleeps};
use super::*;

/// How late a guest may be stopped, on a machine that does other things as well.
const SLACK: Duration = Duration::from_millis(250);

fn with_timeout(millis: u64) -> impl FnOnce(&mut HandlerSpec) {
    move |spec| spec.limits.timeout = Duration::from_millis(millis)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_loops_are_stopped_while_others_go_on() {
    let endless = load(&loops(), with_timeout(100));
    let began = Instant::now();
    let loops: Vec<_> = (0..4)
        .map(|_| {
            let endless = Arc::clone(&endless);
            tokio::spawn(async move { run(&endless).await })
        })
        .collect();
    let quick = load(&guests::ok(), |_| {});
    let mut done = 0;
    while !loops.iter().all(tokio::task::JoinHandle::is_finished) {
        assert_eq!(run(&quick).await.outcome, Outcome::Done);
        done += 1;
        tokio::task::yield_now().await;
    }
    assert!(done > 10, "only {done} calls beside the loops");
    for endless in loops {
        let report = endless.await.unwrap();
        let (reason, error) = failed(&report);
        assert_eq!(reason, "deadline");
        assert!(error.contains("100ms"), "{error}");
        let frames = report.diagnostics.unwrap().backtrace;
        assert!(frames[0].ends_with("!forever"), "{frames:?}");
    }
    assert!(began.elapsed() < Duration::from_millis(100) + SLACK);
}

#[tokio::test]
async fn waiting_in_a_host_call_ends_at_the_deadline_too() {
    let version = load(&sleeps(), with_timeout(30));
    let report = run(&version).await;
    assert_eq!(failed(&report).0, "deadline");
    assert!(report.usage.wall >= Duration::from_millis(30));
    assert!(report.usage.wall < Duration::from_millis(30) + SLACK);
    assert!(report.usage.cpu < report.usage.wall / 2, "{report:?}");
}

#[tokio::test]
async fn time_passes_again_after_a_quiet_spell() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(&dir, 2);
    let version = runtime.load(&spec(with_timeout(20)), &loops()).unwrap();
    for _ in 0..2 {
        while !runtime.inner.ticker.is_asleep() {
            std::thread::yield_now();
        }
        assert_eq!(failed(&run(&version).await).0, "deadline");
    }
}

#[tokio::test]
async fn cpu_time_is_limited_apart_from_the_timeout() {
    let version = load(&loops(), |spec| {
        spec.limits.cpu_time = Duration::from_millis(20);
    });
    let report = run(&version).await;
    assert_eq!(failed(&report).0, "cpu-limit");
    assert!(report.usage.cpu >= Duration::from_millis(15), "{report:?}");
}

#[tokio::test]
async fn a_start_function_that_never_ends_is_refused_at_load() {
    let module = component(
        &[],
        "(func $forever (loop $l (br $l))) (start $forever)
         (func $handle (param i32) (result i32) i32.const 1024)",
    );
    let error = runtime()
        .load(&spec(with_timeout(30)), &module)
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("does not start: deadline"), "{text}");
}

#[tokio::test]
async fn refused_memory_is_named_when_the_guest_gives_up() {
    let module = component(
        &[],
        "(func $handle (param i32) (result i32)
           (loop $l (if (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)) (then unreachable))
             (br $l)) i32.const 1024)",
    );
    let version = load(&module, |spec| spec.limits.memory = 8 * 1024 * 1024);
    let report = run(&version).await;
    let (reason, error) = failed(&report);
    assert_eq!(reason, "memory-limit");
    assert!(error.contains("its limit is 8.0 MiB"), "{error}");
    assert!(report.usage.peak_memory <= 8 * 1024 * 1024);
    assert!(report.usage.peak_memory > 7 * 1024 * 1024);
}

#[tokio::test]
async fn a_guest_that_copes_with_refused_memory_is_done() {
    let module = component(
        &[],
        "(func $handle (param i32) (result i32)
           (drop (memory.grow (i32.const 60000))) i32.const 1024)",
    );
    assert_eq!(run(&load(&module, |_| {})).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_fresh_instance_has_blank_memory_whoever_had_it_before() {
    // Fails if it finds anything, at the start of its memory, far into it, or in what it grows,
    // and leaves something everywhere.
    let module = |mark: u32| {
        component(
            &[],
            &format!(
                "(func $visit (param $at i32)
                   (if (i32.load (local.get $at)) (then unreachable))
                   (i32.store (local.get $at) (i32.const {mark})))
                 (func $handle (param i32) (result i32)
                   (call $visit (i32.const 4096))
                   (call $visit (i32.const 60000))
                   (call $visit (i32.const 190000))
                   (drop (memory.grow (i32.const 100)))
                   (call $visit (i32.const 300000))
                   (call $visit (i32.const 6700000))
                   i32.const 1024)"
            ),
        )
    };
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(&dir, 1);
    let versions = [1, 2].map(|mark| runtime.load(&spec(|_| {}), &module(mark)).unwrap());
    for round in 0..200 {
        let report = run(&versions[round % 2]).await;
        assert_eq!(report.outcome, Outcome::Done, "round {round}");
    }
}

#[tokio::test]
async fn without_room_for_a_pool_handlers_still_run() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(&dir, 1_000_000);
    let version = runtime.load(&spec(|_| {}), &guests::ok()).unwrap();
    assert_eq!(run(&version).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn deep_recursion_is_a_stack_overflow() {
    let module = component(
        &[],
        "(func $deeper (param i64) (result i64)
           (i64.add (call $deeper (i64.add (local.get 0) (i64.const 1))) (local.get 0)))
         (func $handle (param i32) (result i32)
           (drop (call $deeper (i64.const 0))) i32.const 1024)",
    );
    let report = run(&load(&module, |_| {})).await;
    assert_eq!(failed(&report).0, "stack-overflow");
    let frames = report.diagnostics.unwrap().backtrace;
    assert_eq!(frames.len(), 20, "{frames:?}");
    // A recursion whose stack lies in memory, as compilers make it: it runs below address 0.
    let shadow = component(
        &[],
        "(global $sp (mut i32) (i32.const 65536))
         (func $deeper (param i32) (result i32)
           (local $frame i32)
           (local.set $frame (i32.sub (global.get $sp) (i32.const 1024)))
           (global.set $sp (local.get $frame))
           (i32.store (local.get $frame) (local.get 0))
           (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1)))
                    (i32.load (local.get $frame))))
         (func $handle (param i32) (result i32)
           (drop (call $deeper (i32.const 0))) i32.const 1024)",
    );
    assert_eq!(
        failed(&run(&load(&shadow, |_| {})).await).0,
        "stack-overflow"
    );
    // A wild address is none.
    let wild = component(
        &[],
        "(func $handle (param i32) (result i32) (i32.load (i32.const 0x7fff0000)))",
    );
    assert_eq!(failed(&run(&load(&wild, |_| {})).await).0, "trap");
}

#[tokio::test]
async fn a_cancelled_run_gives_its_slot_back() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(&dir, 2);
    let version = runtime.load(&spec(|_| {}), &sleeps()).unwrap();
    let quick = runtime.load(&spec(|_| {}), &guests::ok()).unwrap();
    for _ in 0..50 {
        let mut runs: Vec<_> = (0..2).map(|_| Box::pin(run(&version))).collect();
        for run in &mut runs {
            let waiting = futures_poll(run.as_mut()).await;
            assert!(waiting, "it should wait in the host call");
        }
        assert_eq!(runtime.in_flight(), 2);
        drop(runs);
        assert_eq!(runtime.in_flight(), 0);
    }
    for _ in 0..2 {
        assert_eq!(run(&quick).await.outcome, Outcome::Done);
    }
}

/// Polls once, and says whether the future is still waiting.
async fn futures_poll<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
    std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}
