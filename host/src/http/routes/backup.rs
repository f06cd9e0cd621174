//! Backups.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};

use crate::api::{Api, BackupOrder, BackupView, Problem};
use crate::http::body;
use crate::http::limits::MAX_REQUEST;

pub fn router() -> Router<Api> {
    Router::new().route("/v1/backups", post(backup))
}

async fn backup(
    State(api): State<Api>,
    request: Request,
) -> Result<(StatusCode, Json<BackupView>), Problem> {
    let order: BackupOrder = body::read_json(request, MAX_REQUEST).await?;
    Ok((StatusCode::CREATED, Json(api.backup(order).await?)))
}
