//! Pull consumers.

use axum::Json;
use axum::extract::{Request, State};

use super::{TextPath, queue_name};
use crate::api::{Items, LeaseView, ReceiveOrder, SettleOrder, SettledView};
use crate::auth::Action::Receive;
use crate::http::answer::Answer;
use crate::http::body;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Needs, Route, SharedApi, post};

pub fn routes() -> Vec<Route> {
    vec![
        post(
            "/v1/queues/{queue}/leases",
            "receive",
            Needs::Queue(Receive),
            receive,
        )
        .says("Leases messages of a queue to whoever asks; that is durable when this answers.")
        .takes::<ReceiveOrder>()
        .gives::<Items<LeaseView>>(200),
        post(
            "/v1/queues/{queue}/settlements",
            "settle",
            Needs::Queue(Receive),
            settle,
        )
        .says("Settles what was received, each receipt by itself: done, tried again, rejected, released or extended.")
        .takes::<SettleOrder>()
        .gives::<Items<SettledView>>(200),
    ]
}

/// If the caller goes away while it waits, so does its wait.
async fn receive(
    State(api): State<SharedApi>,
    path: TextPath,
    request: Request,
) -> Answer<Items<LeaseView>> {
    let queue = queue_name(path)?;
    let order: ReceiveOrder = body::read_json(request, MAX_REQUEST).await?;
    let items = api.receive(queue, order).await?;
    Ok(Json(Items { items }))
}

async fn settle(
    State(api): State<SharedApi>,
    path: TextPath,
    request: Request,
) -> Answer<Items<SettledView>> {
    let queue = queue_name(path)?;
    let order: SettleOrder = body::read_json(request, MAX_REQUEST).await?;
    Ok(Json(api.settle_pulled(queue, order).await?))
}
