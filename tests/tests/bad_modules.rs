//! Files that are no handlers, in every way that a file can be none: each is refused, nothing else
//! is harmed, and what served goes on.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use gristmill_tests::{Host, Rng, guests};
use serde_json::Value;

use crate::{fixture, wasm};

/// A file is cut off after each 64th of it.
const CUTS: usize = 64;
/// Guests that are cut off.
const GUESTS: [&str; 3] = ["misbehave", "sink", "orders"];
/// How much the host may grow over all of it. The product's promise is 64 MiB.
const MOST_GROWN_KIB: u64 = 128 * 1024;

/// A name, a file, and words of which one is in the verdict.
type Bad = (String, Content, &'static [&'static str]);

enum Content {
    Bytes(Vec<u8>),
    /// So long, and nothing in it.
    Sparse(u64),
}

fn wat(text: &str) -> Content {
    Content::Bytes(wat::parse_str(text).unwrap())
}

fn cuts() -> Vec<Bad> {
    let mut all = Vec::new();
    for guest in GUESTS {
        let module = fs::read(guests().unwrap().path(guest)).unwrap();
        for part in 1..CUTS {
            let cut = module[..module.len() * part / CUTS].to_vec();
            let name = format!("cut-{guest}-{part}");
            let words: &[&str] = &[
                "is not valid WebAssembly",
                "is not WebAssembly",
                "is not a handler",
                "does not export",
                "imports",
            ];
            all.push((name, Content::Bytes(cut), words));
        }
    }
    all
}

fn noise() -> Vec<Bad> {
    let seed = Rng::seed("GRISTMILL_NOISE_SEED");
    eprintln!("GRISTMILL_NOISE_SEED={seed}");
    let mut rng = Rng::new(seed);
    let mut noise = |length: usize| -> Vec<u8> {
        let bytes = (0..length).map(|_| u8::try_from(rng.below(256)).unwrap());
        bytes.collect()
    };
    let mut all: Vec<Bad> = Vec::new();
    for number in 0..6 {
        let behind = |head: &[u8], noise: Vec<u8>| Content::Bytes([head, &noise].concat());
        let plain = Content::Bytes([vec![0xee], noise(5000)].concat());
        let component = behind(b"\0asm\x0d\0\x01\0", noise(5000));
        let module = behind(b"\0asm\x01\0\0\0", noise(5000));
        all.extend([
            (
                format!("noise-{number}"),
                plain,
                &["is not WebAssembly"][..],
            ),
            (
                format!("noise-component-{number}"),
                component,
                &["is not valid WebAssembly"],
            ),
            (
                format!("noise-module-{number}"),
                module,
                &["is not valid WebAssembly"],
            ),
        ]);
    }
    all
}

/// A component with a core module whose text is this.
fn module(text: &str) -> Content {
    wat(&format!("(component (core module {text}))"))
}

fn odd() -> Vec<Bad> {
    let bytes = Content::Bytes;
    let huge_section = [
        b"\0asm\x0d\0\x01\0".to_vec(),
        vec![0],
        wasm::number(0xffff_fff0),
    ];
    let huge_list = [
        b"\0asm\x0d\0\x01\0".to_vec(),
        wasm::section(7, &wasm::number(0xffff_fff0)),
    ];
    let all: Vec<(&str, Content, &'static [&'static str])> = vec![
        ("empty", bytes(Vec::new()), &["the file is empty"]),
        (
            "gigabyte",
            Content::Sparse(1 << 30),
            &["has 1073741824 bytes, but `host.sandbox.max_module_size` is 67108864"],
        ),
        ("core", wat("(module (memory 1))"), &["is a core module"]),
        (
            "world",
            wat(r#"(component (instance $i) (export "wasi:cli/run@0.2.0" (instance $i)))"#),
            &["does not have export `run`"],
        ),
        (
            "types",
            bytes(wasm::types(100_000)),
            &["it exports nothing"],
        ),
        (
            "imports",
            bytes(wasm::imports(90_000)),
            &[
                "needs 90000 imports, but a handler has at most 1000",
                "took more than 5s of CPU",
            ],
        ),
        (
            "some-imports",
            bytes(wasm::imports(500)),
            &["imports f19, but this host does not know it"],
        ),
        (
            "huge-section",
            bytes(huge_section.concat()),
            &["is not valid WebAssembly"],
        ),
        (
            "huge-list",
            bytes(huge_list.concat()),
            &["is not valid WebAssembly"],
        ),
        (
            "locals",
            // Four billion of them in one function, in a few bytes.
            bytes(wasm::functions(&[(u32::MAX, Vec::new())])),
            &["is not valid WebAssembly"],
        ),
        (
            "memory",
            module("(memory 65536)"),
            &["a minimum byte size of 4294967296 which exceeds the limit of"],
        ),
        (
            "table",
            module("(table 0xfffffff0 funcref)"),
            &[
                "element size of 4294967280 which exceeds",
                "is not valid WebAssembly",
            ],
        ),
        (
            "doubling",
            bytes(wasm::doubling(40)),
            &["could not be compiled", "is not valid WebAssembly", "needs"],
        ),
        ("zeros", bytes(vec![0; 8 << 20]), &["is not WebAssembly"]),
    ];
    let named = all.into_iter();
    named
        .map(|(name, content, words)| (name.to_owned(), content, words))
        .collect()
}

fn install(host: &Host, name: &str, content: &Content) {
    match content {
        Content::Bytes(bytes) => host.install_bytes(bytes, name).unwrap(),
        Content::Sparse(length) => {
            let file = File::create(host.module(name)).unwrap();
            file.set_len(*length).unwrap();
        }
    }
}

fn handlers(host: &Host) -> Vec<Value> {
    let json = host.socket().get("/v1/handlers").unwrap().json();
    json["items"].as_array().unwrap().clone()
}

#[test]
fn every_bad_module_is_refused_with_its_reason_and_nothing_else_is_harmed() {
    let all: Vec<Bad> = [cuts(), noise(), odd()].into_iter().flatten().collect();
    let names = all.iter().map(|(name, ..)| name.as_str());
    let host = fixture::host_beside(names, "5s");
    let before = host.memory_kib("VmHWM").unwrap();
    let began = Instant::now();
    for (name, content, _) in &all {
        install(&host, name, content);
    }
    let mut sent = 1;
    let mut judged = 0;
    while judged < all.len() {
        let last = judged;
        host.wait_until("another is refused", |host| {
            host.send("work", "ok")?;
            sent += 1;
            let refused = handlers(host)
                .iter()
                .filter(|one| one["status"] == "refused")
                .count();
            judged = refused;
            Ok(judged > last)
        })
        .unwrap();
    }
    let took = began.elapsed();
    host.wait_settled(&["work"]).unwrap();
    let grown = host.memory_kib("VmHWM").unwrap() - before;
    eprintln!(
        "{} bad modules in {took:?}, beside them {sent} messages; grown by {grown} KiB",
        all.len()
    );
    assert_eq!(host.queue("work").unwrap().acked, sent);
    let shown = handlers(&host);
    let mut wrong = Vec::new();
    for (name, _, words) in &all {
        let one = shown.iter().find(|one| one["name"] == **name).unwrap();
        let problem = one["problem"].as_str().unwrap_or_default();
        let fits = words.iter().any(|words| problem.contains(words));
        if !fits || problem.len() > 5000 || problem.contains("panicked") {
            wrong.push(format!("{name}: {problem:.300}"));
        } else if !name.starts_with("cut-") {
            eprintln!("{name}: {problem:.150}");
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!host.log().contains("panicked"), "{}", host.log());
    assert!(grown < MOST_GROWN_KIB, "the host grew by {grown} KiB");
}

#[test]
fn whatever_takes_the_place_of_a_module_the_old_one_serves_on() {
    let bad: Vec<Bad> = [odd(), noise()].into_iter().flatten().collect();
    let bad: Vec<&Bad> = bad
        .iter()
        .filter(|(name, ..)| !name.ends_with("doubling"))
        .collect();
    let queues: String = bad
        .iter()
        .map(|(name, ..)| format!("[queue.{name}]\nhandler = \"{name}.wasm\"\n"))
        .collect();
    let config = format!("{}{queues}", fixture::config("", ""));
    let mut host = Host::new(&config, &["misbehave"]).unwrap();
    for (name, ..) in &bad {
        host.install("sink", name).unwrap();
    }
    host.start().unwrap();
    host.wait_until("all serve", |host| {
        Ok(handlers(host).iter().all(|one| one["status"] == "serving"))
    })
    .unwrap();
    for (name, content, _) in &bad {
        install(&host, name, content);
    }
    host.wait_until("all newer ones are refused", |host| {
        let problems = handlers(host);
        let refused = problems.iter().filter(|one| one["problem"].is_string());
        Ok(refused.count() == bad.len())
    })
    .unwrap();
    assert!(handlers(&host).iter().all(|one| one["status"] == "serving"));
    for (name, ..) in &bad {
        host.send(name, "x").unwrap();
    }
    let names: Vec<&str> = bad.iter().map(|(name, ..)| name.as_str()).collect();
    host.wait_settled(&names).unwrap();
    let queues = host.queues().unwrap();
    let of_bad = queues.iter().filter(|queue| names.contains(&&*queue.name));
    assert!(
        of_bad
            .clone()
            .all(|queue| (queue.acked, queue.failed) == (1, 0))
    );
}

#[test]
fn verdicts_are_quick() {
    let name = "cut";
    let config = format!("[queue.q]\nhandler = \"{name}.wasm\"\n");
    let host = Host::new(&config, &[]).unwrap();
    // The program may have to be built first, which is no part of a verdict.
    host.done(&["--version"]).unwrap();
    let bad = [noise(), odd()].into_iter().flatten();
    let mut slowest = (Duration::ZERO, String::new());
    for (kind, content, words) in bad.filter(|(kind, ..)| kind != "doubling") {
        install(&host, name, &content);
        let began = Instant::now();
        let checked = host.run(&["check"]).unwrap();
        let took = began.elapsed();
        eprintln!("{kind}: refused in {took:?}");
        assert_eq!(checked.code, Some(1), "{kind}: {checked:?}");
        assert!(
            words.iter().any(|words| checked.stdout.contains(words)),
            "{kind}: {checked:?}"
        );
        if took > slowest.0 {
            slowest = (took, kind);
        }
    }
    // The product's promise is a second; a test shares its cores with others.
    eprintln!("the slowest verdict: {slowest:?}");
    assert!(slowest.0 < Duration::from_secs(60), "{slowest:?}");
}
