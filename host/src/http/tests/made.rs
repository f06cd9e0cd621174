use std::task::{Context, Waker};

use http_body_util::Full;
use hyper::{Method, Request};

use super::{Json, Stage, name};
use crate::api::Code;
use crate::queues::{Made, MakeError};

impl Stage {
    async fn queue(&self, method: Method, body: &'static str) -> Result<Json, crate::api::Problem> {
        let request = Request::builder()
            .method(method)
            .uri("/v1/queues/letters")
            .header("host", "x")
            .body(Full::new(body.into()))
            .unwrap();
        let answer = self.client.ask(request).await?;
        let text: &[u8] = if answer.is_empty() { b"{}" } else { &answer };
        Ok(serde_json::from_slice(text).unwrap())
    }
}

/// The file declares the queue.
async fn declare_letters(stage: &Stage) {
    let declared = gristmill_store::Declaration {
        name: name("letters"),
        policy: gristmill_queue::QueuePolicy::default(),
    };
    let declared = stage.queues.declare(vec![declared], Vec::new());
    declared.await.unwrap();
}

#[tokio::test]
async fn a_queue_is_made_looked_at_changed_and_deleted() {
    let stage = Stage::new().await;
    let missing = stage.queue(Method::GET, "").await.unwrap_err();
    assert_eq!(missing.code, Code::QueueNotFound);
    let made = stage
        .queue(Method::PUT, r#"{"ttl": "4d", "max_message_size": "4B"}"#)
        .await
        .unwrap();
    assert_eq!(made["definition"]["ttl"], "4d");
    let message = || vec![gristmill_queue::NewMessage::with_body("four")];
    stage
        .client
        .send_all(&name("letters"), message())
        .await
        .unwrap();
    let shown = stage.queue(Method::GET, "").await.unwrap();
    assert_eq!(
        (&shown["ready"], &shown["declared"]),
        (&1.into(), &true.into())
    );
    assert_eq!(shown["made"]["definition"]["ttl"], "4d");
    stage
        .queue(Method::PUT, r#"{"max_message_size": "3B"}"#)
        .await
        .unwrap();
    let refused = stage
        .client
        .send_all(&name("letters"), message())
        .await
        .unwrap_err();
    assert_eq!(refused.code, Code::TooLarge);
    for bad in [
        r#"{"ttl": "soon"}"#,
        r#"{"colour": 1}"#,
        r#"{"handler": "x.wasm"}"#,
        r#"{"dead_letter": "letters"}"#,
        r#"{"dead_letter": "none"}"#,
        "[]",
        "{",
    ] {
        let refused = stage.queue(Method::PUT, bad).await.unwrap_err();
        assert_eq!(refused.code, Code::BadRequest, "{bad}");
    }
    stage.queue(Method::DELETE, "").await.unwrap();
    let gone = stage.queue(Method::DELETE, "").await.unwrap_err();
    assert_eq!(gone.code, Code::QueueNotFound);
    stage.end().await;
}

#[tokio::test]
async fn a_queue_of_the_file_is_changed_there_only() {
    let stage = Stage::new().await;
    declare_letters(&stage).await;
    for method in [Method::PUT, Method::DELETE] {
        let refused = stage.queue(method, "{}").await.unwrap_err();
        assert_eq!(refused.code, Code::QueueFromFile);
    }
    assert_eq!(
        stage.queue(Method::GET, "").await.unwrap().get("made"),
        None
    );
    stage.end().await;
}

#[tokio::test]
async fn the_file_takes_a_made_queue_over_and_lets_it_go_again() {
    let stage = Stage::new().await;
    stage.queue(Method::PUT, r#"{"ttl": "4d"}"#).await.unwrap();
    let message = vec![gristmill_queue::NewMessage::with_body("x")];
    stage
        .client
        .send_all(&name("letters"), message)
        .await
        .unwrap();
    declare_letters(&stage).await;
    let shown = stage.queue(Method::GET, "").await.unwrap();
    assert_eq!((shown.get("made"), &shown["ready"]), (None, &1.into()));
    stage.queues.declare(Vec::new(), Vec::new()).await.unwrap();
    let shown = stage.queue(Method::GET, "").await.unwrap();
    assert_eq!(shown["made"]["definition"]["ttl"], "4d");
    stage.end().await;
}

/// What waits for a commit is let go of before that has come.
fn begin_and_hang_up(asking: impl Future) {
    let mut asking = std::pin::pin!(asking);
    let mut context = Context::from_waker(Waker::noop());
    assert!(asking.as_mut().poll(&mut context).is_pending());
}

/// What the store has done is in the catalogue, also when whoever asked for it has hung up.
#[tokio::test]
async fn a_caller_that_hangs_up_leaves_no_doubt_about_a_queue() {
    let stage = Stage::new().await;
    let letters = name("letters");
    let queues = &stage.queues;
    let making = queues.edit_made(&letters, |_, _| Ok::<_, MakeError>(Some(Made::default())));
    begin_and_hang_up(making);
    // Changes come one after the other, so the one before is done when this answers.
    let settled = |_: Option<&Made>, _| Ok::<_, MakeError>(None);
    let found = queues.edit_made(&letters, settled).await.unwrap();
    assert!(found.is_some());
    begin_and_hang_up(queues.delete_made(&letters));
    let found = queues.edit_made(&letters, settled).await.unwrap();
    assert!(found.is_none());
    stage.end().await;
}
