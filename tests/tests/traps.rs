//! Many traps leave nothing behind.

use crate::fixture;

/// How many traps; more by the environment variable.
fn traps() -> usize {
    let named = std::env::var("GRISTMILL_TRAPS").ok();
    named.map_or(10_000, |number| number.parse().unwrap())
}

const BATCH: usize = 1000;

#[test]
fn thousands_of_traps_leak_nothing() {
    let host = fixture::host(
        &fixture::config("max_attempts = 1\nconcurrency = 32", ""),
        &["misbehave"],
    );
    let round = || {
        let bodies = vec!["trap".to_owned(); BATCH];
        host.send_all("work", &bodies).unwrap();
        host.wait_settled(&["work"]).unwrap();
        host.done(&["purge", "work", "--dead", "--yes"]).unwrap();
        host.memory_kib("VmRSS").unwrap()
    };
    // The first rounds fill caches and pools.
    let before = (0..2).map(|_| round()).max().unwrap();
    let files = host.descriptors().unwrap();
    let mut after = before;
    for _ in 0..traps().div_ceil(BATCH) {
        after = round();
    }
    assert!(
        after < before + 32 * 1024,
        "{before} KiB before, {after} KiB after"
    );
    // Connections of the last commands may be about to be closed.
    host.wait_until("descriptors are closed", |host| {
        Ok(host.descriptors()? <= files)
    })
    .unwrap();
    let oks = vec!["ok".to_owned(); BATCH];
    host.send_all("work", &oks).unwrap();
    host.wait_settled(&["work"]).unwrap();
    let work = host.queue("work").unwrap();
    assert_eq!(
        (work.acked, work.in_flight, work.dead),
        (BATCH as u64, 0, 0)
    );
}
