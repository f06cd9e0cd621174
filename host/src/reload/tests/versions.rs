//! Earlier versions, and going back to them.

use std::sync::Arc;

use gristmill_queue::QueueName;

use super::stage::{Stage, hash, ok, with};
use crate::api::HandlerStatus;
use crate::reload::RollbackError;
use crate::reload::progress::Loading;
use crate::reload::scan::Outcome;
use crate::runtime::tests::guests::STATE;

const ORDERS: &str = "[host]\nkeep_versions = 2\n[queue.orders]\nhandler = \"orders.wasm\"\n";

fn hashes(stage: &Stage) -> Vec<String> {
    let versions = stage.handlers.versions("orders");
    versions.into_iter().map(|version| version.hash).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_versions_are_kept_and_can_serve_again() {
    let stage = Stage::new(ORDERS).await;
    let modules: Vec<Vec<u8>> = (0..4).map(|n| ok(&n.to_string())).collect();
    let name: Vec<String> = modules.iter().map(|module| hash(module)).collect();
    for module in &modules {
        stage.put("orders", module);
        stage.handlers.try_file("orders", None).await;
    }
    assert_eq!(hashes(&stage), [&*name[3], &name[2], &name[1]]);
    stage
        .handlers
        .rollback("orders", &name[1][..8])
        .await
        .unwrap();
    assert_eq!(hashes(&stage), [&*name[1], &name[3], &name[2]]);
    stage.handlers.tidy().await;
    let copies = std::fs::read_dir(stage.path("gristmill-data/modules")).unwrap();
    assert_eq!(copies.count(), 3);

    for (handler, hash, expected) in [
        ("orders", &*name[0], "has no earlier version"),
        ("orders", "", "has no earlier version"),
        ("nobody", &name[0], "there is no handler"),
    ] {
        let error = stage.handlers.rollback(handler, hash).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    stage.handlers.gone("orders").await;
    assert_eq!(stage.view("orders").status, HandlerStatus::Missing);
    let error = stage
        .handlers
        .rollback("orders", &name[3])
        .await
        .unwrap_err();
    assert!(matches!(error, RollbackError::Missing(_)), "{error}");
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_leaves_the_copies_of_the_run_before() {
    let stage = Stage::new(ORDERS).await;
    let module = ok("a");
    let folder = stage.path("gristmill-data/modules");
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{}.wasm", hash(&module)));
    std::fs::write(&path, &module).unwrap();
    let written = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    let file = std::fs::File::options().write(true).open(&path);
    file.unwrap().set_modified(written).unwrap();
    stage.put("orders", &module);
    let reloader = stage.watch().await;
    stage.until_status("orders", HandlerStatus::Serving).await;
    let copy = std::fs::metadata(&path).unwrap();
    assert_eq!(copy.modified().unwrap(), written, "it was written again");
    reloader.stop();
    stage.queues.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_is_seen_while_it_lasts() {
    let stage = Stage::new(ORDERS).await;
    let queue = QueueName::new("orders").unwrap();
    let before = stage.handlers.gate_reason(&queue).unwrap();
    assert_eq!(before, "orders.wasm is being loaded");
    let spec = Arc::new(stage.handlers.config().unwrap().handlers["orders"].clone());
    let loading = Loading::begin(&stage.handlers, &spec);
    assert!(stage.view("orders").loading_ms.is_some());
    let during = stage.handlers.gate_reason(&queue).unwrap();
    assert_eq!(during, "orders.wasm is being loaded: compiling, 0 s so far");
    assert_eq!(loading.wait(async { 7 }).await, 7);
    drop(loading);
    assert_eq!(stage.view("orders").loading_ms, None);
    stage.put("orders", &ok("1"));
    stage.handlers.try_file("orders", None).await;
    assert_eq!(stage.view("orders").loading_ms, None);
    assert_eq!(stage.handlers.gate_reason(&queue), None);
    stage.queues.close().await;
}

/// A module is refused under a spec that changes while it is loaded: that says nothing about the new
/// one, whose grant it may have waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_under_the_spec_of_before_is_void() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &with(&[STATE], "1"));
    let ticket = stage.handlers.ticket("orders").unwrap();
    stage.configure(&format!("{ORDERS}[handler.orders]\nstate = true\n"));
    stage.handlers.apply(&stage.config()).await.unwrap();
    let outcome = stage.handlers.try_ticket(ticket, None).await;
    assert_eq!(outcome, Outcome::Overtaken);
    stage.handlers.try_file("orders", None).await;
    assert_eq!(stage.view("orders").status, HandlerStatus::Serving);
    stage.queues.close().await;
}

/// A file that goes while it is loaded does not come back as a version that serves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_is_gone_before_it_is_loaded_does_not_serve() {
    let stage = Stage::new(ORDERS).await;
    stage.put("orders", &ok("1"));
    let ticket = stage.handlers.ticket("orders").unwrap();
    stage.handlers.gone("orders").await;
    let outcome = stage.handlers.try_ticket(ticket, None).await;
    assert_eq!(outcome, Outcome::Overtaken);
    assert_eq!(stage.view("orders").status, HandlerStatus::Missing);
    stage.queues.close().await;
}

/// What was rolled back to obeys the configuration of now, and stays though the file is newer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_earlier_version_serves_only_under_the_grants_of_now() {
    let granted = format!("{ORDERS}[handler.orders]\nstate = true\n");
    let stage = Stage::new(&granted).await;
    let (stateful, plain) = (with(&[STATE], "1"), ok("2"));
    for module in [&stateful, &plain] {
        stage.put("orders", module);
        stage.handlers.try_file("orders", None).await;
    }
    stage.configure(ORDERS);
    stage.handlers.apply(&stage.config()).await.unwrap();
    let error = stage
        .handlers
        .rollback("orders", &hash(&stateful))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("state = true"), "{error}");
    assert_eq!(hashes(&stage)[0], hash(&plain));
    stage.configure(&granted);
    stage.handlers.apply(&stage.config()).await.unwrap();
    stage
        .handlers
        .rollback("orders", &hash(&stateful))
        .await
        .unwrap();
    let loosened = format!("{granted}timeout = \"1m\"\n");
    stage.configure(&loosened);
    stage.handlers.apply(&stage.config()).await.unwrap();
    assert_eq!(hashes(&stage)[0], hash(&stateful));
    stage.queues.close().await;
}
