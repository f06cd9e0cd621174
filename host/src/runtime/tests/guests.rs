//! Guests in WAT: a core module wrapped into a component that exports `handle`.

use std::fmt::Write;

/// Interfaces that a guest imports beside `types`, as text of the component and of its module.
#[derive(Clone, Copy, Default)]
pub(crate) struct Import {
    /// Declares the import and lowers its functions.
    pub(super) component: &'static str,
    /// The core instance that carries the lowered functions.
    pub(super) instance: &'static str,
    /// Imports them into the module.
    pub(super) module: &'static str,
}

pub(crate) const PRODUCER: Import = Import {
    component: r#"
    (import "gristmill:queue/producer@0.1.0" (instance $producer
      (type $attributes (list (tuple string string)))
      (type $o' (record (field "body" (list u8)) (field "content-type" (option string))
        (field "attributes" $attributes) (field "group" (option string))
        (field "correlation-id" (option string)) (field "reply-to" (option string))
        (field "message-type" (option string)) (field "schema-version" (option string))
        (field "priority" (option u8)) (field "dedup-id" (option string))
        (field "delay" (option u64)) (field "ttl" (option u64))))
      (export "outgoing" (type $o (eq $o')))
      (type $e' (variant (case "not-permitted") (case "no-recipient") (case "too-large" u64)
        (case "too-many") (case "invalid" string)))
      (export "send-error" (type $e (eq $e')))
      (export "send" (func (param "to" string) (param "message" $o)
        (result (result string (error $e)))))
      (export "reply" (func (param "to" string) (param "message" $o)
        (result (result string (error $e)))))))
    (core func $send (canon lower (func $producer "send")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (core func $reply (canon lower (func $producer "reply")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#,
    instance: r#"(with "producer" (instance
      (export "send" (func $send)) (export "reply" (func $reply))))"#,
    module: r#"(import "producer" "send" (func $send (param i32 i32)))
      (import "producer" "reply" (func $reply (param i32 i32)))"#,
};

pub(crate) const STATE: Import = Import {
    component: r#"
    (import "gristmill:queue/state@0.1.0" (instance $state
      (type $e' (variant (case "invalid-key") (case "too-large" u64) (case "quota-exceeded")
        (case "not-a-counter") (case "unavailable" string)))
      (export "error" (type $e (eq $e')))
      (export "add" (func (param "key" string) (param "delta" s64) (result (result (error $e)))))))
    (core func $add (canon lower (func $state "add")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#,
    instance: r#"(with "state" (instance (export "add" (func $add))))"#,
    module: r#"(import "state" "add" (func $add (param i32 i32 i64 i32)))"#,
};

pub(crate) const TRANSACTION: Import = Import {
    component: r#"
    (import "gristmill:queue/transaction@0.1.0" (instance $transaction
      (export "mark" (func (result u32)))
      (export "rollback-to" (func (param "to" u32)))))
    (core func $mark (canon lower (func $transaction "mark")))
    (core func $rollback (canon lower (func $transaction "rollback-to")))"#,
    instance: r#"(with "transaction" (instance
      (export "mark" (func $mark)) (export "rollback-to" (func $rollback))))"#,
    module: r#"(import "transaction" "mark" (func $mark (result i32)))
      (import "transaction" "rollback-to" (func $rollback (param i32)))"#,
};

pub(crate) const DELIVERY: Import = Import {
    component: r#"
    (import "gristmill:queue/delivery@0.1.0" (instance $delivery
      (export "remaining" (func (result u64)))
      (type $e' (enum "limit-reached" "ending"))
      (export "extend-error" (type $e (eq $e')))
      (export "extend" (func (param "need" u64) (result (result u64 (error $e)))))
      (export "ending" (func (result bool)))))
    (core func $remaining (canon lower (func $delivery "remaining")))
    (core func $extend (canon lower (func $delivery "extend")
      (memory (core memory $libc "memory"))))
    (core func $ending (canon lower (func $delivery "ending")))"#,
    instance: r#"(with "delivery" (instance (export "remaining" (func $remaining))
      (export "extend" (func $extend)) (export "ending" (func $ending))))"#,
    module: r#"(import "delivery" "remaining" (func $remaining (result i64)))
      (import "delivery" "extend" (func $extend (param i64 i32)))
      (import "delivery" "ending" (func $ending (result i32)))"#,
};

/// A clock that waits: a host call in which the guest is suspended.
pub(crate) const SLEEP: Import = Import {
    component: r#"
    (import "wasi:io/poll@0.2.0" (instance $poll
      (export "pollable" (type $pollable (sub resource)))
      (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
      (alias outer 1 $pollable (type $p))
      (export "pollable" (type $pollable (eq $p)))
      (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
    (core func $block (canon lower (func $poll "[method]pollable.block")))
    (core func $subscribe (canon lower (func $clock "subscribe-duration")))"#,
    instance: r#"(with "clock" (instance
      (export "block" (func $block)) (export "subscribe" (func $subscribe))))"#,
    module: r#"(import "clock" "block" (func $block (param i32)))
      (import "clock" "subscribe" (func $subscribe (param i64) (result i32)))"#,
};

pub(crate) const LOGGING: Import = Import {
    component: r#"
    (import "wasi:logging/logging@0.1.0-draft" (instance $logging
      (type $l' (enum "trace" "debug" "info" "warn" "error" "critical"))
      (export "level" (type $l (eq $l')))
      (export "log" (func (param "level" $l) (param "context" string) (param "message" string)))))
    (core func $log (canon lower (func $logging "log") (memory (core memory $libc "memory"))))"#,
    instance: r#"(with "logging" (instance (export "log" (func $log))))"#,
    module: r#"(import "logging" "log" (func $log (param i32 i32 i32 i32 i32)))"#,
};

/// Two interfaces with a `get` of a string, called with the key at 2048 of three letters.
pub(super) const CONFIG: Import = Import {
    component: r#"
    (import "wasi:config/store@0.2.0-rc.1" (instance $config
      (type $e' (variant (case "upstream" string) (case "io" string)))
      (export "error" (type $e (eq $e')))
      (export "get" (func (param "key" string)
        (result (result (option string) (error $e)))))))
    (core func $config-get (canon lower (func $config "get")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#,
    instance: r#"(with "config" (instance (export "get" (func $config-get))))"#,
    module: r#"(import "config" "get" (func $config (param i32 i32 i32)))"#,
};

pub(super) const SECRETS: Import = Import {
    component: r#"
    (import "gristmill:queue/secrets@0.1.0" (instance $secrets
      (export "get" (func (param "name" string) (result (option string))))))
    (core func $secrets-get (canon lower (func $secrets "get")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#,
    instance: r#"(with "secrets" (instance (export "get" (func $secrets-get))))"#,
    module: r#"(import "secrets" "get" (func $secret (param i32 i32 i32)))"#,
};

/// An import that no host has.
pub(crate) const HTTP: Import = Import {
    component: r#"(import "wasi:http/types@0.2.0" (instance $http))"#,
    instance: "",
    module: "",
};

/// The types of the queue's interface, and the memory that everything shares.
///
/// `realloc` hands out memory from 64 KiB on, and grows it as needed.
const HEAD: &str = r#"(component
    (import "gristmill:queue/types@0.1.0" (instance $types
      (type $attributes (list (tuple string string)))
      (export "attributes" (type $a (eq $attributes)))
      (type $tc' (record (field "traceparent" string) (field "tracestate" string)))
      (export "trace-context" (type $tc (eq $tc')))
      (type $m' (record (field "id" string) (field "queue" string) (field "body" (list u8))
        (field "content-type" (option string)) (field "attributes" $a)
        (field "group" (option string)) (field "correlation-id" (option string))
        (field "causation-id" (option string)) (field "reply-to" (option string))
        (field "message-type" (option string)) (field "schema-version" (option string))
        (field "source" (option string)) (field "priority" u8) (field "trace" (option $tc))
        (field "enqueued-at" u64) (field "expires-at" (option u64)) (field "attempt" u32)))
      (export "message" (type $m (eq $m')))
      (type $dr' (record (field "reason" string) (field "delay" u64)))
      (export "delayed-retry" (type $dr (eq $dr')))
      (type $f' (variant (case "retry" string) (case "retry-after" $dr) (case "reject" string)
        (case "postpone" u64)))
      (export "failure" (type $f (eq $f')))
      (type $u' (variant (case "done") (case "failed" $f)))
      (export "outcome" (type $u (eq $u')))))
    (alias export $types "outcome" (type $outcome))
    (alias export $types "message" (type $message))
    (alias export $types "failure" (type $failure))
    (core module $Libc
      (memory (export "memory") 3)
      (global $next (mut i32) (i32.const 65536))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $start i32)
        (local.set $start (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $start) (local.get 3)))
        (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
          (then (if (i32.lt_s (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16))
                                                    (i32.const 1))) (i32.const 0))
            (then unreachable))))
        (local.get $start)))
    (core instance $libc (instantiate $Libc))"#;

/// A component whose module has `body`, which has to define `$handle (param i32) (result i32)`.
///
/// The message is at the parameter's address: its id's address and length first. The result is an
/// address; what lies at 1024 is zero, that is `ok`.
pub(crate) fn component(imports: &[Import], body: &str) -> Vec<u8> {
    wat::parse_str(text(imports, body)).unwrap()
}

fn text(imports: &[Import], body: &str) -> String {
    let mut text = HEAD.to_owned();
    for import in imports {
        text.push_str(import.component);
    }
    let modules: String = imports.iter().map(|import| import.module).collect();
    let instances: String = imports.iter().map(|import| import.instance).collect();
    write!(
        text,
        r#"
    (core module $Guest
      (import "libc" "memory" (memory $memory 1))
      (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
      {modules}
      {body}
      (export "handle" (func $handle)))
    (core instance $guest (instantiate $Guest (with "libc" (instance $libc)) {instances}))
    (func $handle (param "message" $message) (result (result (error $failure)))
      (canon lift (core func $guest "handle")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (instance $handler (export "handle" (func $handle)))
    (export "gristmill:queue/handler@0.1.0" (instance $handler)))"#
    )
    .unwrap();
    text
}

/// Says `ok` to everything.
pub(crate) fn ok() -> Vec<u8> {
    component(
        &[],
        "(func $handle (param i32) (result i32) i32.const 1024)",
    )
}

/// Fails with the case of that number: a string at 2048 for `retry` and `reject`, and a number for
/// `retry-after` and `postpone`.
pub(crate) fn fails(case: u8, reason: &str, millis: u64) -> Vec<u8> {
    let payload = if case == 3 {
        format!("(i64.store (i32.const 1040) (i64.const {millis}))")
    } else {
        format!(
            "(i32.store (i32.const 1040) (i32.const 2048))
             (i32.store (i32.const 1044) (i32.const {}))
             (i64.store (i32.const 1048) (i64.const {millis}))",
            reason.len()
        )
    };
    let body = format!(
        r#"(data (i32.const 2048) "{reason}")
        (func $handle (param i32) (result i32)
          (i32.store8 (i32.const 1024) (i32.const 1))
          (i32.store8 (i32.const 1032) (i32.const {case}))
          {payload}
          i32.const 1024)"#
    );
    component(&[], &body)
}

/// Traps two functions deep.
pub(crate) fn traps() -> Vec<u8> {
    component(
        &[],
        "(func $divide_by_nothing unreachable)
         (func $handle (param i32) (result i32) call $divide_by_nothing i32.const 1024)",
    )
}

/// Never comes back.
pub(crate) fn loops() -> Vec<u8> {
    component(
        &[],
        "(func $forever (loop $l (br $l)))
         (func $handle (param i32) (result i32) call $forever i32.const 1024)",
    )
}

/// Waits in a host call for a minute.
pub(crate) fn sleeps() -> Vec<u8> {
    component(
        &[SLEEP],
        "(func $handle (param i32) (result i32)
           (call $block (call $subscribe (i64.const 60000000000))) i32.const 1024)",
    )
}

/// Counts its calls, and does `last` in the call of that number.
pub(crate) fn counts(number: u32, last: &str) -> Vec<u8> {
    component(
        &[],
        &format!(
            "(global $calls (mut i32) (i32.const 0))
             (func $handle (param i32) (result i32)
               (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
               (if (i32.eq (global.get $calls) (i32.const {number})) (then {last}))
               i32.const 1024)"
        ),
    )
}

/// Says `ok` to a single message, and handles batches with `batch`, which gets the list's address
/// and length on the stack. The result is at 1024: the address and the number of outcomes of 32
/// bytes each, which are `done` where they are zero.
pub(crate) fn batches(batch: &str) -> Vec<u8> {
    let body = format!(
        r#"(data (i32.const 2048) "no")
        (func $handle (param i32) (result i32) i32.const 2000)
        (func $batch (export "batch") (param $list i32) (param $length i32) (result i32)
          {batch}
          i32.const 1024)"#
    );
    let mut text = text(&[], &body);
    text.pop();
    text.push_str(
        r#"
    (func $batch (param "messages" (list $message)) (result (list $outcome))
      (canon lift (core func $guest "batch")
        (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
    (instance $batches (export "handle-batch" (func $batch)))
    (export "gristmill:queue/batch-handler@0.1.0" (instance $batches)))"#,
    );
    wat::parse_str(text).unwrap()
}
