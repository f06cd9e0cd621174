//! Topics, batches to several queues, and requests over the socket.

use gristmill_queue::topic::{Subscription, Unmatched};
use gristmill_queue::{TopicPolicy, effects, limits};
use gristmill_store::{Outgoing, Sink, TopicDeclaration};
use tokio::runtime::Handle;

use super::*;
use crate::api::{Replied, TopicView};

/// `events` copies to `orders` and `audit`; `lost`, which has no subscription, refuses.
async fn stage() -> Stage {
    let stage = Stage::new().await;
    let declare = |queue: &str, policy| Declaration {
        name: name(queue),
        policy,
    };
    let narrow = QueuePolicy {
        max_messages: Some(1),
        ..QueuePolicy::default()
    };
    let replies = declare(limits::REPLIES, QueuePolicy::default());
    let queues = vec![
        declare("orders", QueuePolicy::default()),
        declare("audit", narrow),
        replies,
    ];
    let all = |queue: &str| Subscription {
        queue: name(queue),
        filters: Vec::new(),
    };
    let topic = |topic: &str, subscriptions, unmatched| TopicDeclaration {
        name: name(topic),
        policy: TopicPolicy {
            subscriptions,
            unmatched,
        },
    };
    let topics = vec![
        topic(
            "events",
            vec![all("orders"), all("audit")],
            Unmatched::Count,
        ),
        topic("lost", Vec::new(), Unmatched::Refuse),
    ];
    stage.queues.declare(queues, topics).await.unwrap();
    stage
}

/// Replies with the body of the request, or rejects it if that is `bad`.
struct Echo {
    queues: Queues,
    runtime: Handle,
}

impl Sink for Echo {
    fn deliver(self: Arc<Self>, leased: Vec<Leased>) {
        for leased in leased {
            let message = &leased.message;
            let mut settle = ended(&leased, Outcome::Done);
            if message.body == "bad" {
                let error = "no such thing".to_owned();
                settle.outcome = Outcome::Rejected { error };
            } else if let Some(to) = message.envelope.reply_to.clone() {
                let mut reply = NewMessage::with_body(message.body.clone());
                reply
                    .envelope
                    .correlation_id
                    .clone_from(&message.envelope.correlation_id);
                let id = self.queues.ids().mint(self.queues.now());
                settle.effects.sends.push(effects::Send {
                    to,
                    id,
                    message: reply,
                });
            }
            let echo = Arc::clone(&self);
            self.runtime
                .spawn(async move { echo.queues.settle(settle).await });
        }
    }
}

#[tokio::test]
async fn a_topic_answers_with_its_copies_and_refuses_all_or_nothing() {
    let stage = stage().await;
    let message = || vec![NewMessage::with_body("news")];
    let sent = stage
        .client
        .send_all(&name("events"), message())
        .await
        .unwrap();
    let copies = sent[0].copies.as_ref().unwrap();
    let queues: Vec<&str> = copies.iter().map(|copy| copy.queue.as_str()).collect();
    assert_eq!(queues, ["orders", "audit"]);
    // `audit` is full now, so `orders` gets none either.
    let full = stage.client.send_all(&name("events"), message()).await;
    assert_eq!(full.unwrap_err().code, Code::QueueFull);
    let lost = stage.client.send_all(&name("lost"), message()).await;
    assert_eq!(lost.unwrap_err().code, Code::Unmatched);
    assert_eq!(
        stage.client.peek(&name("orders"), 10).await.unwrap().len(),
        1
    );
    let topics: Vec<TopicView> = stage.client.topics().await.unwrap();
    let told: Vec<_> = topics
        .iter()
        .map(|topic| {
            (
                topic.name.as_str(),
                topic.sent,
                topic.unmatched,
                topic.refused,
            )
        })
        .collect();
    assert_eq!(told, [("events", 1, 0, 0), ("lost", 0, 0, 1)]);
    let refused = stage.post("/v1/queues/events/request", &[], "x").await;
    assert_eq!(refused.unwrap_err().code, Code::BadRequest);
    stage.end().await;
}

#[tokio::test]
async fn a_batch_over_several_queues_is_taken_whole_or_not_at_all() {
    let stage = stage().await;
    let to = |queue: &str| Outgoing {
        queue: name(queue),
        message: NewMessage::with_body("x"),
    };
    let refused = stage
        .client
        .send_batch(vec![to("orders"), to("nowhere")])
        .await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code, Code::QueueNotFound);
    assert!(refused.detail.contains("messages[1]"), "{refused}");
    assert_eq!(stage.client.peek(&name("orders"), 10).await.unwrap(), []);
    let sent = stage
        .client
        .send_batch(vec![to("orders"), to("audit")])
        .await;
    assert_eq!(sent.unwrap().len(), 2);
    for queue in ["orders", "audit"] {
        assert_eq!(stage.client.peek(&name(queue), 10).await.unwrap().len(), 1);
    }
    let misplaced = stage
        .post("/v1/messages/batch", &[], r#"{"messages":[{"body":"x"}]}"#)
        .await;
    let misplaced = misplaced.unwrap_err();
    assert!(
        misplaced.detail.contains("a message needs its queue"),
        "{misplaced}"
    );
    stage.end().await;
}

#[tokio::test]
async fn a_request_is_answered_or_says_where_to_ask_and_its_death_is_told() {
    let stage = stage().await;
    let request = async |body: &str, wait| {
        let message = NewMessage::with_body(body.to_owned());
        stage.client.request(&name("orders"), message, wait).await
    };
    let Ok(Replied::Pending(pending)) = request("later", Duration::ZERO).await else {
        panic!("nobody replies yet");
    };
    assert_eq!(
        pending.reply_at,
        format!("/v1/replies/{}", pending.correlation_id)
    );
    let none = stage
        .client
        .reply(&pending.correlation_id, Duration::ZERO)
        .await;
    assert_eq!(none.unwrap_err().code, Code::ReplyNotFound);
    let echo = Arc::new(Echo {
        queues: stage.queues.clone(),
        runtime: Handle::current(),
    });
    stage.queues.attach(name("orders"), 4, echo);
    let patience = Duration::from_secs(60);
    let later = stage.client.reply(&pending.correlation_id, patience).await;
    assert_eq!(later.unwrap().body.body.as_deref(), Some("later"));
    let Ok(Replied::Reply(reply)) = request("now", patience).await else {
        panic!("it is answered");
    };
    assert_eq!(reply.body.body.as_deref(), Some("now"));
    let died = request("bad", patience).await.unwrap_err();
    assert_eq!(died.code, Code::RequestDied);
    assert!(
        died.detail.contains("reason rejected: no such thing"),
        "{died}"
    );
    let own = stage
        .post(
            "/v1/queues/orders/request",
            &[("gristmill-reply-to", "audit")],
            "x",
        )
        .await;
    assert_eq!(own.unwrap_err().code, Code::BadRequest);
    stage.end().await;
}
