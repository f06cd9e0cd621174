//! Pull consumers, over the socket.

use std::future::poll_fn;
use std::task::Poll;

use gristmill_queue::limits as core_limits;
use gristmill_store::{Sink, Slots};

use super::*;
use crate::api::pull::{ExtendOrder, RejectOrder, RetryOrder};
use crate::api::{LeaseView, ReceiveOrder, SettleOrder, SettledView};

fn at_once(max: u32) -> ReceiveOrder {
    ReceiveOrder {
        max: Some(max),
        ..ReceiveOrder::default()
    }
}

fn waiting() -> ReceiveOrder {
    ReceiveOrder {
        wait: Some("60s".into()),
        ..ReceiveOrder::default()
    }
}

impl Stage {
    async fn send(&self, bodies: &[&'static str]) {
        let messages = bodies.iter().map(|&body| NewMessage::with_body(body));
        let (orders, messages) = (name("orders"), messages.collect());
        self.client.send_all(&orders, messages).await.unwrap();
    }

    async fn receive(&self, order: &ReceiveOrder) -> Vec<LeaseView> {
        self.client.receive(&name("orders"), order).await.unwrap()
    }

    async fn settle(&self, order: &SettleOrder) -> Vec<SettledView> {
        let orders = name("orders");
        self.client.settle_pulled(&orders, order).await.unwrap()
    }
}

fn bodies(leases: &[LeaseView]) -> Vec<&str> {
    leases
        .iter()
        .map(|one| one.body.body.as_deref().unwrap())
        .collect()
}

fn codes(settled: &[SettledView]) -> Vec<Option<Code>> {
    let code = |one: &SettledView| one.problem.as_ref().map(|problem| problem.code);
    settled.iter().map(code).collect()
}

#[tokio::test]
async fn messages_are_received_and_each_receipt_has_its_own_result() {
    let stage = Stage::new().await;
    stage.send(&["a", "b", "c", "d", "e"]).await;
    let leases = stage.receive(&at_once(10)).await;
    assert_eq!(bodies(&leases), ["a", "b", "c", "d", "e"]);
    assert!(leases.iter().all(|one| one.attempt == 1 && one.size == 1));
    assert_eq!(
        leases[0].lease_ends_at_ms - leases[0].first_received_at_ms,
        30_000
    );
    let receipt = |n: usize| leases[n].receipt.clone();
    let order = SettleOrder {
        ack: vec![receipt(0), receipt(0), "nonsense".into()],
        retry: vec![RetryOrder {
            receipt: receipt(1),
            delay: Some("0s".into()),
            error: "the bank is closed".into(),
        }],
        reject: vec![RejectOrder {
            receipt: receipt(2),
            error: "no such customer".into(),
        }],
        release: vec![receipt(3)],
        extend: vec![
            ExtendOrder {
                receipt: receipt(4),
                visibility: "1h".into(),
            },
            ExtendOrder {
                receipt: receipt(4),
                visibility: "13h".into(),
            },
        ],
    };
    let settled = stage.settle(&order).await;
    let refused = Some(Code::BadRequest);
    let expected = [
        None,
        Some(Code::LeaseLost),
        Some(Code::ReceiptInvalid),
        None,
        None,
        None,
        None,
        refused,
    ];
    assert_eq!(codes(&settled), expected);
    assert_eq!(settled[0].id.as_deref(), Some(leases[0].id.as_str()));
    assert_eq!((&*settled[2].verdict, &settled[2].id), ("ack", &None));
    let again = stage.receive(&at_once(10)).await;
    let attempts: Vec<_> = again.iter().map(|one| one.attempt).collect();
    assert_eq!((bodies(&again), attempts), (vec!["d", "b"], vec![1, 2]));
    let view = &stage.client.queues().await.unwrap()[0];
    assert_eq!((view.in_flight, view.pulled, view.dead), (3, 3, 1));
    stage.end().await;
}

#[tokio::test]
async fn a_receipt_is_good_for_its_queue_only() {
    let stage = Stage::new().await;
    stage.send(&["a"]).await;
    let leases = stage.receive(&at_once(1)).await;
    let order = SettleOrder {
        ack: vec![leases[0].receipt.clone()],
        ..SettleOrder::default()
    };
    let elsewhere = stage.client.settle_pulled(&name("small"), &order).await;
    assert_eq!(codes(&elsewhere.unwrap()), [Some(Code::ReceiptInvalid)]);
    let nowhere = stage.client.settle_pulled(&name("else"), &order).await;
    assert_eq!(nowhere.unwrap_err().code, Code::QueueNotFound);
    assert_eq!(codes(&stage.settle(&order).await), [None]);
    stage.end().await;
}

#[tokio::test]
async fn who_waits_is_answered_when_a_message_comes_and_when_the_host_stops() {
    let stage = Stage::new().await;
    let second = Client::connect(&stage.folder.path().join(SOCKET))
        .await
        .unwrap();
    let (orders, order) = (name("orders"), waiting());
    let mut receiving = std::pin::pin!(second.receive(&orders, &order));
    let early = poll_fn(|context| Poll::Ready(receiving.as_mut().poll(context).is_ready()));
    assert!(!early.await);
    stage.send(&["a"]).await;
    assert_eq!(bodies(&receiving.await.unwrap()), ["a"]);
    let stopped = async {
        tokio::task::yield_now().await;
        stage.queues.end_waits();
    };
    let (answer, ()) = tokio::join!(second.receive(&orders, &order), stopped);
    assert_eq!(answer.unwrap(), []);
    stage.end().await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_loses_nothing() {
    let stage = Stage::new().await;
    let gone = Client::connect(&stage.folder.path().join(SOCKET))
        .await
        .unwrap();
    let (orders, order) = (name("orders"), waiting());
    {
        let mut receiving = std::pin::pin!(gone.receive(&orders, &order));
        let early = poll_fn(|context| Poll::Ready(receiving.as_mut().poll(context).is_ready()));
        assert!(!early.await);
    }
    drop(gone);
    stage.send(&["a"]).await;
    // Should the message have been granted to the one who is gone, it comes back at once.
    let leases = stage.receive(&waiting()).await;
    assert_eq!((bodies(&leases), leases[0].attempt), (vec!["a"], 1));
    stage.end().await;
}

#[tokio::test]
async fn what_may_not_be_received_is_refused_with_the_reason() {
    struct Idle;
    impl Sink for Idle {
        fn deliver(self: Arc<Self>, _: Vec<Leased>) {}
    }
    let stage = Stage::new().await;
    stage
        .queues
        .attach(name("small"), Slots::from(1), Arc::new(Idle));
    let ask = async |queue: &str, order: &ReceiveOrder| {
        let asked = stage.client.receive(&name(queue), order).await;
        asked.unwrap_err().code
    };
    assert_eq!(ask("small", &at_once(1)).await, Code::NotPull);
    assert_eq!(ask("else", &at_once(1)).await, Code::QueueNotFound);
    assert_eq!(ask("orders", &at_once(0)).await, Code::BadRequest);
    let many = SettleOrder {
        ack: vec!["x".into(); core_limits::MAX_SETTLED + 1],
        ..SettleOrder::default()
    };
    let refused = stage.client.settle_pulled(&name("orders"), &many).await;
    assert_eq!(refused.unwrap_err().code, Code::TooLarge);
    let unknown = stage.post(
        "/v1/queues/orders/leases",
        &[("content-type", "application/json")],
        r#"{"maximum":1}"#,
    );
    assert_eq!(unknown.await.unwrap_err().code, Code::BadRequest);
    stage.end().await;
}

#[tokio::test]
async fn a_large_body_is_where_its_lease_says() {
    let stage = Stage::new().await;
    let body = "x".repeat(300 * 1024);
    stage
        .client
        .send_all(&name("orders"), vec![NewMessage::with_body(body.clone())])
        .await
        .unwrap();
    let leases = stage.receive(&at_once(1)).await;
    assert_eq!((&leases[0].body.body, leases[0].size), (&None, 300 * 1024));
    let place = leases[0].body_url.as_deref().unwrap();
    let request = Request::get(place).header("host", "x");
    let read = stage
        .client
        .ask(request.body(Full::new(Bytes::new())).unwrap());
    assert_eq!(read.await.unwrap(), body);
    stage.end().await;
}
