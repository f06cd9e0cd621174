//! Requests and their replies.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gristmill_queue::NewMessage;
use serde::Deserialize;

use super::{Asked, QueuePath, asked, queue_name};
use crate::api::message::duration;
use crate::api::{Api, MessageIn, Problem, REPLY_WAIT, Replied, ReplyView};
use crate::http::answer::Answer;
use crate::http::limits::{MAX_BATCH_BYTES, MAX_MESSAGE};
use crate::http::{body, headers};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WaitQuery {
    /// Such as `30s`.
    wait: Option<String>,
}

fn wait(query: Asked<WaitQuery>, otherwise: Duration) -> Result<Duration, Problem> {
    let wait = asked(query)?.wait;
    wait.map_or(Ok(otherwise), |text| duration("wait", &text))
}

/// The reply, or where it can be asked for.
fn answer(replied: Replied) -> Response {
    let place = match &replied {
        Replied::Reply(_) => return Json(replied).into_response(),
        Replied::Pending(pending) => HeaderValue::from_str(&pending.reply_at),
    };
    let mut answer = (StatusCode::ACCEPTED, Json(replied)).into_response();
    if let Ok(place) = place {
        answer.headers_mut().insert(LOCATION, place);
    }
    answer
}

pub(super) async fn request(
    State(api): State<Api>,
    path: QueuePath,
    query: Asked<WaitQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let queue = queue_name(path)?;
    let wait = wait(query, REPLY_WAIT)?;
    let message = headers::message(request.headers())?;
    let body = body::read(request, MAX_MESSAGE).await?;
    let message = NewMessage { body, ..message };
    Ok(answer(api.request(queue, message, wait).await?))
}

pub(super) async fn request_in_json(
    State(api): State<Api>,
    query: Asked<WaitQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let wait = wait(query, REPLY_WAIT)?;
    let message: MessageIn = body::read_json(request, MAX_BATCH_BYTES).await?;
    let outgoing = message.into_outgoing(None)?;
    let replied = api.request(outgoing.queue, outgoing.message, wait).await?;
    Ok(answer(replied))
}

pub(super) async fn reply(
    State(api): State<Api>,
    path: Result<Path<String>, PathRejection>,
    query: Asked<WaitQuery>,
) -> Answer<ReplyView> {
    let Path(correlation_id) = path.map_err(|error| Problem::bad_request(error.to_string()))?;
    let wait = wait(query, Duration::ZERO)?;
    Ok(Json(api.reply(&correlation_id, wait).await?))
}
