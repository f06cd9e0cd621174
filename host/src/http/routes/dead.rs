//! Dead letters and redrives.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use gristmill_queue::{MessageId, QueueName};
use gristmill_store::DeadFilter;
use serde::Deserialize;

use super::{Asked, DEFAULT_PAGE, QueuePath, asked, message_id, queue_name};
use crate::api::{
    Api, Count, DeadGroupView, DeadLetterView, DeadOrder, DeadPage, DeadSearch, Edited, FilterView,
    Items, MAX_PAGE, Problem, RedriveIn, RedriveOut, RedriveView,
};
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::limits::{MAX_MESSAGE, MAX_REQUEST};

pub fn router() -> Router<Api> {
    Router::new()
        .route("/v1/queues/{queue}/dead", get(dead))
        .route("/v1/queues/{queue}/dead/search", post(search))
        .route(
            "/v1/queues/{queue}/dead/groups",
            get(groups).post(search_groups),
        )
        .route("/v1/queues/{queue}/dead/redrive", post(redrive))
        .route("/v1/queues/{queue}/dead/purge", post(purge))
        .route("/v1/queues/{queue}/dead/{id}", get(letter))
        .route("/v1/queues/{queue}/dead/{id}/redrive", post(redrive_edited))
        .route("/v1/redrives", get(redrives))
        .route("/v1/redrives/{number}/cancel", post(cancel))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadQuery {
    /// Ids, separated by commas.
    id: Option<String>,
    reason: Option<String>,
    fingerprint: Option<String>,
    module: Option<String>,
    since_ms: Option<u64>,
    until_ms: Option<u64>,
    #[serde(rename = "type")]
    message_type: Option<String>,
    source: Option<String>,
    cursor: Option<String>,
    limit: Option<usize>,
}

async fn dead(
    State(api): State<Api>,
    path: QueuePath,
    query: Asked<DeadQuery>,
) -> Answer<DeadPage> {
    let queue = queue_name(path)?;
    let query = asked(query)?;
    let ids = query.id.unwrap_or_default();
    let ids = ids.split(',').filter(|id| !id.is_empty());
    let filter = FilterView {
        ids: ids.map(str::to_owned).collect(),
        reason: query.reason,
        fingerprint: query.fingerprint,
        module: query.module,
        since_ms: query.since_ms,
        until_ms: query.until_ms,
        message_type: query.message_type,
        source: query.source,
        ..FilterView::default()
    };
    page(&api, queue, filter, query.cursor, query.limit).await
}

/// The same, with everything that can be asked for.
async fn search(State(api): State<Api>, path: QueuePath, request: Request) -> Answer<DeadPage> {
    let queue = queue_name(path)?;
    let search: DeadSearch = body::read_json(request, MAX_REQUEST).await?;
    page(&api, queue, search.filter, search.cursor, search.limit).await
}

async fn page(
    api: &Api,
    queue: QueueName,
    filter: FilterView,
    cursor: Option<String>,
    limit: Option<usize>,
) -> Answer<DeadPage> {
    let limit = limit.unwrap_or(DEFAULT_PAGE).min(MAX_PAGE);
    Ok(Json(
        api.dead(queue, filter.try_into()?, cursor, limit).await?,
    ))
}

async fn groups(State(api): State<Api>, path: QueuePath) -> Answer<Items<DeadGroupView>> {
    let queue = queue_name(path)?;
    let items = api.dead_groups(queue, DeadFilter::default(), false).await?;
    Ok(Json(Items { items }))
}

async fn search_groups(
    State(api): State<Api>,
    path: QueuePath,
    request: Request,
) -> Answer<Items<DeadGroupView>> {
    let queue = queue_name(path)?;
    let search: DeadSearch = body::read_json(request, MAX_REQUEST).await?;
    let groups = api.dead_groups(queue, search.filter.try_into()?, search.to_source);
    Ok(Json(Items {
        items: groups.await?,
    }))
}

type LetterPath = Result<Path<(String, String)>, PathRejection>;

fn queue_and_id(path: LetterPath) -> Result<(QueueName, MessageId), Problem> {
    let Path((queue, id)) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok((queue_name(Ok(Path(queue)))?, message_id(Ok(Path(id)))?))
}

async fn letter(State(api): State<Api>, path: LetterPath) -> Answer<DeadLetterView> {
    let (queue, id) = queue_and_id(path)?;
    Ok(Json(api.dead_letter(queue, id).await?))
}

async fn redrive(State(api): State<Api>, path: QueuePath, request: Request) -> Answer<RedriveOut> {
    let queue = queue_name(path)?;
    let order: RedriveIn = body::read_json(request, MAX_REQUEST).await?;
    let dry_run = order.dry_run;
    Ok(Json(api.redrive(queue, order.try_into()?, dry_run).await?))
}

/// The body of the request is the new body of the message.
async fn redrive_edited(
    State(api): State<Api>,
    path: LetterPath,
    request: Request,
) -> Answer<Edited> {
    let (queue, id) = queue_and_id(path)?;
    let new = body::read(request, MAX_MESSAGE).await?;
    Ok(Json(api.redrive_edited(queue, id, new).await?))
}

async fn purge(State(api): State<Api>, path: QueuePath, request: Request) -> Answer<Count> {
    let queue = queue_name(path)?;
    let order: DeadOrder = body::read_json(request, MAX_REQUEST).await?;
    let count = api
        .purge_dead(queue, order.filter.try_into()?, order.dry_run)
        .await?;
    Ok(Json(Count { count }))
}

async fn redrives(State(api): State<Api>) -> Answer<Items<RedriveView>> {
    Ok(Json(Items {
        items: api.redrives().await?,
    }))
}

async fn cancel(State(api): State<Api>, path: Result<Path<u64>, PathRejection>) -> Answer<Count> {
    let Path(number) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    let count = api.cancel_redrive(number).await?;
    Ok(Json(Count { count }))
}
