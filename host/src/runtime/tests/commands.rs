//! Programs: core modules and components in WAT.

use gristmill_queue::Reason;

use super::*;
use crate::runtime::Form;
use crate::runtime::spec::OnFailure;

/// A core module that is a program of WASI preview 1; `body` has to define `$main`.
///
/// `$say` writes text that lies in memory to a stream, 1 or 2; what lies at 1024 is given.
fn program(text: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "fd_read"
            (func $fd_read (param i32 i32 i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_sizes_get"
            (func $environ_sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_get"
            (func $environ (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 3)
          (data (i32.const 1024) "{text}")
          (func $say (param $stream i32) (param $at i32) (param $length i32)
            (i32.store (i32.const 0) (local.get $at))
            (i32.store (i32.const 4) (local.get $length))
            (if (call $fd_write (local.get $stream) (i32.const 0) (i32.const 1) (i32.const 8))
              (then unreachable)))
          {body}
          (export "_start" (func $main)))"#
    );
    wat::parse_str(text).unwrap()
}

/// Writes a line to stderr, and ends with a status.
fn exits(status: u32) -> Vec<u8> {
    let body = format!(
        "(func $main (call $say (i32.const 2) (i32.const 1024) (i32.const 11))
           (call $exit (i32.const {status})))"
    );
    program("no cents\\n\\n\\n", &body)
}

/// A component that is a program, and returns this.
fn component_that_returns(result: u32) -> Vec<u8> {
    let text = format!(
        r#"(component
          (core module $m (func (export "run") (result i32) i32.const {result}))
          (core instance $i (instantiate $m))
          (func $run (result (result)) (canon lift (core func $i "run")))
          (instance $r (export "run" (func $run)))
          (export "wasi:cli/run@0.2.3" (instance $r)))"#
    );
    wat::parse_str(text).unwrap()
}

fn to_out(spec: &mut HandlerSpec) {
    spec.command.stdout_to = Some(queue("out"));
    spec.grants.send_to = Arc::new([(queue("out"), 1000)].into());
}

#[tokio::test]
async fn the_exit_status_decides() {
    let rejected = |status: u32| Outcome::Rejected {
        error: format!("exit status {status}: no cents"),
    };
    let retried = |status: u32| Outcome::Failed {
        reason: Reason::Retry,
        error: format!("exit status {status}: no cents"),
        delay: None,
    };
    let reject = |spec: &mut HandlerSpec| spec.command.on_failure = OnFailure::Reject;
    type Change = fn(&mut HandlerSpec);
    let table: [(u32, Change, Outcome); 7] = [
        (0, |_| {}, Outcome::Done),
        (65, |_| {}, rejected(65)),
        (75, |_| {}, retried(75)),
        (1, |_| {}, retried(1)),
        (1, reject, rejected(1)),
        (75, reject, retried(75)),
        (0, reject, Outcome::Done),
    ];
    for (status, change, expected) in table {
        let version = load(&exits(status), change);
        assert_eq!(version.form(), Form::Command);
        assert_eq!(version.guarantee(), GuaranteeClass::Atomic);
        let report = run(&version).await;
        assert_eq!(report.outcome, expected, "status {status}");
        if status != 0 {
            assert_eq!(report.diagnostics.unwrap().output_tail, "no cents\n\n\n");
        }
    }
    let silent = program("", "(func $main (call $exit (i32.const 3)))");
    let report = run(&load(&silent, |_| {})).await;
    let silent = "it ended with exit status 3 and wrote nothing to stderr";
    assert_eq!(failed(&report), ("retry", silent));
}

#[tokio::test]
async fn a_component_that_is_a_program_says_yes_or_no() {
    let version = load(&component_that_returns(0), |_| {});
    assert_eq!(version.form(), Form::Command);
    assert_eq!(run(&version).await.outcome, Outcome::Done);
    let version = load(&component_that_returns(1), |_| {});
    assert_eq!(failed(&run(&version).await).0, "retry");
    let version = load(&component_that_returns(1), |spec| {
        spec.command.on_failure = OnFailure::Reject;
    });
    let outcome = run(&version).await.outcome;
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
}

#[tokio::test]
async fn the_message_is_on_stdin_and_lines_of_stdout_are_sent_with_the_ack() {
    // Copies its input three times: as it is, and as two lines more.
    let body = "(func $main
        (i32.store (i32.const 16) (i32.const 4096))
        (i32.store (i32.const 20) (i32.const 100))
        (if (call $fd_read (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 24))
          (then unreachable))
        (call $say (i32.const 1) (i32.const 4096) (i32.load (i32.const 24)))
        (call $say (i32.const 1) (i32.const 1024) (i32.const 8)))";
    let module = program("\\n\\nplain\\n", body);
    let report = run(&load(&module, to_out)).await;
    assert_eq!(report.outcome, Outcome::Done);
    let sent: Vec<_> = report
        .effects
        .sends
        .iter()
        .map(|send| {
            let envelope = &send.message.envelope;
            assert_eq!(envelope.source.as_deref(), Some("orders"));
            assert!(envelope.causation_id.is_some());
            (
                send.to.as_str(),
                &*send.message.body,
                envelope.content_type.as_deref().unwrap(),
            )
        })
        .collect();
    let expected: [(_, &[u8], _); 2] = [
        ("out", b"{}", "application/json"),
        ("out", b"plain", "text/plain; charset=utf-8"),
    ];
    assert_eq!(sent, expected);
    // Without a queue for them, they are only logged.
    let report = run(&load(&module, |_| {})).await;
    assert_eq!(
        (report.outcome, report.effects.sends.len()),
        (Outcome::Done, 0)
    );
}

#[tokio::test]
async fn what_a_failed_program_wrote_is_not_sent() {
    let body = "(func $main (call $say (i32.const 1) (i32.const 1024) (i32.const 2))
        (call $exit (i32.const 75)))";
    let report = run(&load(&program("hi", body), to_out)).await;
    assert_eq!(failed(&report).0, "retry");
    assert_eq!(report.effects.sends, []);
}

#[tokio::test]
async fn what_is_known_of_the_message_is_in_the_environment() {
    let body = "(func $main
        (drop (call $environ_sizes (i32.const 16) (i32.const 20)))
        (drop (call $environ (i32.const 2048) (i32.const 8192)))
        (call $say (i32.const 1) (i32.const 8192) (i32.load (i32.const 20))))";
    let version = load(&program("", body), |spec| {
        to_out(spec);
        spec.grants.send_to = Arc::new([(queue("out"), 10_000)].into());
        spec.grants.env = [("TZ".to_owned(), "UTC".to_owned())].into();
    });
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let envelope = Envelope {
        content_type: Some("application/json".to_owned()),
        group: Some("g".to_owned()),
        message_type: Some("order.placed".to_owned()),
        attributes: vec![
            pair("tenant", "ünï"),
            pair("Tenant", "second"),
            pair("nul", "a\0b"),
        ],
        ..Envelope::default()
    };
    let report = version.run(delivery_of(&version, envelope)).await;
    let [sent] = &report.effects.sends[..] else {
        panic!("{report:?}");
    };
    let text = String::from_utf8(sent.message.body.to_vec()).unwrap();
    let variables: BTreeMap<&str, &str> = text
        .split_terminator('\0')
        .map(|variable| variable.split_once('=').unwrap())
        .collect();
    let expected = [
        ("GRISTMILL_ATTEMPT", "1"),
        (
            "GRISTMILL_ATTRIBUTES",
            r#"{"Tenant":"second","nul":"a\u0000b","tenant":"ünï"}"#,
        ),
        ("GRISTMILL_ATTR_TENANT", "ünï"),
        ("GRISTMILL_CONTENT_TYPE", "application/json"),
        ("GRISTMILL_ENQUEUED_AT", "2025-11-20T12:00:00.000Z"),
        ("GRISTMILL_GROUP", "g"),
        ("GRISTMILL_MAX_ATTEMPTS", "10"),
        ("GRISTMILL_PRIORITY", "4"),
        ("GRISTMILL_QUEUE", "orders"),
        ("GRISTMILL_TYPE", "order.placed"),
        ("TZ", "UTC"),
    ];
    for (name, value) in expected {
        assert_eq!(variables.get(name), Some(&value), "{name} of {text:?}");
    }
    assert_eq!(variables["GRISTMILL_ID"].len(), 36);
    assert_eq!(variables.len(), expected.len() + 1, "{variables:?}");
}

#[tokio::test]
async fn the_limits_are_those_of_every_handler() {
    let forever = program("", "(func $main (loop $l (br $l)))");
    let version = load(&forever, |spec| {
        spec.limits.timeout = Duration::from_millis(30)
    });
    assert_eq!(failed(&run(&version).await).0, "deadline");
    let version = load(&forever, |spec| {
        spec.limits.cpu_time = Duration::from_millis(20)
    });
    assert_eq!(failed(&run(&version).await).0, "cpu-limit");

    let grows = program(
        "",
        "(func $main (loop $l
           (if (i32.lt_s (memory.grow (i32.const 16)) (i32.const 0)) (then unreachable)) (br $l)))",
    );
    let report = run(&load(&grows, |spec| spec.limits.memory = 8 * 1024 * 1024)).await;
    assert_eq!(failed(&report).0, "memory-limit");
    assert!(report.usage.peak_memory <= 8 * 1024 * 1024);

    let traps = program("", "(func $main unreachable)");
    assert_eq!(failed(&run(&load(&traps, |_| {})).await).0, "trap");

    let deep = program(
        "",
        "(func $deep (param i64) (result i64)
           (i64.add (call $deep (i64.add (local.get 0) (i64.const 1))) (local.get 0)))
         (func $main (drop (call $deep (i64.const 0))))",
    );
    assert_eq!(failed(&run(&load(&deep, |_| {})).await).0, "stack-overflow");
}

#[tokio::test]
async fn a_flood_of_output_is_cut_off_or_refused() {
    let floods = program(
        "",
        "(func $main (local $i i32)
           (loop $l (call $say (i32.const 1) (i32.const 0) (i32.const 65536))
             (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                 (i32.const 1000)))))",
    );
    assert_eq!(run(&load(&floods, |_| {})).await.outcome, Outcome::Done);
    let report = run(&load(&floods, to_out)).await;
    let (reason, error) = failed(&report);
    assert_eq!(reason, "output-limit");
    assert!(
        error.contains("goes to out") && error.contains("`max_send_bytes`"),
        "{error}"
    );
    let lines = program(
        "a\\nb\\nc\\n",
        "(func $main (call $say (i32.const 1) (i32.const 1024) (i32.const 6)))",
    );
    let report = run(&load(&lines, |spec| {
        to_out(spec);
        spec.limits.effects.max_sends = 2;
    }))
    .await;
    assert_eq!(failed(&report).0, "output-limit");
    assert_eq!(report.effects.sends, []);
}

#[tokio::test]
async fn a_program_is_fresh_every_time_whatever_is_configured() {
    let once = program(
        "",
        "(global $ran (mut i32) (i32.const 0))
         (func $main (if (global.get $ran) (then unreachable)) (global.set $ran (i32.const 1)))",
    );
    let version = load(&once, |spec| spec.limits.max_calls = MaxCalls::Fixed(100));
    assert_eq!(version.reuse().calls, 1);
    for _ in 0..3 {
        assert_eq!(run(&version).await.outcome, Outcome::Done);
    }
}
