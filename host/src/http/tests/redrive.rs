//! Redrives over the socket: by every filter, at a pace, with another body, back to the source.

use std::time::Duration;

use gristmill_queue::{MessageId, NewMessage, QueuePolicy};
use gristmill_store::{DeadFilter, Destination, RedriveOrder};
use serde_json::{Value, json};

use super::dead::Grave;
use super::name;
use crate::api::Code;
use crate::http::limits::MAX_MESSAGE;

fn mortal(body: &str) -> NewMessage {
    NewMessage {
        ttl: Some(Duration::from_millis(1)),
        ..NewMessage::with_body(body.to_owned())
    }
}

/// Two letters that died of the same, a second apart, and whose senders said different things.
async fn two() -> Grave {
    let grave = Grave::with(0).await;
    for (tenant, kind, source) in [("a", "placed", "shop"), ("b", "paid", "bank")] {
        let mut message = mortal(tenant);
        message.envelope.attributes = vec![("tenant".into(), tenant.into())];
        message.envelope.message_type = Some(kind.into());
        message.envelope.source = Some(source.into());
        grave.bury("orders", vec![message]).await;
    }
    grave
}

#[tokio::test]
async fn every_filter_means_the_same_to_each_verb() {
    let grave = two().await;
    let all = DeadFilter::default();
    let page = grave.client.dead(&name("orders"), &all, None, 10).await;
    let [first, second] = &page.unwrap().items[..] else {
        panic!("two letters");
    };
    assert!(first.died_at_ms < second.died_at_ms);
    for (filter, meant) in [
        (json!({ "ids": [second.id] }), 1),
        (json!({ "reason": "expired" }), 2),
        (json!({ "reason": "trap" }), 0),
        (json!({ "fingerprint": first.fingerprint }), 2),
        (json!({ "fingerprint": "1" }), 0),
        (json!({ "module": "ab" }), 0),
        (json!({ "since_ms": second.died_at_ms }), 1),
        (json!({ "until_ms": second.died_at_ms }), 1),
        (
            json!({ "since_ms": first.died_at_ms, "until_ms": first.died_at_ms }),
            0,
        ),
        (json!({ "attributes": { "tenant": "b" } }), 1),
        (json!({ "attributes": { "tenant": "b", "Tenant": "b" } }), 0),
        (json!({ "type": "paid" }), 1),
        (json!({ "source": "bank" }), 1),
        (json!({ "source": "bank", "type": "placed" }), 0),
    ] {
        let search = json!({ "filter": filter });
        let dry = json!({ "filter": filter, "dry_run": true });
        let found = grave.post("search", &search).await;
        let groups = grave.post("groups", &search).await;
        let counts = groups["items"].as_array().unwrap().iter();
        let grouped: u64 = counts.map(|group| group["count"].as_u64().unwrap()).sum();
        let told = (
            found["items"].as_array().unwrap().len(),
            grouped,
            grave.post("redrive", &dry).await["count"].as_u64().unwrap(),
            grave.post("purge", &dry).await["count"].as_u64().unwrap(),
        );
        let count = u64::try_from(meant).unwrap();
        assert_eq!(told, (meant, count, count, count), "{filter}");
    }
    let id = second.id.as_deref().unwrap();
    for query in [
        format!("id={id}&reason=expired"),
        format!("since_ms={}", second.died_at_ms),
        "type=paid&source=bank".to_owned(),
    ] {
        let found = grave.get(&format!("/v1/queues/orders/dead?{query}")).await;
        let items = found["items"].as_array().unwrap();
        assert_eq!((items.len(), &items[0]["id"]), (1, &json!(id)), "{query}");
    }
    grave.end().await;
}

#[tokio::test]
async fn a_redrive_with_a_rate_is_listed_and_cancelled() {
    let grave = Grave::with(4).await;
    let (client, orders) = (&grave.client, name("orders"));
    let order = RedriveOrder {
        rate: Some((1, Duration::from_secs(3600))),
        ..RedriveOrder::default()
    };
    let begun = client.redrive(&orders, &order, false).await.unwrap();
    let number = begun.redrive.unwrap();
    let listed = client.redrives().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (
            listed[0].redrive,
            listed[0].rate.as_deref(),
            listed[0].queue.as_str()
        ),
        (number, Some("1/h"), "orders")
    );
    let done = client.cancel_redrive(number).await.unwrap();
    assert!((0..4).contains(&done), "{done}");
    assert_eq!(client.redrives().await, Ok(vec![]));
    let page = client.dead(&orders, &DeadFilter::default(), None, 10).await;
    assert_eq!(page.unwrap().items.len() as u64, 4 - done);
    let back = client.peek(&orders, 10).await.unwrap();
    assert_eq!(back.len() as u64, done);
    let gone = client.cancel_redrive(number).await.unwrap_err();
    assert_eq!(gone.code, Code::RedriveNotFound);
    grave.end().await;
}

#[tokio::test]
async fn letters_go_to_another_queue_and_an_order_that_cannot_be_changes_nothing() {
    let grave = Grave::with(2).await;
    for (order, code, says) in [
        (json!({ "to": "nowhere" }), Code::QueueNotFound, "nowhere"),
        (json!({ "to": "a.b" }), Code::BadRequest, "queue name"),
        (
            json!({ "to": "spare", "to_source": true }),
            Code::BadRequest,
            "not both",
        ),
        (json!({ "rate": "fast" }), Code::BadRequest, "50/s"),
        (
            json!({ "filter": { "module": "x" } }),
            Code::BadRequest,
            "SHA-256",
        ),
        (
            json!({ "filter": { "colour": "red" } }),
            Code::BadRequest,
            "colour",
        ),
    ] {
        let problem = grave.try_post("redrive", &order).await.unwrap_err();
        assert_eq!(problem.code, code, "{order}: {problem}");
        assert!(problem.detail.contains(says), "{order}: {problem}");
    }
    assert_eq!(
        grave.client.peek(&name("spare"), 10).await.unwrap().len(),
        0
    );
    let done = grave.post("redrive", &json!({ "to": "spare" })).await;
    assert_eq!(done, json!({ "count": 2 }));
    let there = grave.client.peek(&name("spare"), 10).await.unwrap();
    let bodies: Vec<_> = there.iter().map(|one| one.body.body.as_deref()).collect();
    assert_eq!(bodies, [Some("letter 0"), Some("letter 1")]);
    grave.end().await;
}

#[tokio::test]
async fn a_letter_goes_back_with_another_body_or_stays_as_it_is() {
    let grave = Grave::with(1).await;
    let (client, orders) = (&grave.client, name("orders"));
    let page = client.dead(&orders, &DeadFilter::default(), None, 1).await;
    let old: MessageId = page.unwrap().items[0]
        .id
        .as_deref()
        .unwrap()
        .parse()
        .unwrap();
    let large = "x".repeat(MAX_MESSAGE + 1);
    let refused = client.redrive_edited(&orders, old, large.into()).await;
    assert_eq!(refused.unwrap_err().code, Code::TooLarge);
    let unknown = MessageId::from_bytes([7; 16]);
    let refused = client.redrive_edited(&orders, unknown, "x".into()).await;
    assert_eq!(refused.unwrap_err().code, Code::MessageNotFound);
    assert!(client.dead_letter(&orders, old).await.is_ok());

    let new = client.redrive_edited(&orders, old, "mended".into()).await;
    let back = client.peek(&orders, 10).await.unwrap();
    assert_eq!((back.len(), &back[0].id), (1, &new.unwrap().id));
    assert_eq!(back[0].body.body.as_deref(), Some("mended"));
    let cause = back[0].envelope.causation_id.as_deref();
    assert_eq!(cause, Some(old.to_string().as_str()));
    let gone = client.dead_letter(&orders, old).await.unwrap_err();
    assert_eq!(gone.code, Code::MessageNotFound);
    grave.end().await;
}

#[tokio::test]
async fn what_lies_in_an_ordinary_queue_is_grouped_and_goes_back_to_its_source() {
    let moved = QueuePolicy {
        dead_letter: Some(name("spare")),
        ..QueuePolicy::default()
    };
    let grave = Grave::under(moved).await;
    grave
        .bury("orders", vec![mortal("one"), mortal("two")])
        .await;
    let (client, spare) = (&grave.client, name("spare"));
    let there = client.peek(&spare, 10).await.unwrap();
    assert_eq!(there.len(), 2);
    let plain = NewMessage::with_body("never died");
    client.send_all(&spare, vec![plain]).await.unwrap();

    let all = DeadFilter::default();
    let groups = client.dead_groups(&spare, &all, true).await.unwrap();
    assert_eq!((groups.len(), groups[0].count), (1, 2));
    let latest = &groups[0].latest;
    assert_eq!(
        (&latest.reason[..], latest.id.as_deref()),
        ("expired", Some(&there[1].id[..]))
    );
    assert!(!latest.error.is_empty() && !latest.error.contains("damaged"));
    let order = RedriveOrder {
        to: Destination::Source,
        ..RedriveOrder::default()
    };
    assert_eq!(client.redrive(&spare, &order, true).await.unwrap().count, 2);
    assert_eq!(
        client.redrive(&spare, &order, false).await.unwrap().count,
        2
    );
    let back = client.peek(&name("orders"), 10).await.unwrap();
    let ids = |all: &[crate::api::WaitingView]| -> Vec<String> {
        all.iter().map(|one| one.id.clone()).collect()
    };
    assert_eq!(ids(&back), ids(&there));
    assert!(back.iter().all(|one| one.envelope.attributes.0.is_empty()));
    assert_eq!(client.peek(&spare, 10).await.unwrap().len(), 1);
    grave.end().await;
}

impl Grave {
    async fn post(&self, verb: &str, body: &Value) -> Value {
        self.try_post(verb, body).await.unwrap()
    }
}
