//! Queues that are made, changed and deleted while the store is open.

#![expect(
    clippy::unwrap_used,
    reason = "a test stops at what it does not expect"
)]

use std::time::Duration;

use gristmill_queue::{NewMessage, QueueName, QueuePolicy, limits};
use gristmill_store::{AdminError, Declaration, Options, Outgoing, SendError, Store};

fn name(queue: &str) -> QueueName {
    QueueName::new(queue).unwrap()
}

/// In these tests, a definition is the name of the queue that takes what dies.
fn policy(definition: &str) -> QueuePolicy {
    QueuePolicy {
        dead_letter: QueueName::new(definition).ok(),
        ..QueuePolicy::default()
    }
}

fn open(folder: &std::path::Path) -> Store {
    let options = Options {
        queues: vec![Declaration {
            name: name("file"),
            policy: QueuePolicy::default(),
        }],
        read_made: Some(Box::new(|_, definition| {
            (definition != "damaged").then(|| policy(definition))
        })),
        ..Options::default()
    };
    Store::open(folder, options).unwrap().0
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

async fn make(store: &Store, queue: &str, definition: &str) -> Result<(), AdminError> {
    let declaration = Declaration {
        name: name(queue),
        policy: policy(definition),
    };
    store.make(declaration, definition.to_owned()).await
}

async fn send(store: &Store, queue: &str, dedup_id: Option<&str>) -> Result<bool, SendError> {
    let mut message = NewMessage::with_body("x");
    message.dedup_id = dedup_id.map(str::to_owned);
    let batch = vec![Outgoing {
        queue: name(queue),
        message,
    }];
    let sent = store.send(batch).await?;
    Ok(sent[0].accepted.duplicate)
}

/// Names of the queues that are there, and how many messages are ready in each.
async fn depths(store: &Store) -> Vec<(String, u64)> {
    let views = store.views().await.unwrap();
    let own = views
        .iter()
        .filter(|view| view.name.as_str() != limits::REPLIES);
    let mut depths: Vec<_> = own
        .map(|view| (view.name.to_string(), view.depths.ready))
        .collect();
    depths.sort();
    depths
}

/// Lets the writer do what it goes on with by itself.
async fn settle(store: &Store) {
    for _ in 0..20 {
        store.tick().await.unwrap();
    }
}

#[test]
fn a_queue_is_made_survives_and_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = open(folder.path());
        assert!(send(&store, "made", None).await.is_err());
        make(&store, "made", "file").await.unwrap();
        send(&store, "made", Some("a")).await.unwrap();
        store.close().await;

        let store = open(folder.path());
        assert_eq!(store.made().unwrap(), [(name("made"), "file".to_owned())]);
        assert_eq!(
            store.body_limit(&name("made")),
            Some(limits::DEFAULT_MAX_BODY)
        );
        assert!(send(&store, "made", Some("a")).await.unwrap());
        make(&store, "made", "other").await.unwrap();
        assert_eq!(store.made().unwrap(), [(name("made"), "other".to_owned())]);
        assert_eq!(
            depths(&store).await,
            [("file".into(), 0), ("made".into(), 1)]
        );
        store.close().await;
    });
}

#[test]
fn a_deleted_queue_takes_everything_with_it() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = open(folder.path());
        make(&store, "made", "").await.unwrap();
        for i in 0..1200 {
            send(&store, "made", Some(&i.to_string())).await.unwrap();
        }
        store.unmake(name("made")).await.unwrap();
        assert!(matches!(
            send(&store, "made", None).await,
            Err(SendError::UnknownQueue(_))
        ));
        assert_eq!(store.body_limit(&name("made")), None);
        assert_eq!(depths(&store).await, [("file".into(), 0)]);
        // Its name is free at once, and what it remembered is forgotten.
        make(&store, "made", "").await.unwrap();
        assert!(!send(&store, "made", Some("7")).await.unwrap());
        assert_eq!(depths(&store).await[1], ("made".into(), 1));
        let gone = store.unmake(name("nothing")).await.unwrap_err();
        assert!(matches!(gone, AdminError::UnknownQueue(_)));
        let refused = store.unmake(name("file")).await.unwrap_err();
        assert!(matches!(refused, AdminError::NotMade(_)));
        store.close().await;

        let store = open(folder.path());
        settle(&store).await;
        assert_eq!(
            depths(&store).await,
            [("file".into(), 0), ("made".into(), 1)]
        );
        store.close().await;
    });
}

#[test]
fn numbers_of_deleted_queues_are_used_again_by_empty_ones_only() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = open(folder.path());
        for round in 0..50 {
            let queue = format!("made-{round}");
            make(&store, &queue, "").await.unwrap();
            assert!(!send(&store, &queue, Some("same")).await.unwrap());
            store.unmake(name(&queue)).await.unwrap();
            settle(&store).await;
        }
        store.close().await;
        let database = redb::Database::open(folder.path().join("store.redb")).unwrap();
        let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
        let table: redb::TableDefinition<'_, &str, (u32, bool)> =
            redb::TableDefinition::new("queue");
        let queues = transaction.open_table(table).unwrap();
        let count = redb::ReadableTableMetadata::len(&queues).unwrap();
        // The one of the file, and one that came and went; that of replies is the host's to declare.
        assert_eq!(count, 2);
        for table in ["message", "index"] {
            let table: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new(table);
            let rows = transaction.open_table(table).unwrap();
            // In the index, the clock.
            assert!(redb::ReadableTableMetadata::len(&rows).unwrap() <= 1);
        }
        let dedup: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("dedup");
        let ids = transaction.open_table(dedup).unwrap();
        assert_eq!(redb::ReadableTableMetadata::len(&ids).unwrap(), 0);
    });
}

#[test]
fn a_definition_that_cannot_be_used_leaves_the_messages_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = open(folder.path());
        make(&store, "made", "damaged").await.unwrap();
        send(&store, "made", None).await.unwrap();
        store.close().await;
        let store = open(folder.path());
        assert!(send(&store, "made", None).await.is_err());
        make(&store, "made", "").await.unwrap();
        assert_eq!(depths(&store).await[1], ("made".into(), 1));
        store.close().await;
    });
}

#[test]
fn messages_that_name_no_delay_wait_as_long_as_the_queue_says() {
    let folder = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = open(folder.path());
        let declaration = Declaration {
            name: name("slow"),
            policy: QueuePolicy {
                delay: Duration::from_secs(3600),
                ..QueuePolicy::default()
            },
        };
        store.make(declaration, String::new()).await.unwrap();
        send(&store, "slow", None).await.unwrap();
        let mut now = NewMessage::with_body("x");
        now.due = gristmill_queue::message::Due::After(Duration::ZERO);
        let batch = vec![Outgoing {
            queue: name("slow"),
            message: now,
        }];
        store.send(batch).await.unwrap();
        let views = store.views().await.unwrap();
        let slow = views.iter().find(|view| view.name == name("slow")).unwrap();
        assert_eq!((slow.depths.scheduled, slow.depths.ready), (1, 1));
        store.close().await;
    });
}
