//! The configuration file while the host runs: whole or not at all.

use gristmill_queue::QueueName;

use super::stage::{Stage, hash, ok, with};
use crate::api::HandlerStatus;
use crate::reload::ConfigReload;
use crate::runtime::tests::guests::STATE;

const ORDERS: &str = "[queue.orders]\nhandler = \"orders.wasm\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_queue_is_served_and_a_removed_one_waits() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let _watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    stage.put("mail", &ok("mail"));
    stage.configure(&format!("{ORDERS}[queue.mail]\nhandler = \"mail.wasm\"\n"));
    let mut changes = stage.handlers.changes();
    while stage.handlers.list().len() < 2 {
        changes.changed().await.unwrap();
    }
    stage.until_status("mail", HandlerStatus::Serving).await;
    stage.send("mail", 3).await;
    stage
        .until_queue("mail", |queue| queue.totals.acked == 3)
        .await;
    // Two queues, one handler.
    stage.configure(
        "[queue.mail]\nhandler = \"mail.wasm\"\n[queue.post]\nhandler = \"mail.wasm\"\n",
    );
    stage
        .until("mail", |view| view.queues == ["mail", "post"])
        .await;
    stage.until_queue("orders", |queue| !queue.declared).await;
    stage.send("post", 3).await;
    stage
        .until_queue("post", |queue| queue.totals.acked == 3)
        .await;
    assert_eq!(stage.handlers.list().len(), 1);
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_an_error_changes_nothing() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    let (before, views) = (stage.handlers.config().unwrap(), stage.handlers.list());
    for text in [
        "[queue.orders]\nhandler = \"mail.wasm\"\n[queue.new]\nconcurrency = 0\n",
        "[queue.new]\n[queue.orders\n",
        "[queue.new]\n[handler.orders]\nsend_to = [\"nobody\"]\n",
    ] {
        stage.configure(text);
        match watching.reload_config().await {
            ConfigReload::Kept(errors) => assert!(!errors.problems.is_empty()),
            other => panic!("{other:?}"),
        }
        assert_eq!(stage.handlers.config().unwrap(), before);
        assert_eq!(stage.handlers.list(), views);
        let queues = stage.queues.list().await.unwrap();
        // The host's own queue is the other.
        assert_eq!(queues.len(), 2);
        assert!(queues.iter().all(|queue| queue.name.as_str() != "new"));
    }
    std::fs::remove_file(stage.path("gristmill.toml")).unwrap();
    assert!(matches!(
        watching.reload_config().await,
        ConfigReload::Kept(_)
    ));
    stage.send("orders", 3).await;
    stage
        .until_queue("orders", |queue| queue.totals.acked == 3)
        .await;
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_needs_a_restart_is_named_and_the_rest_is_applied() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    stage.configure(&format!(
        "[host]\nhandlers = \"elsewhere\"\nmax_in_flight = 7\nkeep_versions = 5\n{ORDERS}concurrency = 3\n"
    ));
    for _ in 0..2 {
        let ConfigReload::Applied(change) = watching.reload_config().await else {
            panic!("not applied")
        };
        assert_eq!(
            change.needs_restart,
            ["host.handlers", "host.max_in_flight"]
        );
    }
    let config = stage.handlers.config().unwrap();
    let orders = QueueName::new("orders").unwrap();
    assert_eq!(config.queues[&orders].policy.concurrency, 3);
    assert_eq!(config.host.keep_versions, 5);
    assert_eq!(config.host.max_in_flight, 256);
    assert_eq!(config.host.handlers, stage.path("handlers"));
    assert_eq!(
        config.handlers["orders"].path,
        stage.path("handlers/orders.wasm")
    );
    // The module of the old folder serves on.
    stage.send("orders", 3).await;
    stage
        .until_queue("orders", |queue| queue.totals.acked == 3)
        .await;
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_is_withdrawn_is_withdrawn_at_once() {
    let granted = format!("{ORDERS}[handler.orders]\nstate = true\n");
    let stage = Stage::new(&granted).await;
    let module = with(&[STATE], "1");
    stage.put("orders", &module);
    let watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    stage.configure(ORDERS);
    assert!(matches!(
        watching.reload_config().await,
        ConfigReload::Applied(_)
    ));
    let view = stage.view("orders");
    assert_eq!((view.status, view.version), (HandlerStatus::Refused, None));
    assert!(view.problem.unwrap().contains("state = true"));
    stage.send("orders", 3).await;
    assert_eq!(stage.queue("orders").await.depths.ready, 3);
    // And granted again: the module that lies there is tried again.
    stage.configure(&granted);
    stage.until_hash("orders", &hash(&module)).await;
    let queue = stage
        .until_queue("orders", |queue| queue.totals.acked == 3)
        .await;
    assert_eq!((queue.totals.failed, queue.totals.handed_back), (0, 0));
    stage.queues.close().await;
}

/// The new module comes first and is refused, then comes the grant that it needs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_was_refused_is_tried_again_when_it_is_granted_more() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let _watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    let module = with(&[STATE], "2");
    stage.put("orders", &module);
    stage.until("orders", |view| view.problem.is_some()).await;
    assert_eq!(stage.view("orders").version.unwrap().hash, hash(&ok("1")));
    stage.configure(&format!("{ORDERS}[handler.orders]\nstate = true\n"));
    let view = stage.until_hash("orders", &hash(&module)).await;
    assert_eq!(view.problem, None);
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_file_is_not_taken_for_a_configuration() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let _watching = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    let before = stage.handlers.config().unwrap();
    stage.configure("");
    // The next module is read after the change of the configuration was dealt with.
    stage.put("orders", &ok("2"));
    stage.until_hash("orders", &hash(&ok("2"))).await;
    assert_eq!(stage.handlers.config().unwrap(), before);
    stage.queues.close().await;
}
