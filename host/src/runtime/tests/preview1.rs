//! WASI preview 1 as a program meets it: clocks, waiting, chance, what is not open, and addresses that
//! are nowhere.

use super::*;

/// A core module that checks what the host answers: `$is` ends it with the number of the check that
/// failed.
fn checks(imports: &str, checks: &str) -> Vec<u8> {
    let text = format!(
        r#"(module
          {imports}
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (func $is (param $number i32) (param $got i32) (param $wanted i32)
            (if (i32.ne (local.get $got) (local.get $wanted))
              (then (call $exit (local.get $number)))))
          (func (export "_start") {checks}))"#
    );
    wat::parse_str(text).unwrap()
}

/// An import of a function with so many parameters of 32 bits.
fn import(name: &str, parameters: usize) -> String {
    let parameters = " i32".repeat(parameters);
    format!(
        r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param{parameters}) (result i32)))"#
    )
}

const CLOCK_TIME: &str = r#"(import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))"#;

async fn all_hold(module: &[u8]) {
    let outcome = run(&load(module, |_| {})).await.outcome;
    assert_eq!(outcome, Outcome::Done, "the exit status is the check");
}

#[tokio::test]
async fn a_program_waits_for_a_time_and_is_told_which_it_was() {
    let imports = [CLOCK_TIME, &import("poll_oneoff", 4)].concat();
    // Two waits: for a minute, and for two milliseconds, each with a number of its own.
    all_hold(&checks(
        &imports,
        "(call $is (i32.const 1) (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 0)) (i32.const 0))
         (i64.store (i32.const 100) (i64.const 77)) (i32.store (i32.const 116) (i32.const 1))
         (i64.store (i32.const 124) (i64.const 60000000000))
         (i64.store (i32.const 148) (i64.const 78)) (i32.store (i32.const 164) (i32.const 1))
         (i64.store (i32.const 172) (i64.const 2000000))
         (call $is (i32.const 2)
           (call $poll_oneoff (i32.const 100) (i32.const 400) (i32.const 2) (i32.const 8)) (i32.const 0))
         (call $is (i32.const 3) (i32.load (i32.const 8)) (i32.const 1))
         (call $is (i32.const 4) (i32.load (i32.const 400)) (i32.const 78))
         (call $is (i32.const 5) (i32.load16_u (i32.const 408)) (i32.const 0))
         (call $is (i32.const 6) (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 16)) (i32.const 0))
         (call $is (i32.const 7)
           (i64.ge_u (i64.sub (i64.load (i32.const 16)) (i64.load (i32.const 0))) (i64.const 2000000))
           (i32.const 1))
         (call $is (i32.const 8)
           (call $poll_oneoff (i32.const 100) (i32.const 400) (i32.const 0) (i32.const 8)) (i32.const 28))
         (call $is (i32.const 9) (call $clock_time_get (i32.const 7) (i64.const 0) (i32.const 0)) (i32.const 28))",
    ))
    .await;
}

#[tokio::test]
async fn waiting_ends_at_the_deadline() {
    let module = checks(
        &import("poll_oneoff", 4),
        "(i32.store (i32.const 116) (i32.const 1)) (i64.store (i32.const 124) (i64.const -1))
         (drop (call $poll_oneoff (i32.const 100) (i32.const 400) (i32.const 1) (i32.const 8)))",
    );
    let version = load(&module, |spec| {
        spec.limits.timeout = Duration::from_millis(50);
    });
    assert_eq!(failed(&run(&version).await).0, "deadline");
}

#[tokio::test]
async fn chance_is_another_each_time_and_asked_for_in_pieces() {
    all_hold(&checks(
        &import("random_get", 2),
        "(call $is (i32.const 1) (call $random_get (i32.const 0) (i32.const 8)) (i32.const 0))
         (call $is (i32.const 2) (call $random_get (i32.const 8) (i32.const 8)) (i32.const 0))
         (call $is (i32.const 3) (i64.eq (i64.load (i32.const 0)) (i64.load (i32.const 8))) (i32.const 0))
         (drop (memory.grow (i32.const 20)))
         (call $is (i32.const 4) (call $random_get (i32.const 0) (i32.const 1048577)) (i32.const 28))",
    ))
    .await;
}

#[tokio::test]
async fn an_address_that_is_nowhere_is_an_error_and_not_the_end() {
    let functions = [
        ("environ_sizes_get", 2),
        ("environ_get", 2),
        ("args_get", 2),
        ("fd_write", 4),
        ("fd_read", 4),
        ("random_get", 2),
        ("poll_oneoff", 4),
        ("fd_fdstat_get", 2),
        ("fd_filestat_get", 2),
    ];
    let imports = functions.map(|(name, parameters)| import(name, parameters));
    let imports = [CLOCK_TIME, &imports.concat()].concat();
    // A buffer that begins in the memory and ends beyond it, and one that would wrap around.
    all_hold(&checks(
        &imports,
        "(i32.store (i32.const 16) (i32.const 65535)) (i32.store (i32.const 20) (i32.const 2))
         (i32.store (i32.const 24) (i32.const 8)) (i32.store (i32.const 28) (i32.const -4))
         (call $is (i32.const 1) (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 2) (call $fd_read (i32.const 0) (i32.const 24) (i32.const 1) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 3) (call $fd_write (i32.const 1) (i32.const -8) (i32.const 2) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 4) (call $fd_write (i32.const 1) (i32.const 16) (i32.const 0) (i32.const 65533)) (i32.const 21))
         (call $is (i32.const 5) (call $random_get (i32.const -1) (i32.const 2)) (i32.const 21))
         (call $is (i32.const 6) (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 65529)) (i32.const 21))
         (call $is (i32.const 7) (call $environ_sizes_get (i32.const 65533) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 8) (call $args_get (i32.const 0) (i32.const 65535)) (i32.const 21))
         (call $is (i32.const 9) (call $environ_get (i32.const 0) (i32.const -1)) (i32.const 21))
         (call $is (i32.const 10) (call $poll_oneoff (i32.const 65500) (i32.const 0) (i32.const 1) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 11) (call $poll_oneoff (i32.const -16) (i32.const 0) (i32.const 2) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 12) (call $poll_oneoff (i32.const 100) (i32.const 65520) (i32.const 1) (i32.const 0)) (i32.const 21))
         (call $is (i32.const 13) (call $fd_fdstat_get (i32.const 1) (i32.const 65520)) (i32.const 21))
         (call $is (i32.const 14) (call $fd_filestat_get (i32.const 1) (i32.const 65500)) (i32.const 21))",
    ))
    .await;
}

#[tokio::test]
async fn nothing_is_open_but_the_streams() {
    let functions = [
        ("fd_write", 4),
        ("fd_read", 4),
        ("fd_close", 1),
        ("fd_prestat_get", 2),
        ("fd_fdstat_get", 2),
        ("path_unlink_file", 3),
        ("sock_shutdown", 2),
    ];
    let imports = functions.map(|(name, parameters)| import(name, parameters));
    all_hold(&checks(
        &imports.concat(),
        "(call $is (i32.const 1) (call $fd_write (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 8)) (i32.const 8))
         (call $is (i32.const 2) (call $fd_write (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 8)) (i32.const 8))
         (call $is (i32.const 3) (call $fd_read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8)) (i32.const 8))
         (call $is (i32.const 4) (call $fd_close (i32.const 3)) (i32.const 8))
         (call $is (i32.const 5) (call $fd_prestat_get (i32.const 3) (i32.const 0)) (i32.const 8))
         (call $is (i32.const 6) (call $fd_fdstat_get (i32.const 3) (i32.const 0)) (i32.const 8))
         (call $is (i32.const 7) (call $path_unlink_file (i32.const 3) (i32.const 0) (i32.const 1)) (i32.const 8))
         (call $is (i32.const 8) (call $sock_shutdown (i32.const 3) (i32.const 0)) (i32.const 8))",
    ))
    .await;
}
