//! Modules that are hard on the compiler: it runs in a process of its own, with limits.

use std::fmt::Write;

use crate::fixture;

/// A component whose one function takes the compiler a long time.
fn bomb() -> Vec<u8> {
    let mut text = String::from(
        "(component (core module (memory 1) (func (param $a i32) (local $b i32) (local $c i64)\n",
    );
    for i in 0..60_000 {
        let _ = writeln!(
            text,
            "(block (br_if 0 (i32.load offset={i} (local.get $a)))
             (local.set $b (i32.add (local.get $a) (i32.load offset={i} (local.get $b))))
             (local.set $c (i64.mul (local.get $c) (i64.extend_i32_u (local.get $b)))))"
        );
    }
    text.push_str("(i64.store (local.get $b) (local.get $c)))))");
    wat::parse_str(text).unwrap()
}

#[test]
fn a_module_that_takes_too_long_to_compile_is_refused_and_others_go_on() {
    let config = format!(
        "{}[host.sandbox]\ncompile_cpu = \"1s\"\n[queue.heavy]\nhandler = \"bomb.wasm\"\n",
        fixture::config("", "")
    );
    // Its own module is compiled by another test under another limit, or by this one now.
    let warm = fixture::host(&fixture::config("", ""), &["misbehave"]);
    drop(warm);
    let host = fixture::host(
        &config.replace("bomb.wasm", "misbehave.wasm"),
        &["misbehave"],
    );
    host.install_bytes(&bomb(), "bomb").unwrap();
    host.configure(&config).unwrap();
    host.signal(rustix::process::Signal::HUP).unwrap();
    host.wait_until("the bomb is refused", |host| {
        let handlers = host.socket().get("/v1/handlers")?.json();
        let mut all = handlers["items"].as_array().unwrap().iter();
        Ok(all.any(|one| one["name"] == "bomb" && one["status"] == "refused"))
    })
    .unwrap();
    let shown = host.done(&["handlers"]).unwrap();
    assert!(
        shown.contains("bomb.wasm could not be compiled: compiling took more than 1s of CPU time"),
        "{shown}"
    );
    host.send("work", "ok").unwrap();
    host.wait_until("others go on", |host| Ok(host.queue("work")?.acked == 1))
        .unwrap();
}

#[test]
fn a_module_that_is_too_large_is_refused() {
    let config = format!(
        "{}[host.sandbox]\nmax_module_size = \"64KiB\"\n",
        fixture::config("", "")
    );
    let mut host = gristmill_tests::Host::new(&config, &["misbehave"]).unwrap();
    host.start().unwrap();
    host.wait_until("it is refused", |host| {
        Ok(host.socket().get("/v1/handlers")?.json()["items"][0]["status"] == "refused")
    })
    .unwrap();
    let shown = host.done(&["handlers"]).unwrap();
    assert!(
        shown.contains("misbehave.wasm") && shown.contains("64"),
        "{shown}"
    );
    host.send("work", "ok").unwrap();
    assert_eq!(host.queue("work").unwrap().ready, 1, "messages wait");
}
