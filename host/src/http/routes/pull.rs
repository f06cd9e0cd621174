//! Pull consumers.

use axum::extract::{Request, State};
use axum::routing::post;
use axum::{Json, Router};

use super::{QueuePath, queue_name};
use crate::api::{Api, Items, LeaseView, ReceiveOrder, SettleOrder, SettledView};
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::limits::MAX_REQUEST;

pub fn router() -> Router<Api> {
    Router::new()
        .route("/v1/queues/{queue}/leases", post(receive))
        .route("/v1/queues/{queue}/settlements", post(settle))
}

/// If the caller goes away while it waits, so does its wait.
async fn receive(
    State(api): State<Api>,
    path: QueuePath,
    request: Request,
) -> Answer<Items<LeaseView>> {
    let queue = queue_name(path)?;
    let order: ReceiveOrder = body::read_json(request, MAX_REQUEST).await?;
    let items = api.receive(queue, order).await?;
    Ok(Json(Items { items }))
}

async fn settle(
    State(api): State<Api>,
    path: QueuePath,
    request: Request,
) -> Answer<Items<SettledView>> {
    let queue = queue_name(path)?;
    let order: SettleOrder = body::read_json(request, MAX_REQUEST).await?;
    Ok(Json(api.settle_pulled(queue, order).await?))
}
