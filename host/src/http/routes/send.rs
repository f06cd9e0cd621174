//! Sending: one message, a batch to a queue, a batch to several.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use gristmill_queue::{NewMessage, QueueName};
use schemars::JsonSchema;
use serde::Serialize;

use super::{TextPath, queue_name};
use crate::api::{Api, BatchIn, Items, Problem, Sent};
use crate::auth::Action::Send;
use crate::http::answer::created;
use crate::http::events::{self, Mode};
use crate::http::guard::Caller;
use crate::http::large::{self, Taken};
use crate::http::limits::MAX_BATCH_BYTES;
use crate::http::table::{Needs, Route, SharedApi, Takes, post};
use crate::http::{body, headers};

pub fn routes() -> Vec<Route> {
    vec![
        post("/v1/queues/{queue}/messages", "send", Needs::Queue(Send), send)
            .says("Sends a message to a queue or topic; it is durable when this answers. The body is the message's, whatever it is; an event of CloudEvents is unpacked, and several make an answer with `items`.")
            .carrying(Takes::Message)
            .gives::<SentOrItems>(201),
        post("/v1/queues/{queue}/messages/batch", "send_batch", Needs::Queue(Send), send_batch)
            .says("Sends messages to a queue or topic: all are durable when this answers, or none is.")
            .takes::<BatchIn>()
            .gives::<Items<Sent>>(201),
        post("/v1/messages/batch", "send_anywhere", Needs::Found(Send), send_anywhere)
            .says("Sends messages, each to the queue or topic that it names: all are durable when this answers, or none is.")
            .takes::<BatchIn>()
            .gives::<Items<Sent>>(201),
    ]
}

/// What sending answers with: of one message, or of each event of several.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it is there for its schema")]
enum SentOrItems {
    One(Sent),
    Several(Items<Sent>),
}

/// Who may not send to a queue may not have a handler do it for them.
pub(super) fn check_reply_to(caller: &Caller, message: &NewMessage) -> Result<(), Problem> {
    let answers = message.envelope.reply_to.as_ref();
    answers.map_or(Ok(()), |queue| caller.check(Send, queue.as_str()))
}

async fn send(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
    request: Request,
) -> Result<Response, Problem> {
    let queue = queue_name(path)?;
    let message = headers::message(request.headers())?;
    check_reply_to(&caller, &message)?;
    match events::mode(request.headers())? {
        Mode::Body => send_body(&api, queue, message, request).await.map(created),
        Mode::Structured => {
            let json = body::read(request, MAX_BATCH_BYTES).await?;
            let event = events::structured(&json, &message)?;
            send_one(&api, queue, event).await.map(created)
        }
        Mode::Batched => {
            let json = body::read(request, MAX_BATCH_BYTES).await?;
            let events = events::batched(&json, &message)?;
            let items = api.send_all(queue, events).await?;
            return Ok(created(Items { items }).into_response());
        }
    }
    .map(IntoResponse::into_response)
}

async fn send_body(
    api: &Api,
    queue: QueueName,
    message: NewMessage,
    request: Request,
) -> Result<Sent, Problem> {
    match large::take(api, &queue, request).await? {
        Taken::Whole(body) => send_one(api, queue, NewMessage { body, ..message }).await,
        Taken::Stored(body) => api.send_large(queue, message, body).await,
    }
}

async fn send_one(api: &Api, queue: QueueName, message: NewMessage) -> Result<Sent, Problem> {
    let sent = api.send_all(queue, vec![message]).await?;
    let sent = sent.into_iter().next();
    sent.ok_or_else(|| gristmill_store::SendError::Unknown.into())
}

async fn send_batch(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
    request: Request,
) -> Result<(StatusCode, Json<Items<Sent>>), Problem> {
    let queue = queue_name(path)?;
    send_these(&api, &caller, Some(&queue), request).await
}

async fn send_anywhere(
    State(api): State<SharedApi>,
    caller: Caller,
    request: Request,
) -> Result<(StatusCode, Json<Items<Sent>>), Problem> {
    send_these(&api, &caller, None, request).await
}

async fn send_these(
    api: &Api,
    caller: &Caller,
    queue: Option<&QueueName>,
    request: Request,
) -> Result<(StatusCode, Json<Items<Sent>>), Problem> {
    let batch: BatchIn = body::read_json(request, MAX_BATCH_BYTES).await?;
    let batch = batch.into_outgoing(queue)?;
    for outgoing in &batch {
        caller.check(Send, outgoing.queue.as_str())?;
        check_reply_to(caller, &outgoing.message)?;
    }
    let items = api.send_batch(batch).await?;
    Ok(created(Items { items }))
}
