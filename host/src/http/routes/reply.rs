//! Requests and their replies.

use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use gristmill_queue::NewMessage;
use schemars::JsonSchema;
use serde::Deserialize;

use super::send::check_reply_to;
use super::{Asked, TextPath, asked, queue_name, text};
use crate::api::message::duration;
use crate::api::{MessageIn, Pending, Problem, REPLY_WAIT, Replied, ReplyView};
use crate::auth::Action::Send;
use crate::http::answer::Answer;
use crate::http::guard::Caller;
use crate::http::limits::{MAX_BATCH_BYTES, MAX_MESSAGE};
use crate::http::table::{Needs, Route, SharedApi, Takes, get, post};
use crate::http::{body, headers};

pub fn routes() -> Vec<Route> {
    vec![
        post("/v1/queues/{queue}/request", "request", Needs::Queue(Send), request)
            .says("Sends a message and waits for the reply of its handler; 202 and where to ask, if none has come.")
            .asks::<WaitQuery>()
            .carrying(Takes::Message)
            .gives::<ReplyView>(200)
            .gives::<Pending>(202),
        post("/v1/requests", "request_in_json", Needs::Found(Send), request_in_json)
            .says("The same, with the message as JSON.")
            .asks::<WaitQuery>()
            .takes::<MessageIn>()
            .gives::<ReplyView>(200)
            .gives::<Pending>(202),
        // A reply does not say any more whose request it answers.
        get("/v1/replies/{correlation_id}", "get_reply", Needs::All(Send), reply)
            .says("Gives the reply to an earlier request, once.")
            .asks::<WaitQuery>()
            .gives::<ReplyView>(200),
    ]
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WaitQuery {
    /// How long to wait, such as `30s`.
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

async fn request(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
    query: Asked<WaitQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let queue = queue_name(path)?;
    let wait = wait(query, REPLY_WAIT)?;
    let message = headers::message(request.headers())?;
    check_reply_to(&caller, &message)?;
    let body = body::read(request, MAX_MESSAGE).await?;
    let message = NewMessage { body, ..message };
    Ok(answer(api.request(queue, message, wait).await?))
}

async fn request_in_json(
    State(api): State<SharedApi>,
    caller: Caller,
    query: Asked<WaitQuery>,
    request: Request,
) -> Result<Response, Problem> {
    let wait = wait(query, REPLY_WAIT)?;
    let message: MessageIn = body::read_json(request, MAX_BATCH_BYTES).await?;
    let outgoing = message.into_outgoing(None)?;
    caller.check(Send, outgoing.queue.as_str())?;
    check_reply_to(&caller, &outgoing.message)?;
    let replied = api.request(outgoing.queue, outgoing.message, wait).await?;
    Ok(answer(replied))
}

async fn reply(
    State(api): State<SharedApi>,
    path: TextPath,
    query: Asked<WaitQuery>,
) -> Answer<ReplyView> {
    let correlation_id = text(path)?;
    let wait = wait(query, Duration::ZERO)?;
    Ok(Json(api.reply(&correlation_id, wait).await?))
}
