//! Modules that are written half, renamed, linked, deleted and overwritten with rubbish, again and again,
//! while messages flow: no attempt fails of it, and nothing serves that was not put there whole.
//!
//! `GRISTMILL_CHURNS` sets how often, `GRISTMILL_CHURN_SEED` repeats a run.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use gristmill_tests::{Host, Rng, commit, guests};

use crate::fixture;

const VERSIONS: [&str; 3] = ["one", "two", "three"];

fn churns() -> u64 {
    let named = std::env::var("GRISTMILL_CHURNS").ok();
    named.map_or(60, |number| number.parse().unwrap())
}

/// The hash of what serves, if anything does.
fn serving(host: &Host) -> anyhow::Result<Option<String>> {
    let handlers = host.socket().get("/v1/handlers")?.json();
    let one = &handlers["items"][0];
    let serves = one["status"] == "serving";
    let hash = one["version"]["hash"].as_str();
    Ok(hash.filter(|_| serves).map(str::to_owned))
}

/// Removes the module, whether it is a file or a link.
fn remove(host: &Host) {
    let removed = fs::remove_file(host.module("misbehave"));
    if let Err(error) = removed {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}

/// As a copy does that takes its time: in pieces, in place.
fn write_in_pieces(host: &Host, module: &[u8], pieces: usize) {
    // Through a link it would be somebody else's file.
    if host.module("misbehave").is_symlink() {
        remove(host);
    }
    let mut file = File::create(host.module("misbehave")).unwrap();
    for piece in module.chunks(module.len().div_ceil(pieces)) {
        file.write_all(piece).unwrap();
        std::thread::yield_now();
    }
}

/// As a mounted folder of a cluster does: the module is a link through a link, and that is swapped.
fn swap_link(host: &Host, version: &str, module: &[u8]) {
    let handlers = host.folder().join("handlers");
    let release = handlers.join(format!("..{version}"));
    fs::create_dir_all(&release).unwrap();
    let whole = release.join("misbehave.wasm");
    if !whole.exists() {
        fs::write(&whole, module).unwrap();
    }
    let (new, data) = (handlers.join("..new"), handlers.join("..data"));
    symlink(format!("..{version}"), &new).unwrap();
    fs::rename(new, data).unwrap();
    if !host.module("misbehave").is_symlink() {
        let link = handlers.join("..link");
        symlink("..data/misbehave.wasm", &link).unwrap();
        fs::rename(link, host.module("misbehave")).unwrap();
    }
}

#[test]
fn many_ways_to_put_a_module_there_cost_no_attempt_and_serve_nothing_half() {
    let seed = Rng::seed("GRISTMILL_CHURN_SEED");
    println!("GRISTMILL_CHURN_SEED={seed}");
    let mut dice = Rng::new(seed);
    let host = fixture::host(&fixture::config("", ""), &["misbehave"]);
    let module = fs::read(guests().unwrap().path("misbehave")).unwrap();
    let versions = VERSIONS.map(|name| fixture::variant(&module, name));
    // Each is compiled once, and known by its hash from then on.
    let mut whole = Vec::new();
    for version in &versions {
        let before = serving(&host).unwrap();
        host.install_bytes(version, "misbehave").unwrap();
        host.wait_until("it serves", |host| {
            let new = serving(host)?;
            Ok(new.is_some() && new != before)
        })
        .unwrap();
        whole.extend(serving(&host).unwrap());
    }
    let done = AtomicBool::new(false);
    let (sent, seen) = std::thread::scope(|threads| {
        let load = threads.spawn(|| {
            let (mut sent, mut seen) = (0u64, BTreeSet::new());
            while !done.load(Ordering::Relaxed) {
                host.send("work", "echo me").unwrap();
                sent += 1;
                seen.extend(serving(&host).unwrap());
            }
            (sent, seen)
        });
        for churn in 1..=churns() {
            let stays = churn % 10 == 0;
            let drawn = dice.below(3);
            let at = usize::try_from(if stays { churn / 10 % 3 } else { drawn }).unwrap();
            let (name, bytes) = (VERSIONS[at], &versions[at]);
            match dice.below(6) {
                0 => host.install_bytes(bytes, "misbehave").unwrap(),
                1 => write_in_pieces(&host, bytes, 50),
                2 | 3 => swap_link(&host, name, bytes),
                4 => {
                    remove(&host);
                    host.install_bytes(bytes, "misbehave").unwrap();
                }
                _ => {
                    host.install_bytes(&bytes[..bytes.len() / 2], "misbehave")
                        .unwrap();
                    write_in_pieces(&host, bytes, 3);
                }
            }
            // Some are seen by the host, and some are gone before it looks.
            if dice.below(3) == 0 {
                let acked = host.queue("work").unwrap().acked;
                let more = |host: &Host| Ok(host.queue("work")?.acked > acked + 20);
                host.wait_until("messages flow", more).unwrap();
            }
            // A host that is slow may see none of those, so now and then one stays until it serves.
            if stays {
                host.wait_until("what was put there serves", |host| {
                    Ok(serving(host)?.as_deref() == Some(whole[at].as_str()))
                })
                .unwrap();
            }
        }
        host.install_bytes(&versions[0], "misbehave").unwrap();
        done.store(true, Ordering::Relaxed);
        load.join().unwrap()
    });
    host.wait_settled(&["work"]).unwrap();
    let work = host.queue("work").unwrap();
    let told = format!(
        "GRISTMILL_CHURN_SEED={seed} at commit {}\n{}",
        commit(),
        host.log()
    );
    assert_eq!((work.acked, work.failed, work.dead), (sent, 0, 0), "{told}");
    assert_eq!(host.queue("out").unwrap().ready, sent, "{told}");
    let all_whole = seen.iter().all(|hash| whole.contains(hash));
    assert!(all_whole, "{seen:?} of {whole:?}: {told}");
    println!(
        "{sent} messages, {} versions seen, {} handed back",
        seen.len(),
        work.handed_back
    );
    host.wait_until("what was put there last serves", |host| {
        Ok(serving(host)?.as_deref() == Some(whole[0].as_str()))
    })
    .unwrap();
}
