//! Rates, keys and shared slots, from the configuration to the handler.

use crate::fixture;

const LIMITED: &str = r#"
[queue.work]
handler = "misbehave.wasm"
rate = "1/h"
burst = 3
key = "tenant"

[queue.more]
handler = "misbehave.wasm"

[handler.misbehave]
concurrency = 1
send_to = ["more"]
reply = true
state = true
secrets = { none = { file = "gristmill.toml" } }
"#;

#[test]
fn a_rate_and_shared_slots_hold_and_change_while_the_host_runs() {
    let host = fixture::host(LIMITED, &["misbehave"]);
    for tenant in ["a", "a", "a", "a", "b"] {
        let attribute = format!("tenant={tenant}");
        let send = ["send", "work", "ok", "--attribute", &attribute];
        host.done(&send).unwrap();
    }
    host.wait_until("the burst is used up", |host| {
        Ok(host.queue("work")?.acked == 3)
    })
    .unwrap();
    let work = host.queue("work").unwrap();
    assert_eq!((work.ready, work.gate.as_deref()), (2, Some("rate")));
    assert_eq!((work.failed, work.handed_back), (0, 0));
    let shown = host.done(&["queues"]).unwrap();
    assert!(shown.contains("its rate"), "{shown}");

    // The one slot is taken: the other queue of the handler waits.
    host.send("more", "sleep 20000").unwrap();
    host.wait_until("it sleeps", |host| Ok(host.queue("more")?.in_flight == 1))
        .unwrap();
    host.configure(&LIMITED.replace("rate = \"1/h\"\nburst = 3\n", ""))
        .unwrap();
    host.wait_until("the rate is lifted", |host| {
        Ok(host.queue("work")?.gate.as_deref() == Some("concurrency"))
    })
    .unwrap();
    assert_eq!(host.queue("work").unwrap().ready, 2);
    host.configure(
        &LIMITED
            .replace("concurrency = 1", "concurrency = 2")
            .replace("1/h", "9/s"),
    )
    .unwrap();
    host.wait_until("there is a second slot", |host| {
        Ok(host.queue("work")?.acked == 5)
    })
    .unwrap();
    assert_eq!(host.queue("more").unwrap().in_flight, 1, "it goes on");
}

/// A pool that does not fit the address space is one that the host does without, and three times slower.
#[test]
fn the_most_deliveries_at_once_have_a_pool() {
    let config = fixture::config("", "").replacen("[host]\n", "[host]\nmax_in_flight = 10000\n", 1);
    let host = fixture::host(&config, &["misbehave"]);
    host.send("work", "ok").unwrap();
    host.wait_settled(&["work"]).unwrap();
    let addresses = host.memory_kib("VmSize").unwrap();
    let each = addresses / 10_000;
    assert!(each > 4 * 1024 * 1024, "{each} KiB of addresses for each");
    let warned = host.log().contains("address space");
    assert!(!warned, "{}", host.log());
}
