//! Backups.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;

use crate::api::{BackupOrder, BackupView, Problem};
use crate::auth::Action::Manage;
use crate::http::body;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Needs, Route, SharedApi, post};

pub fn routes() -> Vec<Route> {
    vec![
        post("/v1/backups", "backup", Needs::All(Manage), backup)
            .says("Copies everything, as it is now, into a new folder of the host; durable when this answers.")
            .takes::<BackupOrder>()
            .gives::<BackupView>(201),
    ]
}

async fn backup(
    State(api): State<SharedApi>,
    request: Request,
) -> Result<(StatusCode, Json<BackupView>), Problem> {
    let order: BackupOrder = body::read_json(request, MAX_REQUEST).await?;
    Ok((StatusCode::CREATED, Json(api.backup(order).await?)))
}
