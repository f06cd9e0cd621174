//! One queue: looked at, made, changed, deleted.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value};

use super::{QueuePath, queue_name};
use crate::api::{Api, MadeView, OneQueue, Problem};
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::limits::MAX_REQUEST;

pub fn router() -> Router<Api> {
    Router::new().route("/v1/queues/{queue}", get(show).put(make).delete(delete))
}

async fn show(State(api): State<Api>, path: QueuePath) -> Answer<OneQueue> {
    Ok(Json(api.queue(&queue_name(path)?).await?))
}

async fn make(
    State(api): State<Api>,
    path: QueuePath,
    request: Request,
) -> Result<(StatusCode, Json<MadeView>), Problem> {
    let name = queue_name(path)?;
    let definition: Map<String, Value> = body::read_json(request, MAX_REQUEST).await?;
    let (fresh, made) = api.make_queue(&name, definition).await?;
    let status = if fresh {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(made)))
}

async fn delete(State(api): State<Api>, path: QueuePath) -> Result<StatusCode, Problem> {
    api.delete_queue(&queue_name(path)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
