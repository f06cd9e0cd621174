//! Files that are right, and what they come to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gristmill_queue::key::KeySource;
use gristmill_queue::policy::{KeyPolicy, OnExpiry, OnFull, OnGroupFailure, PullPolicy};
use gristmill_queue::rate::Rate;
use gristmill_queue::retry::{Jitter, RetryPolicy};
use gristmill_queue::{QueueName, QueuePolicy};
use gristmill_store::DiskReserve;

use super::good;
use crate::config::{Confine, Watch, load};
use crate::runtime::spec::{Grants, GuaranteeClass, HandlerLimits, MaxCalls, Secret};

fn queue<'c>(config: &'c crate::config::Config, name: &str) -> &'c crate::config::QueueConfig {
    &config.queues[name]
}

#[test]
fn two_lines_are_enough_and_the_rest_is_what_the_core_and_the_sandbox_say() {
    let config = good("[queue.orders]\nhandler = \"orders.wasm\"\n");
    assert_eq!(config.warnings, []);
    let for_handler = QueuePolicy {
        pull: PullPolicy {
            allowed: Some(false),
            ..PullPolicy::default()
        },
        ..QueuePolicy::default()
    };
    assert_eq!(queue(&config, "orders").policy, for_handler);
    assert_eq!(queue(&config, "orders").handler.as_deref(), Some("orders"));
    assert_eq!(queue(&config, "orders").origin, 1);
    let handler = &config.handlers["orders"];
    assert_eq!(handler.path, Path::new("etc/handlers/orders.wasm"));
    assert_eq!(handler.grants, Grants::default());
    assert_eq!(handler.limits, HandlerLimits::default());
    assert_eq!(handler.require, GuaranteeClass::AtLeastOnce);
    assert_eq!(handler.sha256, None);
    assert_eq!(config.host.data_dir, Path::new("etc/gristmill-data"));
    assert_eq!(config.host.threads, 2);
}

#[test]
fn an_empty_file_is_a_host_without_queues() {
    let config = good("");
    assert!(config.queues.is_empty() && config.handlers.is_empty());
}

#[test]
fn every_key_reaches_its_place() {
    let config = good(
        r#"
        [host]
        data_dir = "/var/lib/gristmill"
        threads = 3
        max_in_flight = 9
        shutdown_timeout = "0s"
        max_wait = "5ms"
        disk_reserve = "1GiB"
        watch = "poll"
        log = "info,gristmill=debug"
        [host.sandbox]
        pagemap_scan = true
        compile_memory = "1GiB"
        confine = "required"
        readable = ["releases", "/srv"]

        [queue.orders]
        handler = "orders-v1.2.wasm"
        concurrency = 5
        pull = true
        visibility_timeout = "2m"
        max_pulled = 6
        rate = "300/min"
        burst = 7
        key = "tenant"
        concurrency_per_key = 2
        rate_per_key = "1/s"
        max_attempts = 3
        backoff = { base = "2s", factor = 1.5, cap = "1h", jitter = "full" }
        max_age = "1h 30m"
        delay = "3s"
        ttl = "1d"
        on_expiry = "drop"
        on_group_failure = "halt"
        max_messages = 1_000
        max_bytes = "1GiB"
        on_full = "drop-oldest"
        max_message_size = "1MiB"
        dead_retention = "forever"
        dedup_window = "7d"

        [queue."bills.fifo"]
        handler = "orders-v1.2.wasm"
        backoff = "5s"
        dead_retention = 0

        [handler."orders-v1.2"]
        concurrency = 9
        send_to = ["orders", "bills.fifo"]
        reply = true
        state = true
        timeout = "1h"
        cpu_time = "500ms"
        memory = 131072
        output = 0
        max_calls = 128
        max_sends = 1
        max_send_bytes = "1KiB"
        max_state_keys = 2
        max_state_bytes = "2KiB"
        env = { A = "1" }
        config = { currency = "EUR" }
        secrets = { api_key = { env = "API_KEY" }, password = { file = "password" } }
        require = "atomic"
        sha256 = "00000000000000000000000000000000000000000000000000000000000000fF"
        "#,
    );
    assert_eq!(config.warnings, []);
    assert_eq!(config.host.data_dir, Path::new("/var/lib/gristmill"));
    assert_eq!((config.host.threads, config.host.max_in_flight), (3, 9));
    assert_eq!(config.host.shutdown_timeout, Duration::ZERO);
    assert_eq!(config.host.watch, Watch::Poll);
    assert_eq!(config.host.log, "info,gristmill=debug");
    assert!(config.host.sandbox.pagemap_scan);
    assert_eq!(config.host.sandbox.compile_memory, 1 << 30);
    assert_eq!(config.host.max_wait, Duration::from_millis(5));
    assert_eq!(config.host.disk_reserve, DiskReserve::Bytes(1 << 30));
    assert_eq!(config.host.sandbox.confine, Confine::Required);
    let readable = ["etc/releases", "/srv"].map(PathBuf::from);
    assert_eq!(config.host.sandbox.readable, readable);

    let policy = QueuePolicy {
        retry: RetryPolicy {
            max_attempts: 3,
            base: Duration::from_secs(2),
            factor: 1.5,
            cap: Duration::from_secs(3600),
            jitter: Jitter::Full,
            max_age: Some(Duration::from_secs(5400)),
        },
        concurrency: 5,
        pull: PullPolicy {
            allowed: Some(true),
            visibility: Duration::from_secs(120),
            max_in_flight: 6,
        },
        rate: Some(Rate::new(300, Duration::from_secs(60), Some(7))),
        key: Some(KeyPolicy {
            source: KeySource::Attribute("tenant".to_owned()),
            concurrency: Some(2),
            rate: Some(Rate::new(1, Duration::from_secs(1), Some(1))),
        }),
        max_messages: Some(1000),
        max_bytes: Some(1 << 30),
        on_full: OnFull::DropOldest,
        max_body: 1 << 20,
        delay: Duration::from_secs(3),
        default_ttl: Some(Duration::from_secs(86_400)),
        on_expiry: OnExpiry::Drop,
        on_group_failure: OnGroupFailure::Halt,
        dead_letter: None,
        dedup: gristmill_queue::policy::Dedup::Id,
        dedup_window: Duration::from_secs(7 * 86_400),
        dead_retention: None,
    };
    assert_eq!(queue(&config, "orders").policy, policy);
    let bills = &queue(&config, "bills.fifo").policy;
    assert_eq!(bills.retry.base, Duration::from_secs(5));
    assert_eq!(bills.retry.cap, RetryPolicy::default().cap);
    assert_eq!(bills.dead_retention, None);

    assert_eq!(config.handlers.len(), 1);
    let handler = &config.handlers["orders-v1.2"];
    let name = |name| QueueName::new(name).unwrap();
    let sizes = [(name("bills.fifo"), 64 << 20), (name("orders"), 1 << 20)];
    assert_eq!(*handler.grants.send_to, sizes.into());
    assert!(handler.grants.reply && handler.grants.state);
    assert_eq!(handler.grants.env["A"], "1");
    assert_eq!(handler.grants.config["currency"], "EUR");
    let secret = |value: &str| Secret::new(value.to_owned());
    assert_eq!(
        handler.grants.secrets["api_key"],
        secret("from the environment")
    );
    assert_eq!(handler.grants.secrets["password"], secret("from a file"));
    assert_eq!(handler.limits.timeout, Duration::from_secs(3600));
    assert_eq!(
        handler.limits.max_timeout,
        Duration::from_secs(3600),
        "raised by the timeout"
    );
    assert_eq!(handler.limits.concurrency.map(u32::from), Some(9));
    assert_eq!(handler.limits.cpu_time, Duration::from_millis(500));
    assert_eq!((handler.limits.memory, handler.limits.output), (131_072, 0));
    assert_eq!(handler.limits.max_calls, MaxCalls::Fixed(128));
    let effects = handler.limits.effects;
    assert_eq!((effects.max_sends, effects.max_send_bytes), (1, 1024));
    assert_eq!((effects.max_state_keys, effects.max_state_bytes), (2, 2048));
    assert_eq!(handler.require, GuaranteeClass::Atomic);
    assert_eq!(handler.sha256.unwrap()[31], 0xff);
}

#[test]
fn defaults_are_for_all_and_each_may_differ() {
    let config = good(
        r#"
        [defaults.queue]
        concurrency = 8
        backoff = { cap = "1h", jitter = "none" }
        [defaults.handler]
        state = true
        env = { A = "all", B = "all" }
        [queue.a]
        handler = "h.wasm"
        [queue.b]
        handler = "i.wasm"
        concurrency = 9
        backoff = { cap = "2h" }
        [handler.i]
        state = false
        env = { A = "own" }
        "#,
    );
    let (a, b) = (&queue(&config, "a").policy, &queue(&config, "b").policy);
    assert_eq!((a.concurrency, b.concurrency), (8, 9));
    assert_eq!(a.pull.allowed, Some(false), "it is for its handler");
    assert_eq!(a.retry.cap, Duration::from_secs(3600));
    assert_eq!(b.retry.cap, Duration::from_secs(7200));
    assert_eq!(
        (a.retry.jitter, b.retry.jitter),
        (Jitter::None, Jitter::None)
    );
    let (h, i) = (&config.handlers["h"].grants, &config.handlers["i"].grants);
    assert!(h.state && !i.state);
    assert_eq!((h.env["A"].as_str(), h.env["B"].as_str()), ("all", "all"));
    assert_eq!((i.env["A"].as_str(), i.env["B"].as_str()), ("own", "all"));
}

#[test]
fn a_queue_goes_by_the_group_and_limits_for_all_are_for_those_that_have_a_key() {
    let config = good(
        r#"
        [defaults.queue]
        concurrency_per_key = 2
        burst = 3
        [queue.a]
        key = "gristmill-group"
        [queue.b]
        "#,
    );
    let key = KeyPolicy {
        source: KeySource::Group,
        concurrency: Some(2),
        rate: None,
    };
    assert_eq!(queue(&config, "a").policy.key, Some(key));
    assert_eq!(queue(&config, "b").policy, QueuePolicy::default());
}

#[test]
fn a_file_is_read_from_the_disk_and_its_paths_are_relative_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gristmill.toml");
    std::fs::write(folder.path().join("key"), "s3cret\r\n").unwrap();
    let text =
        "[queue.a]\nhandler = \"a.wasm\"\n[handler.a]\nsecrets = { k = { file = \"key\" } }\n";
    std::fs::write(&path, text).unwrap();
    let config = load(&path).unwrap();
    assert_eq!(config.source, path);
    assert_eq!(config.host.handlers, folder.path().join("handlers"));
    assert_eq!(config.handlers["a"].grants.secrets["k"].reveal(), "s3cret");
}
