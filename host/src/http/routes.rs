//! The addresses: one table, and one short function for each.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use gristmill_queue::{MessageId, NewMessage, QueueName};
use gristmill_store::PurgeStates;
use serde::Deserialize;

mod reply;

use super::answer::{Answer, created};
use super::large::{self, Taken};
use super::limits::{MAX_BATCH_BYTES, MAX_REQUEST};
use super::{body, headers};
use crate::api::message::Sent;
use crate::api::{
    Api, BatchIn, Code, Count, CronView, HaltedPage, HandlerView, Items, MAX_PAGE, MessageView,
    MoveOrder, Moved, Problem, PurgeOrder, QueueView, ResumeOrder, TopicView, VersionAnswer,
    WaitingView,
};

mod backup;
mod dead;
mod pull;

/// How many messages a look into a queue returns unless it says otherwise.
const DEFAULT_PEEK: usize = 10;
/// How many dead letters, or halted groups, are on a page unless the request says otherwise.
const DEFAULT_PAGE: usize = 100;

/// All addresses.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/v1/queues", get(queues))
        .route("/v1/queues/{queue}/messages", get(peek).post(send))
        .route("/v1/queues/{queue}/messages/batch", post(send_batch))
        .merge(dead::router())
        .merge(backup::router())
        .merge(pull::router())
        .route("/v1/queues/{queue}/groups/halted", get(halted_groups))
        .route("/v1/queues/{queue}/groups/resume", post(resume_groups))
        .route("/v1/queues/{queue}/pause", post(pause))
        .route("/v1/queues/{queue}/resume", post(resume))
        .route("/v1/queues/{queue}/purge", post(purge))
        .route("/v1/queues/{queue}/request", post(reply::request))
        .route("/v1/requests", post(reply::request_in_json))
        .route("/v1/replies/{correlation_id}", get(reply::reply))
        .route("/v1/topics", get(topics))
        .route("/v1/messages/batch", post(send_anywhere))
        .route("/v1/messages/{id}", get(find).delete(cancel))
        .route("/v1/messages/{id}/body", get(body_of))
        .route("/v1/messages/{id}/move", post(move_to))
        .route("/v1/cron", get(cron))
        .route("/v1/cron/{name}/run", post(run_cron))
        .route("/v1/handlers", get(handlers))
        .route("/v1/version", get(version))
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .fallback(nothing_here)
        .method_not_allowed_fallback(wrong_method)
        .with_state(api)
}

type QueuePath = Result<Path<String>, PathRejection>;
type Asked<T> = Result<Query<T>, QueryRejection>;

fn queue_name(path: QueuePath) -> Result<QueueName, Problem> {
    let Path(name) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    QueueName::new(&name).map_err(|error| Problem::bad_request(error.to_string()))
}

fn asked<T>(query: Asked<T>) -> Result<T, Problem> {
    query
        .map(|Query(asked)| asked)
        .map_err(|error| Problem::bad_request(error.body_text()))
}

async fn queues(State(api): State<Api>) -> Answer<Items<QueueView>> {
    Ok(Json(Items {
        items: api.queues().await?,
    }))
}

async fn send(
    State(api): State<Api>,
    path: QueuePath,
    request: Request,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let queue = queue_name(path)?;
    let message = headers::message(request.headers())?;
    match large::take(&api, &queue, request).await? {
        Taken::Whole(body) => {
            let message = NewMessage { body, ..message };
            let sent = api.send_all(queue, vec![message]).await?;
            let sent = sent.into_iter().next();
            sent.map(created)
                .ok_or_else(|| gristmill_store::SendError::Unknown.into())
        }
        Taken::Stored(body) => Ok(created(api.send_large(queue, message, body).await?)),
    }
}

async fn send_batch(
    State(api): State<Api>,
    path: QueuePath,
    request: Request,
) -> Result<(StatusCode, Json<Items<Sent>>), Problem> {
    let queue = queue_name(path)?;
    let batch: BatchIn = body::read_json(request, MAX_BATCH_BYTES).await?;
    let items = api.send_batch(batch.into_outgoing(Some(&queue))?).await?;
    Ok(created(Items { items }))
}

async fn send_anywhere(
    State(api): State<Api>,
    request: Request,
) -> Result<(StatusCode, Json<Items<Sent>>), Problem> {
    let batch: BatchIn = body::read_json(request, MAX_BATCH_BYTES).await?;
    let items = api.send_batch(batch.into_outgoing(None)?).await?;
    Ok(created(Items { items }))
}

async fn topics(State(api): State<Api>) -> Answer<Items<TopicView>> {
    let items = api.topics().await?;
    Ok(Json(Items { items }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeekQuery {
    limit: Option<usize>,
}

async fn peek(
    State(api): State<Api>,
    path: QueuePath,
    query: Asked<PeekQuery>,
) -> Answer<Items<WaitingView>> {
    let queue = queue_name(path)?;
    let limit = asked(query)?.limit.unwrap_or(DEFAULT_PEEK);
    let items = api.peek(queue, limit).await?;
    Ok(Json(Items { items }))
}

type IdPath = Result<Path<String>, PathRejection>;

fn message_id(path: IdPath) -> Result<MessageId, Problem> {
    let Path(id) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    id.parse()
        .map_err(|error: gristmill_queue::id::InvalidMessageId| {
            Problem::bad_request(error.to_string())
        })
}

async fn find(State(api): State<Api>, path: IdPath) -> Answer<MessageView> {
    Ok(Json(api.find(message_id(path)?).await?))
}

async fn body_of(State(api): State<Api>, path: IdPath) -> Result<Response, Problem> {
    large::give(api.open_body(message_id(path)?).await?).await
}

async fn cancel(State(api): State<Api>, path: IdPath) -> Result<StatusCode, Problem> {
    api.cancel(message_id(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn move_to(State(api): State<Api>, path: IdPath, request: Request) -> Answer<Moved> {
    let id = message_id(path)?;
    let order: MoveOrder = body::read_json(request, MAX_REQUEST).await?;
    Ok(Json(api.move_to(id, order.try_into()?).await?))
}

async fn purge(State(api): State<Api>, path: QueuePath, request: Request) -> Answer<Count> {
    let queue = queue_name(path)?;
    let order: PurgeOrder = body::read_json(request, MAX_REQUEST).await?;
    let count = api.purge(queue, PurgeStates::try_from(&order)?).await?;
    Ok(Json(Count { count }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    cursor: Option<String>,
    limit: Option<usize>,
}

async fn halted_groups(
    State(api): State<Api>,
    path: QueuePath,
    query: Asked<PageQuery>,
) -> Answer<HaltedPage> {
    let queue = queue_name(path)?;
    let query = asked(query)?;
    let limit = query.limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    let page = api.halted_groups(queue, query.cursor.as_deref(), limit);
    Ok(Json(page.await?))
}

async fn resume_groups(State(api): State<Api>, path: QueuePath, request: Request) -> Answer<Count> {
    let queue = queue_name(path)?;
    let order: ResumeOrder = body::read_json(request, MAX_REQUEST).await?;
    let count = api.resume_groups(queue, order).await?;
    Ok(Json(Count { count }))
}

async fn pause(State(api): State<Api>, path: QueuePath) -> Result<StatusCode, Problem> {
    api.pause(queue_name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn resume(State(api): State<Api>, path: QueuePath) -> Result<StatusCode, Problem> {
    api.resume(queue_name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn cron(State(api): State<Api>) -> Answer<Items<CronView>> {
    Ok(Json(Items { items: api.cron()? }))
}

async fn run_cron(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<Sent>), Problem> {
    let Path(name) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(created(api.run_cron(&name).await?))
}

async fn handlers(State(api): State<Api>) -> Json<Items<HandlerView>> {
    Json(Items {
        items: api.handlers().unwrap_or_default(),
    })
}

async fn version() -> Json<VersionAnswer> {
    Json(VersionAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
    })
}

async fn live() -> &'static str {
    "ok\n"
}

/// Ready as long as the writer answers. When the host stops, the socket goes first.
async fn ready(State(api): State<Api>) -> Response {
    match api.queues().await {
        Ok(_) => "ok\n".into_response(),
        Err(problem) => Problem::new(Code::Busy, problem.detail).into_response(),
    }
}

async fn nothing_here(request: Request) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is nothing at {}", request.uri().path()),
    )
}

async fn wrong_method(request: Request) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!(
            "{} is not possible at {}",
            request.method(),
            request.uri().path()
        ),
    )
}
