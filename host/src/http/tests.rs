//! The router on a socket, over a store, driven by the client.

mod backup;
mod dead;
mod gate;
mod groups;
mod large;
mod made;
mod one;
mod pull;
mod redrive;
mod topics;
mod trouble;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::outcome::Usage;
use gristmill_queue::{Effects, NewMessage, Outcome, QueueName, QueuePolicy, Timestamp};
use gristmill_store::{Declaration, Evidence, Leased, Options, PurgeStates, Settle, Store};
use http_body_util::Full;
use hyper::{Method, Request};
use tokio::sync::oneshot;

use super::{Client, ConnectError, SOCKET, bind, limits, serve_until};
use crate::api::{Api, Code, HandlerStatus, HandlerView, Problem};
use crate::queues::Queues;

type Json = BTreeMap<String, serde_json::Value>;

struct Stage {
    folder: tempfile::TempDir,
    queues: Queues,
    client: Client,
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

fn name(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let small = QueuePolicy {
            max_messages: Some(2),
            max_body: 10,
            ..QueuePolicy::default()
        };
        let declare = |queue: &str, policy| Declaration {
            name: name(queue),
            policy,
        };
        let options = Options {
            queues: vec![
                declare("orders", QueuePolicy::default()),
                declare("small", small),
            ],
            ..Options::default()
        };
        let (store, _) = Store::open(folder.path(), options).unwrap();
        let queues = Queues::new(store);
        let handlers = || {
            vec![HandlerView {
                name: "orders".into(),
                file: "orders.wasm".into(),
                queues: vec!["orders".into()],
                status: HandlerStatus::Missing,
                problem: None,
                version: None,
                batches: None,
                loading_ms: None,
            }]
        };
        let api = Api::new(queues.clone(), Arc::new(handlers));
        let listener = bind(folder.path()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(serve_until(listener, api, async {
            let _ = stopped.await;
        }));
        let client = Client::connect(&folder.path().join(SOCKET)).await.unwrap();
        Stage {
            folder,
            queues,
            client,
            stop,
            server,
        }
    }

    async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Bytes, Problem> {
        let mut request = Request::post(path).header("host", "x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client
            .ask(request.body(Full::new(body.into())).unwrap())
            .await
    }

    async fn end(self) {
        drop(self.stop);
        drop(self.client);
        self.server.await.unwrap();
        self.queues.close().await;
    }
}

/// The end of an attempt, without effects.
fn ended(leased: &Leased, outcome: Outcome) -> Settle {
    Settle {
        fence: leased.fence,
        outcome,
        effects: Effects::default(),
        evidence: Evidence {
            started_at: Timestamp::from_unix_ms(1),
            usage: Usage::default(),
            diagnostics: None,
            module: "00".into(),
            config: "00".into(),
            handler: "handler".into(),
        },
    }
}

#[tokio::test]
async fn what_is_sent_is_seen_and_kept_in_order() {
    let stage = Stage::new().await;
    let sent = stage
        .post(
            "/v1/queues/orders/messages",
            &[("gristmill-attr-colour", "red"), ("idempotency-key", "k")],
            "one",
        )
        .await
        .unwrap();
    let sent: Json = serde_json::from_slice(&sent).unwrap();
    assert_eq!(sent["duplicate"], false);
    let again = stage
        .post(
            "/v1/queues/orders/messages",
            &[("idempotency-key", "k")],
            "one",
        )
        .await
        .unwrap();
    let again: Json = serde_json::from_slice(&again).unwrap();
    let repeated = (&again["duplicate"], &again["id"]);
    assert_eq!(repeated, (&true.into(), &sent["id"]));

    let mut later = NewMessage::with_body(Bytes::from_static(b"\xff\x00"));
    later.due = gristmill_queue::message::Due::After(Duration::from_secs(3600));
    later.envelope.attributes = vec![("CamelCase".into(), "1".into())];
    let batch = vec![NewMessage::with_body("two"), later];
    assert_eq!(
        stage
            .client
            .send_all(&name("orders"), batch)
            .await
            .unwrap()
            .len(),
        2
    );

    let seen = stage.client.peek(&name("orders"), 10).await.unwrap();
    let states: Vec<&str> = seen.iter().map(|one| one.state.as_str()).collect();
    assert_eq!(states, ["ready", "ready", "scheduled"]);
    assert_eq!(seen[0].body.body.as_deref(), Some("one"));
    assert_eq!(
        seen[0].envelope.attributes.0,
        [("colour".to_owned(), "red".to_owned())]
    );
    assert_eq!(seen[2].envelope.attributes.0[0].0, "CamelCase");
    assert_eq!(
        seen[2].body.clone().into_bytes().unwrap(),
        b"\xff\x00".as_slice()
    );
    assert_eq!(
        stage.client.peek(&name("orders"), 1).await.unwrap().len(),
        1
    );
    stage.end().await;
}

#[tokio::test]
async fn a_batch_is_all_or_none() {
    let stage = Stage::new().await;
    let batch = ["one", "two", "three"].map(NewMessage::with_body).to_vec();
    let problem = stage
        .client
        .send_all(&name("small"), batch.clone())
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::QueueFull);
    assert_eq!(stage.client.peek(&name("small"), 10).await.unwrap(), []);
    stage
        .client
        .send_all(&name("small"), batch[..2].to_vec())
        .await
        .unwrap();
    let problem = stage
        .client
        .send_all(&name("small"), vec![NewMessage::with_body("eleven bytes")])
        .await
        .unwrap_err();
    assert_eq!(problem.code, Code::TooLarge);
    stage.end().await;
}

#[tokio::test]
async fn queues_are_paused_and_purged() {
    let stage = Stage::new().await;
    let orders = name("orders");
    stage
        .client
        .send_all(&orders, vec![NewMessage::with_body("x")])
        .await
        .unwrap();
    stage.client.pause(&orders).await.unwrap();
    let queues = stage.client.queues().await.unwrap();
    assert_eq!((queues[0].name.as_str(), queues[0].ready), ("orders", 1));
    assert_eq!(queues[0].gate.as_deref(), Some("paused"));
    stage.client.resume(&orders).await.unwrap();
    let queues = stage.client.queues().await.unwrap();
    assert_eq!(queues[0].gate.as_deref(), Some("no-handler"));
    assert_eq!(
        queues[0].gate_detail.as_deref(),
        Some("orders.wasm is missing")
    );
    assert_eq!(
        stage.client.handlers().await.unwrap()[0].status,
        HandlerStatus::Missing
    );

    let scheduled = PurgeStates {
        scheduled: true,
        ..PurgeStates::default()
    };
    assert_eq!(stage.client.purge(&orders, scheduled).await, Ok(0));
    let ready = PurgeStates {
        ready: true,
        ..PurgeStates::default()
    };
    assert_eq!(stage.client.purge(&orders, ready).await, Ok(1));
    let nothing = stage
        .client
        .purge(&orders, PurgeStates::default())
        .await
        .unwrap_err();
    assert_eq!(nothing.code, Code::BadRequest);
    stage.end().await;
}

#[tokio::test]
async fn the_socket_is_private_and_replaces_a_stale_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new().await;
    let path = stage.folder.path().join(SOCKET);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(stage.stop);
    drop(stage.client);
    stage.server.await.unwrap();
    assert!(matches!(
        Client::connect(&path).await,
        Err(ConnectError::NoHost(_))
    ));
    let _listener = bind(stage.folder.path()).unwrap();
    assert!(!matches!(
        Client::connect(&path).await,
        Err(ConnectError::NoHost(_))
    ));
    let none = Client::connect(&stage.folder.path().join("none")).await;
    assert!(matches!(none, Err(ConnectError::NoHost(_))));
    stage.queues.close().await;
}

#[tokio::test]
async fn a_host_that_is_gone_is_reported() {
    let stage = Stage::new().await;
    drop(stage.stop);
    stage.server.await.unwrap();
    let problem = stage.client.queues().await.unwrap_err();
    assert_eq!(problem.code, Code::Unreachable);
    stage.queues.close().await;
}
