//! Dead letters over the socket: messages that expired, by a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gristmill_queue::{MessageId, NewMessage, QueuePolicy, Reason};
use gristmill_store::{Clock, DeadFilter, Declaration, Options, PurgeStates, RedriveOrder, Store};
use tokio::sync::oneshot;

use super::{Stage, name};
use crate::api::dead::parse_fingerprint;
use crate::api::{Api, Code};
use crate::http::{Client, SOCKET, bind, serve_until};
use crate::queues::Queues;

/// A host whose queue `orders` holds as many dead letters as asked for.
struct Grave {
    _folder: tempfile::TempDir,
    store: Store,
    client: Client,
    _stop: oneshot::Sender<()>,
}

impl Grave {
    async fn with(letters: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicU64::new(1_763_640_000_000));
        let options = Options {
            clock: Clock::Manual(Arc::clone(&clock)),
            queues: vec![Declaration {
                name: name("orders"),
                policy: QueuePolicy::default(),
            }],
            ..Options::default()
        };
        let (store, _) = Store::open(folder.path(), options).unwrap();
        let api = Api::without_host(Queues::new(store.clone()));
        let listener = bind(folder.path()).unwrap();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(serve_until(listener, api, async {
            let _ = stopped.await;
        }));
        let client = Client::connect(&folder.path().join(SOCKET)).await.unwrap();
        let mortal = |number: usize| NewMessage {
            ttl: Some(Duration::from_millis(1)),
            ..NewMessage::with_body(format!("letter {number}"))
        };
        let batch = (0..letters).map(mortal).collect();
        client.send_all(&name("orders"), batch).await.unwrap();
        clock.fetch_add(1000, Ordering::Relaxed);
        store.tick().await.unwrap();
        Grave {
            _folder: folder,
            store,
            client,
            _stop: stop,
        }
    }
}

async fn redriven(client: &Client, filter: &DeadFilter, dry_run: bool) -> u64 {
    let order = RedriveOrder {
        filter: filter.clone(),
        ..RedriveOrder::default()
    };
    let done = client.redrive(&name("orders"), &order, dry_run).await;
    done.unwrap().count
}

#[tokio::test]
async fn dead_letters_are_grouped_listed_page_by_page_and_shown() {
    let grave = Grave::with(5).await;
    let (client, orders) = (&grave.client, name("orders"));
    let groups = client
        .dead_groups(&orders, &DeadFilter::default(), false)
        .await
        .unwrap();
    assert_eq!((groups.len(), groups[0].count), (1, 5));
    assert_eq!(groups[0].reason, "expired");

    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let page = client
            .dead(&orders, &DeadFilter::default(), cursor.as_deref(), 2)
            .await
            .unwrap();
        assert!(page.items.len() <= 2);
        ids.extend(page.items.into_iter().map(|item| item.id.unwrap()));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(ids.len(), 5);

    let third = client
        .dead_letter(&orders, ids[2].parse().unwrap())
        .await
        .unwrap();
    assert_eq!(third.body.body.as_deref(), Some("letter 2"));
    assert_eq!(
        (third.reason.as_str(), third.queue.as_str()),
        ("expired", "orders")
    );
    assert_eq!(third.fingerprint, groups[0].fingerprint);
    grave.store.close().await;
}

#[tokio::test]
async fn filters_choose_what_is_redriven_and_purged() {
    let grave = Grave::with(4).await;
    let (client, orders) = (&grave.client, name("orders"));
    let all = DeadFilter::default();
    let items = client.dead(&orders, &all, None, 10).await.unwrap().items;
    let fingerprint = parse_fingerprint(&items[0].fingerprint).unwrap();
    let first = DeadFilter {
        ids: vec![items[0].id.as_deref().unwrap().parse().unwrap()],
        ..DeadFilter::default()
    };
    let trapped = DeadFilter {
        reason: Some(Reason::Trap),
        ..DeadFilter::default()
    };
    let alike = DeadFilter {
        fingerprint: Some(fingerprint),
        ..DeadFilter::default()
    };

    assert_eq!(redriven(client, &trapped, false).await, 0);
    assert_eq!(redriven(client, &first, true).await, 1);
    assert_eq!(
        client
            .dead(&orders, &all, None, 10)
            .await
            .unwrap()
            .items
            .len(),
        4
    );
    assert_eq!(redriven(client, &first, false).await, 1);
    let back = client.peek(&orders, 10).await.unwrap();
    assert_eq!(
        (back.len(), back[0].id.as_str()),
        (1, items[0].id.as_deref().unwrap())
    );
    assert_eq!(back[0].counters.redriven, 1);
    let gone = client.dead_letter(&orders, first.ids[0]).await.unwrap_err();
    assert_eq!(gone.code, Code::MessageNotFound);

    assert_eq!(client.purge_dead(&orders, &trapped, false).await, Ok(0));
    assert_eq!(client.purge_dead(&orders, &alike, true).await, Ok(3));
    assert_eq!(client.purge_dead(&orders, &alike, false).await, Ok(3));
    assert_eq!(
        client
            .dead_groups(&orders, &DeadFilter::default(), false)
            .await,
        Ok(vec![])
    );
    // What was redriven is not dead, so the purge has left it alone.
    assert_eq!(client.peek(&orders, 10).await.unwrap().len(), 1);
    let dead = PurgeStates {
        dead: true,
        ..PurgeStates::default()
    };
    assert_eq!(client.purge(&orders, dead).await, Ok(0));
    grave.store.close().await;
}

#[tokio::test]
async fn a_queue_without_dead_letters_has_none() {
    let stage = Stage::new().await;
    let (orders, all) = (name("orders"), DeadFilter::default());
    let page = stage.client.dead(&orders, &all, None, 10).await.unwrap();
    assert_eq!((page.items.len(), page.next), (0, None));
    assert_eq!(
        stage
            .client
            .dead_groups(&orders, &DeadFilter::default(), false)
            .await,
        Ok(vec![])
    );
    assert_eq!(redriven(&stage.client, &all, true).await, 0);
    assert_eq!(redriven(&stage.client, &all, false).await, 0);
    assert_eq!(stage.client.purge_dead(&orders, &all, false).await, Ok(0));
    let id = MessageId::from_bytes([7; 16]);
    let problem = stage.client.dead_letter(&orders, id).await.unwrap_err();
    assert_eq!(problem.code, Code::MessageNotFound);
    stage.end().await;
}
