//! Modules that come, change and go while messages flow.

use std::os::unix::fs::symlink;

use gristmill_queue::QueueName;
use gristmill_store::DeadFilter;

use super::stage::{Stage, hash, ok};
use crate::api::HandlerStatus;
use crate::runtime::tests::guests::fails;

const ORDERS: &str = "[queue.orders]\nhandler = \"orders.wasm\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_comes_changes_goes_and_comes_back() {
    let stage = Stage::new(ORDERS).await;
    let orders = QueueName::new("orders").unwrap();
    let _watching = stage.watch().await;
    stage.send("orders", 10).await;
    let missing = stage.until_status("orders", HandlerStatus::Missing).await;
    assert!(
        missing
            .problem
            .unwrap()
            .starts_with("orders.wasm is missing: put it into ")
    );
    assert!(
        stage
            .handlers
            .gate_reason(&orders)
            .unwrap()
            .contains("missing")
    );
    assert_eq!(stage.queue("orders").await.depths.ready, 10);

    let first = ok("1");
    stage.put("orders", &first);
    let view = stage.until_hash("orders", &hash(&first)).await;
    assert_eq!((view.status, view.problem), (HandlerStatus::Serving, None));
    assert_eq!(view.queues, ["orders"]);
    assert_eq!(stage.handlers.gate_reason(&orders), None);
    stage
        .until_queue("orders", |queue| queue.totals.acked == 10)
        .await;

    let second = ok("2");
    stage.put("orders", &second);
    stage.until_hash("orders", &hash(&second)).await;
    stage.send("orders", 10).await;
    stage
        .until_queue("orders", |queue| queue.totals.acked == 20)
        .await;

    std::fs::remove_file(stage.path("handlers/orders.wasm")).unwrap();
    stage.until_status("orders", HandlerStatus::Missing).await;
    stage.send("orders", 10).await;
    let queue = stage.queue("orders").await;
    assert_eq!((queue.depths.ready, queue.totals.acked), (10, 20));

    stage.put("orders", &second);
    stage.until_hash("orders", &hash(&second)).await;
    let queue = stage
        .until_queue("orders", |queue| queue.totals.acked == 30)
        .await;
    assert_eq!((queue.totals.failed, queue.totals.handed_back), (0, 0));
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_module_leaves_the_old_one_serving_and_says_why() {
    let stage = Stage::new(ORDERS).await;
    let good = ok("1");
    stage.put("orders", &good);
    let _watching = stage.watch().await;
    stage.until_hash("orders", &hash(&good)).await;
    stage.put("orders", &wat::parse_str("(module)").unwrap());
    let view = stage.until("orders", |view| view.problem.is_some()).await;
    assert_eq!(view.status, HandlerStatus::Serving);
    assert!(view.problem.unwrap().contains("core module"));
    assert_eq!(view.version.unwrap().hash, hash(&good));
    stage.send("orders", 5).await;
    stage
        .until_queue("orders", |queue| queue.totals.acked == 5)
        .await;
    // Taken back: the problem is gone, and so is the cause.
    stage.put("orders", &good);
    stage.until("orders", |view| view.problem.is_none()).await;
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_first_module_is_refused_and_too_large_ones_are_not_read() {
    let text = format!("{ORDERS}[host.sandbox]\nmax_module_size = \"10KiB\"\n");
    let stage = Stage::new(&text).await;
    stage.put("orders", &wat::parse_str("(module)").unwrap());
    let _watching = stage.watch().await;
    let view = stage.until_status("orders", HandlerStatus::Refused).await;
    assert!(view.version.is_none() && view.problem.unwrap().contains("core module"));
    let orders = QueueName::new("orders").unwrap();
    assert!(
        stage
            .handlers
            .gate_reason(&orders)
            .unwrap()
            .contains("core module")
    );
    stage.put("orders", &[0; 10 * 1024 + 1]);
    let large = |problem: &String| problem.contains("10241 bytes");
    stage
        .until("orders", |view| view.problem.as_ref().is_some_and(large))
        .await;
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_of_links_changes_all_modules_behind_them() {
    let stage =
        Stage::new("[queue.a]\nhandler = \"a.wasm\"\n[queue.b]\nhandler = \"b.wasm\"\n").await;
    let at = |name: &str| stage.path(&format!("handlers/{name}"));
    let release = |name: &str, version: &str| {
        std::fs::create_dir(at(name)).unwrap();
        std::fs::write(at(name).join("a.wasm"), ok(&format!("a{version}"))).unwrap();
        std::fs::write(at(name).join("b.wasm"), ok(&format!("b{version}"))).unwrap();
    };
    release("..1", "1");
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a.wasm", at("a.wasm")).unwrap();
    symlink("..data/b.wasm", at("b.wasm")).unwrap();
    let _watching = stage.watch().await;
    stage.until_hash("a", &hash(&ok("a1"))).await;
    stage.until_hash("b", &hash(&ok("b1"))).await;
    release("..2", "2");
    symlink("..2", at("..data_tmp")).unwrap();
    std::fs::rename(at("..data_tmp"), at("..data")).unwrap();
    std::fs::remove_dir_all(at("..1")).unwrap();
    stage.until_hash("a", &hash(&ok("a2"))).await;
    stage.until_hash("b", &hash(&ok("b2"))).await;
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_folder_that_is_replaced_modules_are_found_and_watched() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let _watching = stage.watch().await;
    stage.until_hash("orders", &hash(&ok("1"))).await;
    std::fs::rename(stage.path("handlers"), stage.path("old")).unwrap();
    std::fs::create_dir(stage.path("handlers")).unwrap();
    stage.put("orders", &ok("2"));
    stage.until_hash("orders", &hash(&ok("2"))).await;
    stage.put("orders", &ok("3"));
    stage.until_hash("orders", &hash(&ok("3"))).await;
    // Gone, seen to be gone, and made again.
    std::fs::remove_dir_all(stage.path("handlers")).unwrap();
    stage.until_status("orders", HandlerStatus::Missing).await;
    std::fs::create_dir(stage.path("handlers")).unwrap();
    stage.put("orders", &ok("4"));
    stage.until_hash("orders", &hash(&ok("4"))).await;
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_polled_is_served_as_well() {
    let stage = Stage::new(&format!("{ORDERS}[host]\nwatch = \"poll\"\n")).await;
    let _watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Missing).await;
    stage.put("orders", &ok("1"));
    stage.until_hash("orders", &hash(&ok("1"))).await;
    stage.put("orders", &ok("2"));
    stage.until_hash("orders", &hash(&ok("2"))).await;
    stage.queues.close().await;
}

/// Every version rejects with its own name, and a dead letter keeps the hash of what ran: so one
/// sees that a message is handled by one version, and by one that there was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_lose_nothing_and_mix_nothing() {
    let stage = Stage::new(ORDERS).await;
    let orders = QueueName::new("orders").unwrap();
    const SWAPS: usize = 100;
    const MESSAGES: usize = 20;
    let versions: Vec<(String, Vec<u8>)> = (0..4)
        .map(|n| (format!("v{n}"), fails(2, &format!("v{n}"), 0)))
        .collect();
    for n in 0..SWAPS {
        stage.put("orders", &versions[n % versions.len()].1);
        stage.send("orders", MESSAGES).await;
        let outcome = stage.handlers.try_file("orders", None).await;
        assert!(format!("{outcome:?}").contains("Good"), "{outcome:?}");
    }
    let sent = (SWAPS * MESSAGES) as u64;
    let queue = stage
        .until_queue("orders", |queue| queue.totals.died == sent)
        .await;
    assert_eq!((queue.totals.failed, queue.totals.handed_back), (sent, 0));
    let dead = stage
        .queues
        .dead(&orders, &DeadFilter::default(), 0, 10_000)
        .unwrap();
    assert_eq!(dead.len() as u64, sent);
    let mut used = std::collections::BTreeSet::new();
    for summary in dead {
        let letter = stage
            .queues
            .dead_letter(&orders, summary.sequence)
            .unwrap()
            .unwrap();
        let (name, _) = versions
            .iter()
            .find(|(_, module)| hash(module) == letter.handler)
            .expect("the hash of a module that there was");
        assert_eq!(&letter.error, name);
        assert_eq!(letter.counters.attempts, 1);
        used.insert(letter.error);
    }
    assert!(used.len() > 1, "all ran on {used:?}");
    stage.queues.close().await;
}
