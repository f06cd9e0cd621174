//! A guest in WAT that is a handler of requests, as far as these tests need one.

use std::fmt::Write as _;

use crate::runtime::tests::guests::Import;

/// What a handler of requests imports of `wasi:http/types`, as far as these tests call it: the name, and the
/// type of the function.
const TYPES: [(&str, &str); 11] = [
    ("[constructor]fields", "(result (own $fields))"),
    (
        "[method]fields.append",
        r#"(param "self" (borrow $fields)) (param "name" string) (param "value" (list u8))
           (result (result (error $header-error)))"#,
    ),
    (
        "[method]fields.get",
        r#"(param "self" (borrow $fields)) (param "name" string) (result (list (list u8)))"#,
    ),
    (
        "[method]incoming-request.headers",
        r#"(param "self" (borrow $incoming-request)) (result (own $fields))"#,
    ),
    (
        "[method]incoming-request.consume",
        r#"(param "self" (borrow $incoming-request)) (result (result (own $incoming-body)))"#,
    ),
    (
        "[method]incoming-body.stream",
        r#"(param "self" (borrow $incoming-body)) (result (result (own $input-stream)))"#,
    ),
    (
        "[constructor]outgoing-response",
        r#"(param "headers" (own $fields)) (result (own $outgoing-response))"#,
    ),
    (
        "[method]outgoing-response.set-status-code",
        r#"(param "self" (borrow $outgoing-response)) (param "status-code" u16) (result (result))"#,
    ),
    (
        "[method]outgoing-response.body",
        r#"(param "self" (borrow $outgoing-response)) (result (result (own $outgoing-body)))"#,
    ),
    (
        "[method]outgoing-body.write",
        r#"(param "self" (borrow $outgoing-body)) (result (result (own $output-stream)))"#,
    ),
    (
        "[static]outgoing-body.finish",
        r#"(param "this" (own $outgoing-body)) (param "trailers" (option (own $fields)))
           (result (result (error $error-code)))"#,
    ),
];

/// The cases of `error-code`. Names of the standard.
const ERROR_CODE: &str = r#"(variant (case "DNS-timeout") (case "DNS-error" $dns)
    (case "destination-not-found") (case "destination-unavailable") (case "destination-IP-prohibited")
    (case "destination-IP-unroutable") (case "connection-refused") (case "connection-terminated")
    (case "connection-timeout") (case "connection-read-timeout") (case "connection-write-timeout")
    (case "connection-limit-reached") (case "TLS-protocol-error") (case "TLS-certificate-error")
    (case "TLS-alert-received" $tls) (case "HTTP-request-denied") (case "HTTP-request-length-required")
    (case "HTTP-request-body-size" (option u64)) (case "HTTP-request-method-invalid")
    (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long")
    (case "HTTP-request-header-section-size" (option u32)) (case "HTTP-request-header-size" (option $size))
    (case "HTTP-request-trailer-section-size" (option u32)) (case "HTTP-request-trailer-size" $size)
    (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" (option u32))
    (case "HTTP-response-header-size" $size) (case "HTTP-response-body-size" (option u64))
    (case "HTTP-response-trailer-section-size" (option u32)) (case "HTTP-response-trailer-size" $size)
    (case "HTTP-response-transfer-coding" (option string)) (case "HTTP-response-content-coding" (option string))
    (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error")
    (case "loop-detected") (case "configuration-error") (case "internal-error" (option string)))"#;

/// The core functions that the imports become, in their order, and those of the streams.
const FUNCTIONS: [(&str, &str); 14] = [
    ("fields", "(result i32)"),
    ("append", "(param i32 i32 i32 i32 i32 i32)"),
    ("get", "(param i32 i32 i32 i32)"),
    ("headers", "(param i32) (result i32)"),
    ("consume", "(param i32 i32)"),
    ("stream", "(param i32 i32)"),
    ("response", "(param i32) (result i32)"),
    ("status", "(param i32 i32) (result i32)"),
    ("body", "(param i32 i32)"),
    ("write", "(param i32 i32)"),
    ("finish", "(param i32 i32 i32 i32)"),
    ("set", "(param i32 i32 i32 i32 i64 i32 i32 i32 i32)"),
    ("out", "(param i32 i32 i32 i32)"),
    ("read", "(param i32 i64 i32)"),
];

/// A component that was built for `wasi:http@0.2.0`; `body` has to define `$handle`, which gets the request
/// and the place for the response.
///
/// `$answer` gives a response with a status, headers, and a text that lies in memory; `$again` is the header
/// `retry-after: 7`. What lies at 2048 is `text`.
pub(super) fn handler(text: &str, body: &str) -> Vec<u8> {
    handler_with(&[], text, body)
}

/// One that imports interfaces of our own as well.
pub(super) fn handler_with(own: &[Import], text: &str, body: &str) -> Vec<u8> {
    let part = |part: fn(&Import) -> &'static str| own.iter().map(part).collect::<String>();
    let own_lowered = part(|import| import.component);
    let own_given = part(|import| import.instance);
    let own_module = part(|import| import.module);
    let mut imports = String::new();
    for (name, kind) in TYPES {
        let _ = write!(imports, "(export \"{name}\" (func {kind}))");
    }
    let mut lowered = String::new();
    let mut given = String::new();
    let mut module = String::new();
    let names = TYPES.iter().map(|(name, _)| ("$http", *name));
    let names = names.chain([
        ("$http", "[static]response-outparam.set"),
        ("$streams", "[method]output-stream.blocking-write-and-flush"),
        ("$streams", "[method]input-stream.blocking-read"),
    ]);
    for ((instance, long), (name, kind)) in names.zip(FUNCTIONS) {
        let _ = write!(
            lowered,
            r#"(core func ${name} (canon lower (func {instance} "{long}")
              (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#
        );
        let _ = write!(given, "(export \"{name}\" (func ${name}))");
        let _ = write!(module, "(import \"host\" \"{name}\" (func ${name} {kind}))");
    }
    let text = format!(
        r#"(component
    (import "wasi:io/error@0.2.0" (instance $error (export "error" (type (sub resource)))))
    (alias export $error "error" (type $io-error))
    (import "wasi:io/streams@0.2.0" (instance $streams
      (export "output-stream" (type $output-stream (sub resource)))
      (export "input-stream" (type $input-stream (sub resource)))
      (alias outer 1 $io-error (type $e'))
      (export "error" (type $e (eq $e')))
      (type $failed' (variant (case "last-operation-failed" (own $e)) (case "closed")))
      (export "stream-error" (type $failed (eq $failed')))
      (export "[method]output-stream.blocking-write-and-flush" (func (param "self" (borrow $output-stream))
        (param "contents" (list u8)) (result (result (error $failed)))))
      (export "[method]input-stream.blocking-read" (func (param "self" (borrow $input-stream))
        (param "len" u64) (result (result (list u8) (error $failed)))))))
    (alias export $streams "output-stream" (type $output-stream))
    (alias export $streams "input-stream" (type $input-stream))
    (import "wasi:http/types@0.2.0" (instance $http
      (alias outer 1 $output-stream (type $o))
      (alias outer 1 $input-stream (type $i))
      (export "output-stream" (type $output-stream (eq $o)))
      (export "input-stream" (type $input-stream (eq $i)))
      (export "fields" (type $fields (sub resource)))
      (export "incoming-request" (type $incoming-request (sub resource)))
      (export "incoming-body" (type $incoming-body (sub resource)))
      (export "outgoing-response" (type $outgoing-response (sub resource)))
      (export "outgoing-body" (type $outgoing-body (sub resource)))
      (export "response-outparam" (type $response-outparam (sub resource)))
      (type $header-error' (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
      (export "header-error" (type $header-error (eq $header-error')))
      (type $dns' (record (field "rcode" (option string)) (field "info-code" (option u16))))
      (export "DNS-error-payload" (type $dns (eq $dns')))
      (type $tls' (record (field "alert-id" (option u8)) (field "alert-message" (option string))))
      (export "TLS-alert-received-payload" (type $tls (eq $tls')))
      (type $size' (record (field "field-name" (option string)) (field "field-size" (option u32))))
      (export "field-size-payload" (type $size (eq $size')))
      (type $error-code' {ERROR_CODE})
      (export "error-code" (type $error-code (eq $error-code')))
      {imports}
      (export "[static]response-outparam.set" (func (param "param" (own $response-outparam))
        (param "response" (result (own $outgoing-response) (error $error-code)))))))
    (alias export $http "incoming-request" (type $request))
    (alias export $http "response-outparam" (type $place))
    (core module $Libc
      (memory (export "memory") 4)
      (global $next (mut i32) (i32.const 65536))
      (func (export "realloc") (param i32 i32 i32 i32) (result i32)
        (local $start i32)
        (local.set $start (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
        (global.set $next (i32.add (local.get $start) (local.get 3)))
        (local.get $start)))
    (core instance $libc (instantiate $Libc))
    {lowered}
    {own_lowered}
    (core module $Guest
      (import "libc" "memory" (memory $memory 4))
      {module}
      {own_module}
      (data (i32.const 1024) "retry-after7")
      (data (i32.const 2048) "{text}")
      (func $again (result i32) (local $fields i32)
        (local.set $fields (call $fields))
        (call $append (local.get $fields) (i32.const 1024) (i32.const 11) (i32.const 1035) (i32.const 1)
          (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then unreachable))
        (local.get $fields))
      (func $answer (param $place i32) (param $status i32) (param $headers i32) (param $at i32) (param $length i32)
        (local $response i32) (local $body i32)
        (local.set $response (call $response (local.get $headers)))
        (if (call $status (local.get $response) (local.get $status)) (then unreachable))
        (call $body (local.get $response) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then unreachable))
        (local.set $body (i32.load (i32.const 4)))
        (call $set (local.get $place) (i32.const 0) (local.get $response) (i32.const 0) (i64.const 0)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
        (call $write (local.get $body) (i32.const 0))
        (call $out (i32.load (i32.const 4)) (local.get $at) (local.get $length) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then unreachable))
        (call $finish (local.get $body) (i32.const 0) (i32.const 0) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then unreachable)))
      {body}
      (export "handle" (func $handle)))
    (core instance $guest (instantiate $Guest (with "libc" (instance $libc))
      (with "host" (instance {given})) {own_given}))
    (func $handle (param "request" (own $request)) (param "response-out" (own $place))
      (canon lift (core func $guest "handle")))
    (instance $requests (export "handle" (func $handle)))
    (export "wasi:http/incoming-handler@0.2.0" (instance $requests)))"#
    );
    wat::parse_str(text).unwrap()
}
