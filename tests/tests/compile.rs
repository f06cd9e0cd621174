//! Modules that are hard on the compiler: it runs in a process of its own, with limits.

use std::fs;
use std::time::{Duration, Instant};

use gristmill_tests::Host;
use rustix::process::Signal;

use crate::{fixture, wasm};

/// A bomb, its module, and what is said of it.
type Bomb = (&'static str, fn() -> Vec<u8>, &'static str);

const BOMBS: [Bomb; 4] = [
    ("chain", || wasm::chain(100_000), "took more than 1s of CPU"),
    (
        "live",
        || wasm::live(2000, 4000),
        "took more than 1s of CPU",
    ),
    ("tiny", || wasm::tiny(300_000), ""),
    (
        "straight",
        || wasm::straight(600_000),
        "took more than 1s of CPU",
    ),
];

/// The processes that this host has started and not waited for.
fn children(host: &Host) -> Vec<u32> {
    let pid = host.pid().unwrap().as_raw_nonzero();
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    let all = tasks.flatten().filter_map(|task| of(task).ok());
    let numbers = all.flat_map(|line| {
        let numbers = line.split_whitespace().map(str::parse);
        numbers.collect::<Vec<_>>()
    });
    numbers.flatten().collect()
}

/// A number of `/proc/<pid>/stat`, counted from the third.
fn stat(pid: u32, field: usize) -> Option<i64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(field - 3)?.parse().ok()
}

const NICE: usize = 19;

#[test]
fn bombs_for_the_compiler_are_refused_with_the_limit_they_hit_while_others_go_on() {
    let names = BOMBS.iter().map(|(name, ..)| *name);
    let host = fixture::host_beside(names, "1s");
    let before = host.memory_kib("VmHWM").unwrap();

    let began = Instant::now();
    for (name, module, _) in BOMBS {
        host.install_bytes(&module(), name).unwrap();
    }
    let (mut most, mut sent) = (0, 0);
    // Each has the patience of a busy machine for itself: they come one after the other.
    let mut refused = 0;
    while refused < BOMBS.len() {
        let before = refused;
        host.wait_until("another bomb is refused", |host| {
            most = most.max(children(host).len());
            host.send("work", "ok")?;
            sent += 1;
            let handlers = host.socket().get("/v1/handlers")?.json();
            let all = handlers["items"].as_array().unwrap().iter();
            refused = all.filter(|one| one["status"] == "refused").count();
            Ok(refused > before)
        })
        .unwrap();
    }
    let took = began.elapsed();
    host.wait_settled(&["work"]).unwrap();
    let grown = host.memory_kib("VmHWM").unwrap() - before;
    eprintln!("4 bombs refused in {took:?}, beside them {sent} messages; grown by {grown} KiB");
    assert_eq!(host.queue("work").unwrap().acked, sent + 1, "others go on");
    assert_eq!(most, 1, "one compiler at a time");
    assert!(grown < 128 * 1024, "the host grew by {grown} KiB");
    let shown = host.done(&["handlers"]).unwrap();
    for (name, _, words) in BOMBS {
        let line = shown.lines().find(|line| {
            line.contains(&format!("{name}.wasm could not be compiled: ")) && line.contains(words)
        });
        let line = line.unwrap_or_else(|| panic!("{name}: {words}\n{shown}"));
        assert!(line.contains("build it with less code"), "{line}");
    }
}

#[test]
fn the_least_memory_that_may_be_configured_is_enough_to_compile_a_handler() {
    let config = format!(
        "{}[host.sandbox]\ncompile_memory = \"256MiB\"\n[queue.large]\nhandler = \"large.wasm\"\n",
        fixture::config("", "")
    );
    let mut host = Host::new(&config, &["misbehave"]).unwrap();
    // It is compiled here, whoever compiled it before.
    fs::remove_file(host.data().join("compiled")).unwrap();
    host.start().unwrap();
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    assert_eq!(host.queue("work").unwrap().acked, 1, "{}", host.log());
    host.install_bytes(&wasm::straight(600_000), "large")
        .unwrap();
    let words = "needed more than 256 MiB of memory: build it with less code in one function, or \
                 raise `host.sandbox.compile_memory`";
    host.wait_until("it is refused", |host| {
        Ok(host.done(&["handlers"])?.contains(words))
    })
    .unwrap();
}

#[test]
fn the_compiler_dies_with_the_host_that_started_it() {
    let config = format!(
        "{}[queue.heavy]\nhandler = \"bomb.wasm\"\n",
        fixture::config("", "")
    );
    let mut host = fixture::host(
        &config.replace("bomb.wasm", "misbehave.wasm"),
        &["misbehave"],
    );
    host.install_bytes(&wasm::live(2000, 20_000), "bomb")
        .unwrap();
    host.configure(&config).unwrap();
    host.signal(Signal::HUP).unwrap();
    let pid = u32::try_from(host.pid().unwrap().as_raw_nonzero().get()).unwrap();
    let lower = stat(pid, NICE).map(|nice| (nice + 10).min(19));
    let mut compiler = 0;
    host.wait_until("it compiles", |host| {
        let found = children(host);
        let limited = |child: &&u32| stat(**child, NICE) == lower;
        compiler = found.iter().find(limited).copied().unwrap_or(0);
        Ok(compiler != 0)
    })
    .unwrap();
    host.kill().unwrap();
    let began = Instant::now();
    while stat(compiler, NICE).is_some() {
        assert!(began.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::yield_now();
    }
}

#[test]
fn a_module_that_is_too_large_is_refused() {
    let config = format!(
        "{}[host.sandbox]\nmax_module_size = \"64KiB\"\n",
        fixture::config("", "")
    );
    let mut host = Host::new(&config, &["misbehave"]).unwrap();
    host.start().unwrap();
    host.wait_until("it is refused", |host| {
        Ok(host.socket().get("/v1/handlers")?.json()["items"][0]["status"] == "refused")
    })
    .unwrap();
    let shown = host.done(&["handlers"]).unwrap();
    assert!(
        shown.contains("misbehave.wasm") && shown.contains("`host.sandbox.max_module_size` is"),
        "{shown}"
    );
    // So says the command that looks at it without a host.
    let checked = host.run(&["check"]).unwrap();
    assert!(
        checked
            .stdout
            .contains("`host.sandbox.max_module_size` is 65536"),
        "{checked:?}"
    );
    host.send("work", "ok").unwrap();
    assert_eq!(host.queue("work").unwrap().ready, 1, "messages wait");
}
