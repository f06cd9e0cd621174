//! What guests may call.

use gristmill_queue::effects::Write;
use gristmill_queue::message::Due;

use super::guests::{CONFIG, DELIVERY, LOGGING, PRODUCER, SECRETS, STATE, TRANSACTION, component};
use super::*;

/// An `outgoing` at 3072 with the body "hello", everything else empty, behind the name of a queue
/// or a message id.
const OUTGOING: &str = r#"
    (data (i32.const 2048) "billing")
    (data (i32.const 2064) "hello")
    (func $outgoing (param $to i32) (param $length i32)
      (i32.store (i32.const 3072) (local.get $to))
      (i32.store (i32.const 3076) (local.get $length))
      (i32.store (i32.const 3080) (i32.const 2064))
      (i32.store (i32.const 3084) (i32.const 5)))
    ;; The failure `retry` with one letter: which error the host gave.
    (func $fail (param $case i32) (result i32)
      (i32.store8 (i32.const 2100) (i32.add (local.get $case) (i32.const 48)))
      (i32.store8 (i32.const 1024) (i32.const 1))
      (i32.store (i32.const 1040) (i32.const 2100))
      (i32.store (i32.const 1044) (i32.const 1))
      i32.const 1024)
    ;; What a call that returned at 512 makes of the delivery.
    (func $settle (result i32)
      (if (result i32) (i32.load8_u (i32.const 512))
        (then (call $fail (i32.load8_u (i32.const 520))))
        (else i32.const 1024)))"#;

fn sender() -> Vec<u8> {
    component(
        &[PRODUCER],
        &format!(
            "{OUTGOING}
             (func $handle (param i32) (result i32)
               (call $outgoing (i32.const 2048) (i32.const 7))
               (call $send (i32.const 3072) (i32.const 512))
               call $settle)"
        ),
    )
}

/// Replies to the message it was given.
fn replier() -> Vec<u8> {
    component(
        &[PRODUCER],
        &format!(
            "{OUTGOING}
             (func $handle (param $message i32) (result i32)
               (call $outgoing (i32.load (local.get $message))
                 (i32.load offset=4 (local.get $message)))
               (call $reply (i32.const 3072) (i32.const 512))
               call $settle)"
        ),
    )
}

fn may_send_to(spec: &mut HandlerSpec, names: &[&str], limit: u64) {
    let queues: BTreeMap<_, _> = names.iter().map(|name| (queue(name), limit)).collect();
    spec.grants.send_to = queues.into();
}

fn envelope(reply_to: Option<&str>, correlation_id: Option<&str>) -> Envelope {
    Envelope {
        reply_to: reply_to.map(queue),
        correlation_id: correlation_id.map(str::to_owned),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ..Envelope::default()
    }
}

#[tokio::test]
async fn a_send_is_an_effect_and_a_child_of_the_message() {
    let version = load(&sender(), |spec| may_send_to(spec, &["billing"], 100));
    let delivery = delivery_of(&version, envelope(None, None));
    let parent = Arc::clone(&delivery.message);
    let report = version.run(delivery).await;
    assert_eq!(report.outcome, Outcome::Done);
    let [send] = &report.effects.sends[..] else {
        panic!("{:?}", report.effects)
    };
    assert_eq!(
        (send.to.as_str(), &send.message.body[..]),
        ("billing", &b"hello"[..])
    );
    let sent = &send.message.envelope;
    assert_eq!(sent.causation_id, Some(parent.id));
    assert_eq!(sent.traceparent, parent.envelope.traceparent);
    assert_eq!(sent.source.as_deref(), Some("orders"));
    assert_eq!(
        (sent.priority.level(), send.message.due),
        (4, Due::Now),
        "what the guest left out is the default"
    );
}

#[tokio::test]
async fn sends_are_refused_by_their_reason() {
    // The number is that of the case of `send-error`.
    for (names, limit, case) in [(["other"], 100, "0"), (["billing"], 4, "2")] {
        let version = load(&sender(), |spec| may_send_to(spec, &names, limit));
        let report = run(&version).await;
        assert_eq!(failed(&report), ("retry", case));
        assert!(report.effects.sends.is_empty());
    }
    let none = load(&sender(), |spec| {
        may_send_to(spec, &["billing"], 100);
        spec.limits.effects.max_sends = 0;
    });
    assert_eq!(failed(&run(&none).await), ("retry", "3"));
}

#[tokio::test]
async fn a_reply_goes_to_whoever_asked() {
    let version = load(&replier(), |spec| spec.grants.reply = true);
    for (correlation, expected) in [(Some("c-1"), Some("c-1".to_owned())), (None, None)] {
        let delivery = delivery_of(&version, envelope(Some("answers"), correlation));
        let id = delivery.message.id.to_string();
        let report = version.run(delivery).await;
        assert_eq!(report.outcome, Outcome::Done);
        let send = &report.effects.sends[0];
        assert_eq!(send.to.as_str(), "answers");
        assert_eq!(
            send.message.envelope.correlation_id,
            expected.or(Some(id)),
            "the request's correlation id, or else its id"
        );
    }
    // No `reply-to`: no recipient.
    assert_eq!(failed(&run(&version).await), ("retry", "1"));
    // Not granted, though the interface is there for sending.
    let forbidden = load(&replier(), |spec| may_send_to(spec, &["answers"], 100));
    let delivery = delivery_of(&forbidden, envelope(Some("answers"), None));
    assert_eq!(failed(&forbidden.run(delivery).await), ("retry", "0"));
}

#[tokio::test]
async fn what_was_sent_is_dropped_unless_the_message_is_acknowledged() {
    let module = component(
        &[PRODUCER],
        &format!(
            "{OUTGOING}
             (func $handle (param i32) (result i32)
               (call $outgoing (i32.const 2048) (i32.const 7))
               (call $send (i32.const 3072) (i32.const 512))
               (call $fail (i32.const 9)))"
        ),
    );
    let version = load(&module, |spec| may_send_to(spec, &["billing"], 100));
    let report = run(&version).await;
    assert_eq!(failed(&report), ("retry", "9"));
    assert_eq!(report.effects, Default::default());
}

#[tokio::test]
async fn state_and_savepoints_reach_the_transaction() {
    let module = component(
        &[STATE, TRANSACTION],
        r#"(data (i32.const 2048) "seen")
        (func $handle (param i32) (result i32)
          (call $add (i32.const 2048) (i32.const 4) (i64.const 1) (i32.const 512))
          (call $mark)
          (call $add (i32.const 2048) (i32.const 4) (i64.const 5) (i32.const 512))
          (call $rollback)
          i32.const 1024)"#,
    );
    let version = load(&module, |spec| spec.grants.state = true);
    let report = run(&version).await;
    assert_eq!(report.outcome, Outcome::Done);
    assert_eq!(
        report.effects.writes,
        [("seen".to_owned(), Write::Add(1))],
        "the second addition was undone"
    );
}

#[tokio::test]
async fn rolling_back_to_nothing_traps() {
    let module = component(
        &[TRANSACTION],
        "(func $handle (param i32) (result i32) (call $rollback (i32.const 3)) i32.const 1024)",
    );
    let report = run(&load(&module, |_| {})).await;
    let (reason, error) = failed(&report);
    assert_eq!(reason, "trap");
    assert!(error.contains("mark 3"), "{error}");
}

#[tokio::test]
async fn a_handler_can_ask_for_more_time_until_it_has_to_end() {
    // Fails with the first letter of what `extend` said: `0` moved, `1` limit reached, `2` ending.
    let module = component(
        &[DELIVERY],
        &format!(
            "{OUTGOING}
             (func $handle (param i32) (result i32)
               (if (i64.gt_u (call $remaining) (i64.const 30000)) (then unreachable))
               (call $extend (i64.const 40000) (i32.const 512))
               (if (i32.eqz (i32.load8_u (i32.const 512)))
                 (then (if (i64.lt_u (call $remaining) (i64.const 30000)) (then unreachable))
                       (return (call $fail (i32.const 0)))))
               (call $fail (i32.add (i32.const 1) (i32.load8_u (i32.const 520)))))"
        ),
    );
    let generous = load(&module, |_| {});
    assert_eq!(failed(&run(&generous).await), ("retry", "0"));
    let mut ending = delivery(&generous);
    ending.ending = EndingFlag::default();
    ending.ending.set();
    assert_eq!(failed(&generous.run(ending).await), ("retry", "2"));
    let strict = load(&module, |spec| {
        spec.limits.max_timeout = Duration::from_secs(30);
    });
    assert_eq!(failed(&run(&strict).await), ("retry", "1"));
}

#[tokio::test]
async fn log_lines_are_kept_for_the_dead_letter() {
    let module = component(
        &[LOGGING],
        r#"(data (i32.const 2048) "no such order")
        (func $handle (param i32) (result i32)
          (call $log (i32.const 4) (i32.const 0) (i32.const 0) (i32.const 2048) (i32.const 13))
          unreachable)"#,
    );
    let report = run(&load(&module, |_| {})).await;
    let (reason, error) = failed(&report);
    assert_eq!(reason, "trap");
    assert!(error.contains("no such order"), "{error}");
    let diagnostics = report.diagnostics.unwrap();
    assert_eq!(diagnostics.output_tail, "[ERROR] no such order\n");
}

#[tokio::test]
async fn configuration_and_secrets_are_those_that_were_granted() {
    // Rejects with the configured text, masked where it is the secret; traps if there is none.
    let config = component(
        &[CONFIG],
        r#"(data (i32.const 2048) "key")
        (func $handle (param i32) (result i32)
          (call $config (i32.const 2048) (i32.const 3) (i32.const 512))
          (if (i32.eqz (i32.load8_u (i32.const 516))) (then unreachable))
          (i32.store8 (i32.const 1024) (i32.const 1))
          (i32.store8 (i32.const 1032) (i32.const 2))
          (i64.store (i32.const 1040) (i64.load (i32.const 520)))
          i32.const 1024)"#,
    );
    let rejected = |error: &str| Outcome::Rejected {
        error: error.to_owned(),
    };
    let entry = |value: &str| ("key".to_owned(), value.to_owned());
    let version = load(&config, |spec| {
        spec.grants.config = [entry("blue")].into();
    });
    assert_eq!(run(&version).await.outcome, rejected("blue"));
    let none = run(&load(&config, |_| {})).await;
    assert_eq!(failed(&none).0, "trap");

    let secrets = component(
        &[SECRETS],
        r#"(data (i32.const 2048) "key")
        (func $handle (param i32) (result i32)
          (call $secret (i32.const 2048) (i32.const 3) (i32.const 512))
          (if (i32.eqz (i32.load8_u (i32.const 512))) (then unreachable))
          (i32.store8 (i32.const 1024) (i32.const 1))
          (i32.store8 (i32.const 1032) (i32.const 2))
          (i64.store (i32.const 1040) (i64.load (i32.const 516)))
          i32.const 1024)"#,
    );
    for (name, expected) in [("key", Some("[secret]")), ("other", None)] {
        let version = load(&secrets, |spec| {
            let secret = crate::runtime::spec::Secret::new("hunter22".to_owned());
            spec.grants.secrets.insert(name.to_owned(), secret);
        });
        let report = run(&version).await;
        match expected {
            Some(text) => assert_eq!(report.outcome, rejected(text)),
            None => assert_eq!(failed(&report).0, "trap"),
        }
    }
}
