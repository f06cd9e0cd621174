//! One message by its id over the socket: found, cancelled, moved.

use std::time::Duration;

use bytes::Bytes;
use gristmill_queue::message::Due;
use gristmill_queue::{MessageId, NewMessage, Timestamp};
use http_body_util::Full;
use hyper::{Method, Request};

use super::{Stage, name};
use crate::api::one::MAX_SHOWN_BODY;
use crate::api::{Code, MessageView, Moved, Problem};

async fn send(stage: &Stage, message: NewMessage) -> MessageId {
    let sent = stage.client.send_all(&name("orders"), vec![message]).await;
    sent.unwrap()[0].id.parse().unwrap()
}

async fn move_by(stage: &Stage, id: MessageId, order: &str) -> Result<Moved, Problem> {
    let order = Bytes::from(order.to_owned());
    let path = format!("/v1/messages/{id}/move");
    let moved = stage.post(&path, &[], order).await?;
    Ok(serde_json::from_slice(&moved).unwrap())
}

#[tokio::test]
async fn a_message_is_found_moved_and_cancelled_by_its_id() {
    let stage = Stage::new().await;
    let id = send(&stage, NewMessage::with_body("hi")).await;
    let found = stage.client.find(id).await.unwrap();
    assert_eq!(
        (found.queue.as_str(), found.state.as_str()),
        ("orders", "ready")
    );
    assert_eq!(found.body.body.as_deref(), Some("hi"));

    let moved = move_by(&stage, id, r#"{"due":"2100-01-01T00:00:00Z"}"#).await;
    assert_eq!(moved.unwrap().due_at_ms, 4_102_444_800_000);
    let found: MessageView = stage.client.find(id).await.unwrap();
    assert_eq!(
        (found.state.as_str(), found.due_at_ms),
        ("scheduled", Some(4_102_444_800_000))
    );
    let before = stage.queues.now().after(Duration::from_secs(60));
    let moved = move_by(&stage, id, r#"{"delay":"1m"}"#).await.unwrap();
    assert!(moved.due_at_ms >= before.unix_ms());
    for to in [
        Due::Now,
        Due::At(Timestamp::ZERO),
        Due::After(Duration::ZERO),
    ] {
        stage.client.move_to(id, to).await.unwrap();
        assert_eq!(stage.client.find(id).await.unwrap().state, "ready");
    }

    stage.client.cancel(id).await.unwrap();
    for problem in [
        stage.client.find(id).await.map(drop),
        stage.client.cancel(id).await,
        stage.client.move_to(id, Due::Now).await.map(drop),
    ] {
        assert_eq!(problem.unwrap_err().code, Code::MessageNotFound);
    }
    stage.end().await;
}

#[tokio::test]
async fn what_cannot_be_done_to_a_message_has_a_code() {
    let stage = Stage::new().await;
    let mortal = NewMessage {
        ttl: Some(Duration::from_secs(3600)),
        ..NewMessage::with_body("x")
    };
    let id = send(&stage, mortal).await;
    let problem = move_by(&stage, id, r#"{"delay":"2h"}"#).await.unwrap_err();
    assert_eq!(problem.code, Code::InvalidMessage);
    assert!(
        problem.detail.contains("expire before it is due"),
        "{problem}"
    );
    for order in ["{}", r#"{"due":"soon"}"#, r#"{"at":"now"}"#] {
        let problem = move_by(&stage, id, order).await.unwrap_err();
        assert_eq!(problem.code, Code::BadRequest, "{order}: {problem}");
    }
    let request = Request::builder()
        .method(Method::DELETE)
        .header("host", "x");
    let request = request.uri("/v1/messages/not-an-id").body(Full::default());
    let problem = stage.client.ask(request.unwrap()).await.unwrap_err();
    assert_eq!(problem.code, Code::BadRequest);
    assert!(problem.detail.contains("not a message id"), "{problem}");
    stage.end().await;
}

#[tokio::test]
async fn a_large_body_is_not_shown_with_its_message() {
    let stage = Stage::new().await;
    let id = send(
        &stage,
        NewMessage::with_body(vec![b'x'; MAX_SHOWN_BODY + 1]),
    )
    .await;
    let found = stage.client.find(id).await.unwrap();
    assert!(found.body_omitted && found.body.body.is_none());
    assert_eq!(found.size, MAX_SHOWN_BODY + 1);
    stage.end().await;
}
