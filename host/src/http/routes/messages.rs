//! One message, by its id.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use gristmill_queue::MessageId;
use gristmill_store::AdminError;

use super::{TextPath, message_id};
use crate::api::{Api, MessageView, MoveOrder, Moved, Problem};
use crate::auth::Action::{self, Manage, Read, Receive};
use crate::http::answer::Answer;
use crate::http::guard::Caller;
use crate::http::limits::MAX_REQUEST;
use crate::http::table::{Gives, Needs, Route, SharedApi, delete, get, post};
use crate::http::{body, large};

pub fn routes() -> Vec<Route> {
    vec![
        get("/v1/messages/{id}", "get_message", Needs::Found(Read), find)
            .says("Shows one message, wherever it is: waiting, in flight or dead.")
            .gives::<MessageView>(200),
        get(
            "/v1/messages/{id}/body",
            "get_body",
            Needs::FoundEither(Read, Receive),
            body_of,
        )
        .says("Gives the body of a message, as it was sent.")
        .giving(200, Gives::Bytes),
        delete(
            "/v1/messages/{id}",
            "cancel_message",
            Needs::Found(Manage),
            cancel,
        )
        .says("Removes a waiting message for good.")
        .giving(204, Gives::Nothing),
        post(
            "/v1/messages/{id}/move",
            "move_message",
            Needs::Found(Manage),
            move_to,
        )
        .says("Changes when a waiting message is due.")
        .takes::<MoveOrder>()
        .gives::<Moved>(200),
    ]
}

/// Finds a message for somebody. One of a queue that is none of theirs is not there for them.
async fn find_for(
    api: &Api,
    caller: &Caller,
    one_of: &[Action],
    id: MessageId,
) -> Result<MessageView, Problem> {
    let found = api.find(id).await?;
    if one_of
        .iter()
        .any(|action| caller.may(*action, &found.queue))
    {
        return Ok(found);
    }
    Err(AdminError::UnknownMessage(id).into())
}

async fn find(State(api): State<SharedApi>, caller: Caller, path: TextPath) -> Answer<MessageView> {
    Ok(Json(
        find_for(&api, &caller, &[Read], message_id(path)?).await?,
    ))
}

async fn body_of(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
) -> Result<Response, Problem> {
    let id = message_id(path)?;
    find_for(&api, &caller, &[Read, Receive], id).await?;
    large::give(api.open_body(id).await?).await
}

async fn cancel(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
) -> Result<StatusCode, Problem> {
    let id = message_id(path)?;
    find_for(&api, &caller, &[Manage], id).await?;
    api.cancel(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn move_to(
    State(api): State<SharedApi>,
    caller: Caller,
    path: TextPath,
    request: Request,
) -> Answer<Moved> {
    let id = message_id(path)?;
    let order: MoveOrder = body::read_json(request, MAX_REQUEST).await?;
    let due = order.try_into()?;
    find_for(&api, &caller, &[Manage], id).await?;
    Ok(Json(api.move_to(id, due).await?))
}
